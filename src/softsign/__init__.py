"""Softsign, f(x) = x / (1 + abs(x)), and its calculus as NumPy ufuncs.

The functions are::

    softsign(x)                  f(x), of complex numbers too
    inverse(y)                   y / (1 - abs(y))
    derivative(x)                f'(x) = 1 / (1 + abs(x))**2
    second_derivative(x)         f''(x) = -2 sign(x) / (1 + abs(x))**3, and 0 at 0
    nth_derivative(n, x)         the derivative of order n, from 0 to 170
    antiderivative(x)            F(x) = abs(x) - log(1 + abs(x))
    second_antiderivative(x)     the antiderivative of F
    log_jacobian(x)              log(f'(x))
    gradient(x, dy)              dy f'(x), for back-propagation
    gradient_from_output(y, dy)  the same from y = f(x)
    scaled(x, c)                 c f(x / c), a soft limiter
    scaled_gradient(x, c, dy)    dy f'(x / c)
    segment_mean(a, b)           mean of f from a to b, for antialiasing
    segment_ramp(a, b)           the same, weighted towards b
    segment_moments(a, b)        means of f times Legendre's polynomials of degree 0, 1, 2

They take float16, bfloat16 (of ml_dtypes), float32, float64 and longdouble; bool and integers promote as in
`numpy.exp`. Up to float64 the error is bounded, and the first three are correctly rounded: each docstring
says how far. Infinities, nan, signed zeros and subnormal numbers are provided for, and the bits of a result
do not depend on the instruction set, the number of threads or the memory layout.

The rest stands in rooms of the package, each imported when it is first used (``softsign.init.critical``), and
each with a docstring of its own::

    init, variants, accuracy, reference, functions, stream, operator, data    need NumPy alone
    applications                          audio and more, each with the extra of its name
    torch, jax, onnx, study, learn, cli                                       need the extras of these names
    threadpool                            needs threadpoolctl, where it registers the threads

Large arrays are computed on several threads (`set_num_threads`, `get_num_threads`) by the best kernels that
the CPU can run (`cpu_features`). The environment variables SOFTSIGN_NUM_THREADS and SOFTSIGN_KERNELS, read
on import, set both.

Examples
--------
>>> import softsign
>>> print(softsign.softsign([-3.0, 0.0, 1.0, float("inf")]))
[-0.75  0.    0.5   1.  ]
>>> print(softsign.gradient([-3.0, 0.0, 1.0, float("inf")], 1.0))
[0.0625 1.     0.25   0.    ]
"""

import typing as _typing

try:
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
        scaled,
        scaled_gradient,
        second_antiderivative,
        second_derivative,
        segment_mean,
        segment_moments,
        segment_ramp,
        set_num_threads,
        softsign,
    )
except ModuleNotFoundError as _error:
    if _error.name == "softsign._core":
        _error.add_note(
            f"This copy of softsign is not compiled: {__path__[0]} has no _core. In the source tree, where "
            "pyproject.toml is, `pip install .` compiles and installs it, `pip install -e .` in place."
        )
    raise

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
    "scaled",
    "scaled_gradient",
    "second_antiderivative",
    "second_derivative",
    "segment_mean",
    "segment_moments",
    "segment_ramp",
    "set_num_threads",
    "softsign",
]


if not _typing.TYPE_CHECKING:  # type checkers would take every name for one that is there

    def __getattr__(name: str) -> object:
        """Import a room of the package when it is first asked for."""
        from importlib import import_module

        room = f"{__name__}.{name}"
        if not name.startswith("_"):
            try:
                return import_module(room)
            except ModuleNotFoundError as error:
                if error.name != room:  # an extra is missing; hasattr, help and completion expect this error
                    raise AttributeError(str(error)) from error
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """List the names and the rooms, opened or not."""
        from pkgutil import iter_modules

        rooms = {module.name for module in iter_modules(__path__) if not module.name.startswith("_")}
        return sorted(rooms.union(globals()))
