"""Colors of the figures: Okabe and Ito's palette, told apart with any color vision, and two more."""

COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),  # theirs, without yellow
    *("#999999", "#882255"),
)
