"""softsign(x) = x / (1 + |x|) and its calculus as correctly rounded NumPy ufuncs.

>>> import softsign as ss
>>> print(ss.softsign([-3.0, 0.0, 1.0, float("inf")]))
[-0.75  0.    0.5   1.  ]
"""

from softsign._core import (
    antiderivative,
    cpu_features,
    derivative,
    get_num_threads,
    gradient,
    gradient_from_output,
    inverse,
    log_jacobian,
    nth_derivative,
    second_antiderivative,
    second_derivative,
    set_num_threads,
    softsign,
)

__version__ = "0.1.0"

__all__ = [
    "antiderivative",
    "cpu_features",
    "derivative",
    "get_num_threads",
    "gradient",
    "gradient_from_output",
    "inverse",
    "log_jacobian",
    "nth_derivative",
    "second_antiderivative",
    "second_derivative",
    "set_num_threads",
    "softsign",
]
