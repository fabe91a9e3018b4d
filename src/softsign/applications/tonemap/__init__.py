"""Tone mapping: light, of any brightness, for screens, which show numbers from 0 to 1.

::

    reinhard(image)                  Reinhard's global operator: softsign of the light, brought to a key
    inverse_reinhard(image)          the light again
    log_average_luminance(image)     the brightness that `reinhard` brings to the key
    out_of_gamut(image)              the pixels that a screen cannot show
    naka_rushton(x, sigma, n, rmax)  the response of the retina; for n = 1, softsign
    srgb_encode(x)                   light from 0 to 1 as the numbers that picture files store

Images have the shape (height, width, 3) and hold linear light as float16, bfloat16, float32, float64 or
longdouble. Dask's arrays are computed lazily, and what is mapped from a file in blocks.
"""

from softsign.applications.tonemap import display, operators
from softsign.applications.tonemap.display import *
from softsign.applications.tonemap.operators import *

__all__ = []
__all__ += display.__all__
__all__ += operators.__all__
