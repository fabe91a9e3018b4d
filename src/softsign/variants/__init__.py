"""Relatives of softsign, computed safely at every magnitude: families, sigmoids, a gate, a cap, balls.

::

    generalized(x, k)               x / (1 + abs(x)**k)**(1/k), k = 1 is softsign; _derivative, _inverse,
                                    _log_jacobian
    elliott(x)                      (1 + softsign(x)) / 2
    elliott_logistic(x)             (1 + softsign(x / 2)) / 2, with the logistic function's slope
    elliot2sig(x)                   x abs(x) / (1 + x**2)
    gate(x)                         x (1 + softsign(x)) / 2
    soft_abs(x, c)                  abs(x) - c log(1 + abs(x) / c)
    soft_cap(x, c)                  c softsign(x / c)
    georgiou_koutsougeras(z, c, r)  z / (c + abs(z) / r), complex; _dz, _dconj, _inverse
    unit_ball(x, axis)              x / (1 + norm(x)); _inverse, _log_det

docs/variants.md says what each is for, and when not to use it. All take float16, bfloat16, float32, float64
and longdouble, promote integers as `softsign.softsign` does, take ``out=``, which may overlap the input, and
raise no floating-point warnings. Each docstring states the largest error. float64 is computed in longdouble
where rounding errors are multiplied; the bounds of float64 hold where that has at least 64 bits of precision,
as on x86-64 and on ARM under Linux. longdouble itself has no bound.

Examples
--------
>>> import numpy as np
>>> from softsign import variants
>>> print(variants.generalized([-2.0, 0.0, 0.5], 4))
[-0.98495812  0.          0.49247906]
>>> x = np.array([5.0, -400.0])
>>> print(variants.soft_cap(x, 30, out=x))
[  4.28571429 -27.90697674]
"""

from softsign.variants import balls, family, sigmoids
from softsign.variants.balls import *
from softsign.variants.family import *
from softsign.variants.sigmoids import *

__all__ = []
__all__ += balls.__all__
__all__ += family.__all__
__all__ += sigmoids.__all__
