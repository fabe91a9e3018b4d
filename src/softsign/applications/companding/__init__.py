"""Companding: few bits for signals whose loudness varies. The softsign law, G.711, and the best quantizers.

::

    Compander(k, limit)           the law c(x) = (1 + k) u / (1 + k abs(u)), u = x/limit, and its inverse
    NonlinearADC(bits, k)         a converter to int8 or int16 codes, and the converter back
    Moments                       of samples or of a density: for the best k, and for Bennett's formula
    lloyd_max(count, density)     the quantizer with the least noise that there is
    mu_law_encode, mu_law_decode  G.711 on NumPy arrays; a_law_encode, a_law_decode
    snr_db(signal, received)      signal power by noise power
    files                         what ``softsign compand`` and ``softsign expand`` do; needs soundfile

docs/applications/companding.md has the theory and measurements, docs/applications/adc.md the analog side.

Examples
--------
>>> import numpy as np
>>> from softsign.applications.companding import Compander, NonlinearADC
>>> x = np.random.default_rng(0).laplace(scale=0.03, size=100_000).clip(-1, 1)
>>> law = Compander.for_signal(x, limit=1)
>>> print(f"k = {law.k:.2f}: {NonlinearADC(8, law.k).simulated_sqnr_db(x):.1f} dB")
k = 13.16: 40.4 dB
>>> print(f"an even converter: {NonlinearADC(8, 1e-16).simulated_sqnr_db(x):.1f} dB")
an even converter: 25.5 dB
"""

from softsign.applications.companding import adc, files, g711, law, optimal, signals
from softsign.applications.companding.adc import *
from softsign.applications.companding.g711 import *
from softsign.applications.companding.law import *
from softsign.applications.companding.optimal import *
from softsign.applications.companding.signals import *

__all__ = ["files"]
__all__ += adc.__all__
__all__ += g711.__all__
__all__ += law.__all__
__all__ += optimal.__all__
__all__ += signals.__all__
