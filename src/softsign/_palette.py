"""Colors of the figures: Okabe and Ito's palette, told apart with any color vision, and three that follow it."""

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
COLORS = (*OKABE_ITO, "#999999", "#882255")
