// The docstrings that NumPy and Python show, in numpydoc's form. NumPy puts a signature ahead of those of ufuncs.
#pragma once

// What several have in common.
#define REAL_DTYPES \
    R"(float16, bfloat16 (of ml_dtypes), float32, float64 or longdouble. Bool and integers promote as in)"
#define ARGUMENT "array_like\n    Of any shape; " REAL_DTYPES " `numpy.exp`.\n"
#define ARGUMENTS "array_like\n    Broadcast together; " REAL_DTYPES "\n    `numpy.hypot`.\n"
#define OPTIONS R"(out, where, **kwargs
    As for every ufunc: see `numpy.ufunc`.

Returns
-------
)"
#define RESULT R"( : ndarray or scalar
    Of the shape of the arguments and their floating-point dtype.

Raises
------
TypeError
    If an argument has another dtype.
)"
#define CORRECTLY_ROUNDED R"(
The exact value is rounded once, to nearest: the error is at most 0.5 ulp. In float16, bfloat16 and float32 that is
so for every input, all of which have been tried)"
#define BY_PROOF R"(by proof: a result is taken if both ends of an interval
around the exact value round to it [1]_, and is decided by exact arithmetic if not)"
#define LONGDOUBLE "Longdouble follows the plain formula, without a bound."
#define SAME_BITS "The bits do not depend on the instruction set, the number of threads or the memory layout.\n"
#define QUIET "No floating-point flag but underflow is raised. " SAME_BITS
#define REFERENCES "\nReferences\n----------\n"
#define ZIV R"(.. [1] A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM
   Transactions on Mathematical Software 17, 1991, 410-423.
)"
#define EXAMPLES "\nExamples\n--------\n>>> import softsign\n"

namespace softsign::docs {

constexpr char softsign[] = R"(Softsign of real or complex numbers, ``x / (1 + abs(x))``.

Maps the numbers onto the interval from -1 to 1; an activation function of neural networks [2]_ [3]_ [4]_.

Parameters
----------
x : array_like
    Of any shape; )" REAL_DTYPES R"( `numpy.exp`.
    Also complex64 and complex128.
)" OPTIONS "y" RESULT R"(
See Also
--------
inverse, derivative, gradient

Notes
-----)" CORRECTLY_ROUNDED R"(. In float64 it is so )" BY_PROOF R"(.
)" LONGDOUBLE R"(

Therefore y is odd bit for bit, never decreases where x increases, and stays within -1 and 1; +-inf gives +-1, and
-0, subnormal numbers and nan come back as they are. From 2**(p + 1) on, with p the digits of the dtype (24 in
float32), y rounds to 1. )" QUIET R"(
A complex z keeps its direction and moves into the unit disc, infinities onto its rim [5]_. complex64 is computed in
float64 and rounded once; complex128 follows the plain formula.
)" REFERENCES ZIV R"(.. [2] D. L. Elliott, "A better activation function for artificial neural networks", Technical Report 93-8, Institute
   for Systems Research, University of Maryland, 1993.
.. [3] J. Bergstra, G. Desjardins, P. Lamblin and Y. Bengio, "Quadratic polynomials learn better image features",
   Technical Report 1337, DIRO, Universite de Montreal, 2009.
.. [4] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
   Proceedings of Machine Learning Research 9 (AISTATS 2010), 249-256.
.. [5] G. M. Georgiou and C. Koutsougeras, "Complex domain backpropagation", IEEE Transactions on Circuits and Systems
   II 39, 1992, 330-334.
)" EXAMPLES R"(>>> print(softsign.softsign([-3.0, -0.0, 1.0, float("inf")]))
[-0.75 -0.    0.5   1.  ]
>>> print(softsign.softsign(3 + 4j))
(0.5+0.6666666666666666j)
)";

constexpr char derivative[] = R"(First derivative of softsign, ``1 / (1 + abs(x))**2``.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
gradient : The derivative times an incoming gradient, for back-propagation.
second_derivative, nth_derivative

Notes
-----)" CORRECTLY_ROUNDED R"(. In float64 it is so for
``abs(x) < 2**53``, )" BY_PROOF R"(; beyond, the error is
below 0.5001 ulp. )" LONGDOUBLE R"(

Therefore y is even bit for bit and never increases where ``abs(x)`` does; 0 gives 1, +-inf gives +0, nan gives nan.
)" QUIET REFERENCES ZIV EXAMPLES R"(>>> print(softsign.derivative([-3.0, 0.0, 1.0, float("inf")]))
[0.0625 1.     0.25   0.    ]
)";

constexpr char inverse[] = R"(Inverse of softsign, ``y / (1 - abs(y))``.

Parameters
----------
y : )" ARGUMENT OPTIONS "x" RESULT R"(
See Also
--------
softsign

Notes
-----)" CORRECTLY_ROUNDED R"(. In float64 it is so )" BY_PROOF R"(.
)" LONGDOUBLE R"(

Therefore x is odd bit for bit and never decreases where y increases; -0, subnormal numbers and nan come back as they
are. +-1 gives +-inf and raises the divide flag; beyond, softsign takes no value: the result is nan and raises the
invalid flag. No other flag but underflow is raised. )" SAME_BITS REFERENCES ZIV EXAMPLES
    R"(>>> print(softsign.inverse([-0.75, 0.5, 0.9375]))
[-3.  1. 15.]
>>> import numpy as np
>>> with np.errstate(divide="ignore", invalid="ignore"):
...     print(softsign.inverse([-1.0, 1.5]))
[-inf  nan]
)";

constexpr char second_derivative[] = R"(Second derivative of softsign, ``-2 * sign(x) / (1 + abs(x))**3``.

At 0, where it jumps from 2 to -2, it is defined as 0, the mean of both.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
nth_derivative

Notes
-----
The error is below 0.51 ulp. )" LONGDOUBLE R"(

Odd bit for bit: +-0 gives +-0, the smallest numbers give -2 and 2, +-inf gives a zero of the other sign, nan gives nan.
)" QUIET EXAMPLES R"(>>> print(softsign.second_derivative([-1.0, 0.0, 1e-300, 1.0]))
[ 0.25  0.   -2.   -0.25]
)";

constexpr char antiderivative[] = R"(Antiderivative of softsign, ``abs(x) - log(1 + abs(x))``.

The one that is 0 at 0: Fair's loss of robust regression [1]_, for the scale 1.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
second_antiderivative

Notes
-----
The error is at most 1 ulp, in float64 at most 2 ulp. Near 0, where the formula cancels and y tends to ``x**2 / 2``, a
series takes its place. )" LONGDOUBLE R"(

Even bit for bit; +-inf gives inf, nan gives nan. )" QUIET REFERENCES
    R"(.. [1] R. C. Fair, "On the robust estimation of econometric models", Annals of Economic and Social Measurement 3,
   1974, 667-677.
)" EXAMPLES R"(>>> print(softsign.antiderivative([0.0, 1e-8, 1.0, -1.0]))
[0.00000000e+00 4.99999997e-17 3.06852819e-01 3.06852819e-01]

Fair's loss, and its slope, for residuals r and the scale c:

>>> r, c = 3.0, 1.5
>>> loss, slope = c**2 * softsign.antiderivative(r / c), c * softsign.softsign(r / c)
>>> print(f"{loss:.4f} {slope:.4f}")
2.0281 1.0000
)";

constexpr char second_antiderivative[] =
    R"(Antiderivative of the antiderivative of softsign, the one that is 0 at 0.

``sign(x) * (x**2 / 2 + abs(x) - (1 + abs(x)) * log(1 + abs(x)))``.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
antiderivative

Notes
-----
The error is at most 1 ulp, in float64 at most 4 ulp. Up to 1, where the formula cancels and y tends to ``x**3 / 6``, a
series takes its place. )" LONGDOUBLE R"(

Odd bit for bit; -0 gives -0, +-inf gives +-inf, nan gives nan. Where ``x**2 / 2`` exceeds the dtype, y is infinite and
raises the overflow flag. No other flag but underflow is raised. )" SAME_BITS EXAMPLES
    R"(>>> print(softsign.second_antiderivative([-1.0, 0.0, 1e-5, 1.0]))
[-1.13705639e-01  0.00000000e+00  1.66665833e-16  1.13705639e-01]
)";

constexpr char log_jacobian[] = R"(Logarithm of the derivative of softsign, ``-2 * log(1 + abs(x))``.

What softsign adds to the log-determinant of the Jacobian as a layer of a normalizing flow.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
derivative

Notes
-----
The error is at most 2 ulp. )" LONGDOUBLE R"(

Even bit for bit and never increasing where ``abs(x)`` does; +-0 gives -0, +-inf gives -inf, nan gives nan. Unlike the
logarithm of `derivative`, which underflows, it is finite for every finite x. )" QUIET EXAMPLES
    R"(>>> print(softsign.log_jacobian([0.0, 1.0, -1e300]))
[-0.00000000e+00 -1.38629436e+00 -1.38155106e+03]
)";

constexpr char gradient[] = R"(Gradient of softsign with respect to its input, ``dy / (1 + abs(x))**2``.

Parameters
----------
x, dy : )" ARGUMENTS R"(    `x` is what softsign was given, `dy` the gradient with respect to what it returned.
)" OPTIONS "dx" RESULT R"(
See Also
--------
gradient_from_output : From softsign(x), when x is gone.

Notes
-----
The operator SoftsignGradient of Caffe2 [1]_; its documentation has a sign(x) in the numerator that neither its code nor
the derivative has.

The error is below 0.51 ulp, and nothing over- or underflows on the way. )" LONGDOUBLE R"(

`dx` has the sign of `dy`, is `dy` itself at +-0 and a zero at +-inf. At +-inf an infinite `dy` gives nan and raises the
invalid flag; no other flag but underflow is raised. )" SAME_BITS REFERENCES
    R"(.. [1] Caffe2, ``caffe2/operators/softsign_op.cc``, https://github.com/pytorch/pytorch (2018).
)" EXAMPLES R"(>>> print(softsign.gradient([-1.0, 0.0, 3.0], [2.0, 2.0, -2.0]))
[ 0.5    2.    -0.125]
)";

constexpr char gradient_from_output[] = R"(Gradient of softsign from its output, ``dy * (1 - abs(y))**2``.

For memory's sake: the output may have been written over the input.

Parameters
----------
y, dy : )" ARGUMENTS R"(    `y` is what softsign returned, from -1 to 1, `dy` the gradient with respect to it.
)" OPTIONS "dx" RESULT R"(
See Also
--------
gradient : From the input; as good for large inputs as for small ones.

Notes
-----
The error against the formula is at most 2 ulp for ``abs(y) <= 1``. )" LONGDOUBLE R"(

The rounding of `y` has lost part of x, and `dx` shows it where ``abs(x)`` is large: the relative error against `gradient`
grows as ``u * abs(x)``, u being half the machine epsilon (``2**-24`` in float32), and `dx` is 0 from the x on for which
`y` is 1: ``2 / u``, which is 2**25 in float32 and 2**12 in float16.

Where one factor is 0 and the other infinite, `dx` is nan and raises the invalid flag; no other flag but underflow is
raised for ``abs(y) <= 1``. )" SAME_BITS EXAMPLES R"(>>> print(softsign.gradient_from_output([-0.5, 0.0, 0.75], [2.0, 2.0, -2.0]))
[ 0.5    2.    -0.125]

What is lost at x = 10,000:

>>> import numpy as np
>>> x, dy = np.float32(1e4), np.float32(1)
>>> print(softsign.gradient(x, dy), softsign.gradient_from_output(softsign.softsign(x), dy))
9.998001e-09 1.0003319e-08
)";

constexpr char nth_derivative[] = R"(Derivative of softsign of any order up to 170.

Of order 0 it is softsign itself, of a higher one ``(-sign(x))**(n + 1) * n! / (1 + abs(x))**(n + 1)``. At 0 it is the
mean of the limits from both sides: 0 for even and n! for odd n.

Parameters
----------
n : array_like of integers
    Order, from 0 to 170: 171! exceeds float64. Not uint64.
x : array_like
    Broadcast with `n`; )" REAL_DTYPES R"(
    `numpy.exp`.
)" OPTIONS R"(y : ndarray or scalar
    Of the broadcast shape and the floating-point dtype of `x`.

Raises
------
TypeError
    If `n` is not of integers, or `x` has another dtype.
ValueError
    If an order is negative or above 170.

See Also
--------
softsign, derivative, second_derivative : The same for n = 0, 1 and 2.

Notes
-----
For n up to 2 the errors are those of the functions named above, beyond that at most 4 ulp. )" LONGDOUBLE R"(

Odd bit for bit for even n, even for odd n; for n > 0, +-inf gives a zero; nan gives nan. Where n! exceeds the dtype,
from n = 9 on in float16 and n = 35 on in bfloat16 and float32, y is infinite near 0 and raises the overflow flag. No other flag but
underflow is raised. )" SAME_BITS EXAMPLES R"(>>> print(softsign.nth_derivative([0, 1, 2, 3], 1.0))
[ 0.5    0.25  -0.25   0.375]
>>> print(softsign.nth_derivative(3, [-0.5, 0.0, 0.5]))
[1.18518519 6.         1.18518519]
)";

constexpr char cpu_features[] = R"(cpu_features()
--

What softsign uses of this machine.

Returns
-------
dict
    kernels : str
        The kernel set in use: avx512, avx2, sse2 or portable. The environment variable SOFTSIGN_CPU, read when
        softsign is imported, chooses another than the best; all give the same bits.
    available : tuple of str
        The kernel sets that this CPU can run, best first.
    openmp : bool
        Whether softsign was built with OpenMP, which gives it threads.
    last_level_cache : int
        Size in bytes. Larger outputs are written past the caches.

Examples
--------
>>> import softsign
>>> features = softsign.cpu_features()
>>> features["kernels"] in features["available"]
True
)";

constexpr char get_num_threads[] = R"(get_num_threads()
--

Greatest number of threads that a call may use.

That is what `set_num_threads` was given last; else the environment variable SOFTSIGN_NUM_THREADS when softsign was
imported; else OpenMP's choice, as a rule the number of CPUs. Without OpenMP it is 1.

Returns
-------
int
    From 1 to 1024.

Examples
--------
>>> import softsign
>>> 1 <= softsign.get_num_threads() <= 1024
True
)";

constexpr char set_num_threads[] = R"(set_num_threads(n, /)
--

Limit the number of threads that a call may use, in the whole process.

Results do not depend on it. A thread gets 2**18 elements at least, so smaller arrays take one thread whatever the limit;
so does a forked child process, in which OpenMP cannot be used.

Parameters
----------
n : int
    From 1 to 1024. Of no effect without OpenMP.

Raises
------
TypeError
    If `n` is not an integer.
ValueError
    If `n` is out of range.

Examples
--------
>>> import softsign
>>> before = softsign.get_num_threads()
>>> softsign.set_num_threads(1)
>>> softsign.get_num_threads()
1
>>> softsign.set_num_threads(before)
)";

constexpr char use_kernels[] = R"(_use_kernels(name, /)
--

Change the kernel set in use. For tests: other threads should not be computing.

Parameters
----------
name : str
    One of ``cpu_features()["available"]``.

Raises
------
ValueError
    If this CPU cannot run it, or there is no such set.
)";

}  // namespace softsign::docs

#undef REAL_DTYPES
#undef ARGUMENT
#undef ARGUMENTS
#undef OPTIONS
#undef RESULT
#undef CORRECTLY_ROUNDED
#undef BY_PROOF
#undef LONGDOUBLE
#undef SAME_BITS
#undef QUIET
#undef REFERENCES
#undef ZIV
#undef EXAMPLES
