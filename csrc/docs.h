// The docstrings, in numpydoc's form. NumPy puts the signature ahead of those of ufuncs.
#pragma once

// Lines and paragraphs that several have in common.
#define DTYPES                                                                     \
    "float16, bfloat16 (of ml_dtypes), float32, float64 or longdouble. Bool and\n" \
    "    integers promote as in "
#define ARGUMENT "array_like\n    Of any shape; " DTYPES "`numpy.exp`.\n"
#define ARGUMENTS "array_like\n    Broadcast together; " DTYPES "`numpy.hypot`.\n"
#define RESULT                                                                                            \
    " : ndarray or scalar\n    Of the broadcast shape of the arguments and their floating-point dtype.\n" \
    "\nRaises\n------\nTypeError\n    If an argument has another dtype.\n"
#define OPTIONS \
    "out, where, **kwargs : optional\n    As for every ufunc: see `numpy.ufunc`.\n\nReturns\n-------\n"
#define NOTES "\nNotes\n-----\n"
#define CORRECTLY_ROUNDED                                                                                 \
    "The result is the exact value, rounded once to nearest: an error of at most 0.5 ulp. For float16,\n" \
    "bfloat16 and float32 all inputs have been tried. In float64 a result is taken if both ends of an\n"  \
    "interval around the exact value round to it [1]_, and is decided by exact arithmetic if not.\n"
#define LONGDOUBLE "Longdouble is computed in its own precision, without a bound.\n\n"
#define SAME_BITS "\nThe bits do not depend on the kernels, the number of threads or the memory layout.\n"
#define QUIET "\nNo floating-point flag but underflow is raised.\n" SAME_BITS
#define SEGMENT_BOUND(ulp)      \
    "The error is at most " ulp \
    " ulp of the mean of abs(f) over the segment, up to float32 1 ulp.\n" LONGDOUBLE
#define REFERENCES "\nReferences\n----------\n"
#define ZIV                                                                                          \
    ".. [1] A. Ziv, \"Fast evaluation of elementary mathematical functions with correctly rounded\n" \
    "   last bit\", ACM Transactions on Mathematical Software 17, 1991, 410-423.\n"
#define EXAMPLES "\nExamples\n--------\n>>> import softsign\n"

namespace softsign::docs {

constexpr char softsign[] =
    R"(Softsign of real or complex numbers, ``x / (1 + abs(x))``.

Maps the numbers onto the interval from -1 to 1; an activation function of neural networks [2]_ [3]_ [4]_.

Parameters
----------
x : )" ARGUMENT R"(    Also complex64 and complex128.
)" OPTIONS "y" RESULT R"(
See Also
--------
inverse, derivative, gradient
)" NOTES CORRECTLY_ROUNDED LONGDOUBLE
    R"(Therefore y is odd bit for bit, never decreases where x increases, and stays within -1 and 1. +-inf
gives +-1; -0, subnormal numbers and nan come back as they are. From ``2**(p + 1)`` on, with p the digits of
the dtype (24 in float32), y is 1.

A complex x keeps its direction and moves into the unit disc, infinities onto its rim [5]_. complex64 is
computed in float64 and rounded once, complex128 follows the plain formula.
)" QUIET REFERENCES ZIV
    R"(.. [2] D. L. Elliott, "A better activation function for artificial neural networks", Technical Report
   93-8, Institute for Systems Research, University of Maryland, 1993.
.. [3] J. Bergstra, G. Desjardins, P. Lamblin and Y. Bengio, "Quadratic polynomials learn better image
   features", Technical Report 1337, DIRO, Universite de Montreal, 2009.
.. [4] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
   Proceedings of Machine Learning Research 9 (AISTATS 2010), 249-256.
.. [5] G. M. Georgiou and C. Koutsougeras, "Complex domain backpropagation", IEEE Transactions on Circuits and
   Systems II 39, 1992, 330-334.
)" EXAMPLES R"(>>> print(softsign.softsign([-3.0, -0.0, 1.0, float("inf")]))
[-0.75 -0.    0.5   1.  ]
>>> print(softsign.softsign(3 - 4j))
(0.5-0.6666666666666666j)
)";

constexpr char derivative[] =
    R"(First derivative of softsign, ``1 / (1 + abs(x))**2``.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
gradient : The derivative times an incoming gradient, for back-propagation.
second_derivative, nth_derivative
)" NOTES CORRECTLY_ROUNDED LONGDOUBLE
    R"(Therefore y is even bit for bit and never increases where ``abs(x)`` does. 0 gives 1, +-inf gives +0,
nan gives nan.
)" QUIET REFERENCES ZIV EXAMPLES R"(>>> print(softsign.derivative([-3.0, 0.0, 1.0, float("inf")]))
[0.0625 1.     0.25   0.    ]
)";

constexpr char inverse[] =
    R"(Inverse of softsign, ``y / (1 - abs(y))``.

Parameters
----------
y : )" ARGUMENT OPTIONS "x" RESULT R"(
See Also
--------
softsign
)" NOTES CORRECTLY_ROUNDED LONGDOUBLE
    R"(Therefore x is odd bit for bit and never decreases where y increases. -0, subnormal numbers and nan
come back as they are. +-1 gives +-inf and raises the divide flag. Beyond, where softsign takes no value, the
result is nan and raises the invalid flag. No other flag but underflow is raised.
)" SAME_BITS REFERENCES ZIV EXAMPLES
    R"(>>> print(softsign.inverse([-0.75, 0.5, 0.9375]))
[-3.  1. 15.]
>>> import numpy as np
>>> with np.errstate(divide="ignore", invalid="ignore"):
...     print(softsign.inverse([-1.0, 1.5]))
[-inf  nan]
)";

constexpr char second_derivative[] =
    R"(Second derivative of softsign, ``-2 * sign(x) / (1 + abs(x))**3``.

At 0, where it jumps from 2 to -2, it is defined as the mean of both, 0.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
nth_derivative
)" NOTES "The error is below 0.51 ulp.\n" LONGDOUBLE
    R"(Odd bit for bit. +-0 gives +-0, +-inf gives a zero of the other sign, nan gives nan.
)" QUIET EXAMPLES R"(>>> print(softsign.second_derivative([-1.0, 0.0, 1e-300, 1.0]))
[ 0.25  0.   -2.   -0.25]
)";

constexpr char antiderivative[] =
    R"(Antiderivative of softsign, ``abs(x) - log(1 + abs(x))``.

The one that is 0 at 0: the Fair loss of robust regression [1]_, for the scale 1.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
second_antiderivative
)" NOTES
    R"(The error is below 0.51 ulp, in float64 at most 2 ulp. Near 0, where the formula cancels and y tends to
``x**2 / 2``, a series takes its place.
)" LONGDOUBLE R"(Even bit for bit. +-inf gives inf, nan gives nan.
)" QUIET REFERENCES
    R"(.. [1] R. C. Fair, "On the robust estimation of econometric models", Annals of Economic and Social
   Measurement 3, 1974, 667-677.
)" EXAMPLES R"(>>> print(softsign.antiderivative([0.0, 1e-8, -1.0]))
[0.00000000e+00 4.99999997e-17 3.06852819e-01]

The Fair loss of a residual r for the scale c, and its slope:

>>> r, c = 3.0, 1.5
>>> print(round(c**2 * softsign.antiderivative(r / c), 4), c * softsign.softsign(r / c))
2.0281 1.0
)";

constexpr char second_antiderivative[] =
    R"(Antiderivative of the antiderivative of softsign.

The one that is 0 at 0, ``sign(x) * (x**2 / 2 + abs(x) - (1 + abs(x)) * log(1 + abs(x)))``.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
antiderivative
)" NOTES
    R"(The error is below 0.51 ulp, in float64 at most 4 ulp. Up to 1, where the formula cancels and y tends
to ``x**3 / 6``, a series takes its place.
)" LONGDOUBLE
    R"(Odd bit for bit. +-0 gives +-0, +-inf gives +-inf, nan gives nan. Where the result exceeds the dtype it
is infinite and raises the overflow flag. No other flag but underflow is raised.
)" SAME_BITS EXAMPLES
    R"(>>> print(softsign.second_antiderivative([-1.0, 0.0, 1e-5]))
[-1.13705639e-01  0.00000000e+00  1.66665833e-16]
)";

constexpr char log_jacobian[] =
    R"(Logarithm of the derivative of softsign, ``-2 * log(1 + abs(x))``.

What softsign, as a layer of a normalizing flow, adds to the log-determinant of the Jacobian.

Parameters
----------
x : )" ARGUMENT OPTIONS "y" RESULT R"(
See Also
--------
derivative
)" NOTES "The error is below 0.51 ulp, in float64 at most 2 ulp.\n" LONGDOUBLE
    R"(Even bit for bit. +-0 gives -0, +-inf gives -inf, nan gives nan. It is finite for every finite x, also
where `derivative` underflows.
)" QUIET EXAMPLES R"(>>> print(softsign.log_jacobian([0.0, 1.0, -3.0]))
[-0.         -1.38629436 -2.77258872]
)";

constexpr char gradient[] =
    R"(Gradient of softsign with respect to its input, ``dy / (1 + abs(x))**2``.

Parameters
----------
x, dy : )" ARGUMENTS
    R"(    `x` is what softsign was given, `dy` the gradient with respect to what it returned.
)" OPTIONS "dx" RESULT R"(
See Also
--------
gradient_from_output : From what softsign returned, when x is gone.
)" NOTES "The error is below 0.51 ulp, and nothing over- or underflows on the way.\n" LONGDOUBLE
    R"(`dx` has the sign of `dy`; it is `dy` itself for x = +-0 and a zero for +-inf. Where both x and `dy`
are infinite it is nan and raises the invalid flag. No other flag but underflow is raised.
)" SAME_BITS R"(
This is Caffe2's operator SoftsignGradient [1]_. The sign(x) in the numerator of its documentation is neither
in its code nor in the derivative.
)" REFERENCES
    R"(.. [1] Caffe2, ``caffe2/operators/softsign_op.cc``, in the history of
   https://github.com/pytorch/pytorch.
)" EXAMPLES R"(>>> print(softsign.gradient([-1.0, 0.0, 3.0], [2.0, 2.0, -2.0]))
[ 0.5    2.    -0.125]
)";

constexpr char gradient_from_output[] =
    R"(Gradient of softsign from its output, ``dy * (1 - abs(y))**2``.

It saves the memory of the input, which the output may have overwritten.

Parameters
----------
y, dy : )" ARGUMENTS R"(    `y` is what softsign returned, from -1 to 1, `dy` the gradient with respect to it.
)" OPTIONS "dx" RESULT R"(
See Also
--------
gradient : From the input; as accurate for large inputs as for small ones.
)" NOTES R"(For ``abs(y) <= 1`` the error against the formula is below 0.51 ulp, in float64 at most 2 ulp.
)" LONGDOUBLE
    R"(What the rounding of `y` took from x is lost. The relative error against `gradient` grows as
``u * abs(x)``, with u half the machine epsilon (2**-24 in float32), and `dx` is 0 where `y` is +-1: from
``abs(x) = 2 / u`` on, that is 2**25 in float32 and 2**12 in float16.

Where ``1 - abs(y)`` is 0 and `dy` infinite, `dx` is nan and raises the invalid flag. No other flag but
underflow is raised for ``abs(y) <= 1``.
)" SAME_BITS EXAMPLES
    R"(>>> print(softsign.gradient_from_output([-0.5, 0.0, 0.75], [2.0, 2.0, -2.0]))
[ 0.5    2.    -0.125]

What is lost at x = 10,000:

>>> import numpy as np
>>> x, dy = np.float32(1e4), np.float32(1)
>>> print(softsign.gradient(x, dy), softsign.gradient_from_output(softsign.softsign(x), dy))
9.998001e-09 1.0003319e-08
)";

constexpr char nth_derivative[] =
    R"(Derivative of softsign of any order up to 170.

Order 0 is softsign itself, order n > 0 is ``(-sign(x))**(n + 1) * n! / (1 + abs(x))**(n + 1)``. At 0 it is
defined as the mean of the limits from both sides: 0 for even n, n! for odd n.

Parameters
----------
n : array_like of integers
    Orders from 0 to 170, as 171! exceeds float64. Any dtype but uint64.
x : )" ARGUMENT R"(    It is broadcast with `n`; the dtype of the result is that of `x` alone.
)" OPTIONS "y" RESULT R"(ValueError
    If an order is negative or above 170.

See Also
--------
softsign, derivative, second_derivative : Orders 0, 1 and 2.
)" NOTES R"(Up to order 2 the result is that of the functions above, beyond that the error is below 1 ulp.
)" LONGDOUBLE
    R"(Odd bit for bit for even n, even for odd n. For n > 0, +-inf gives a zero; nan gives nan. Where the
result exceeds the dtype, which near 0 it does from n = 9 on in float16 and n = 35 on in bfloat16 and float32,
it is infinite and raises the overflow flag. No other flag but underflow is raised.
)" SAME_BITS EXAMPLES
    R"(>>> print(softsign.nth_derivative([0, 1, 2, 3], 1.0))
[ 0.5    0.25  -0.25   0.375]
>>> print(softsign.nth_derivative(3, [-0.5, 0.0, 0.5]))
[1.18518519 6.         1.18518519]
)";

constexpr char scaled[] =
    R"(Softsign scaled in both directions, ``c softsign(x / c) = x / (1 + abs(x) / c)``.

A soft limiter: x near 0, and between -c and c. It caps logits, clips audio softly, and is the score function
of Fair's robust loss.

Parameters
----------
x, c : )" ARGUMENTS R"(    `c`, one number or one for each channel or element, is 0 or more.
)" OPTIONS "y" RESULT R"(
See Also
--------
scaled_gradient, softsign
)" NOTES
    R"(In float32 and float64 the result is the exact value, rounded once to nearest, ties to even: it is taken if
both ends of an interval around the exact value round to it [1]_, and is decided by exact arithmetic if not.
In float16 and bfloat16 the error is below 0.51 ulp. )" LONGDOUBLE
    R"(Therefore y is odd in x bit for bit, never decreases where x increases, ``abs(y) <= min(abs(x), c)``,
``scaled(x, 1)`` is softsign(x), and a power of two that multiplies x and c multiplies y. x/c neither overflows
nor underflows. x = +-inf gives +-c, c = inf gives x, c = 0 gives a zero with the sign of x; a negative c gives
nan and raises the invalid flag. No other flag but underflow is raised. Complex numbers are not taken.
)" SAME_BITS REFERENCES ZIV EXAMPLES R"(>>> print(softsign.scaled([-3.0, 0.0, 1.0, float("inf")], 3.0))
[-1.5   0.    0.75  3.  ]
>>> import numpy as np
>>> x = np.array([1e300, -10.0, 10.0])
>>> print(softsign.scaled(x, 30.0, out=x))
[30.  -7.5  7.5]
)";

constexpr char scaled_gradient[] =
    R"(Gradient of the scaled softsign, ``dy / (1 + abs(x) / c)**2``.

For back-propagation through ``y = scaled(x, c)``: with `dy` the gradient of a loss with respect to y, the
result is that with respect to x. As y is symmetric in c and the magnitude of x, the gradient with respect to c
is ``np.sign(x) * scaled_gradient(c, abs(x), dy)``, to be summed over the axes that c was broadcast along.

Parameters
----------
x, c, dy : )" ARGUMENTS R"(    `c` is 0 or more.
)" OPTIONS "dx" RESULT R"(
See Also
--------
scaled, gradient
)" NOTES "The error is below 0.51 ulp.\n" LONGDOUBLE
    R"(Nothing overflows or underflows in between. c = inf gives dy, c = 0 and infinite x a zero with the sign of dy,
or nan and the invalid flag where dy is infinite; a negative c gives nan and raises the invalid flag. No other
flag but underflow is raised.
)" SAME_BITS EXAMPLES R"(>>> print(softsign.scaled_gradient([-3.0, 0.0, 9.0, float("inf")], 3.0, 1.0))
[0.25   1.     0.0625 0.    ]
>>> print(softsign.scaled_gradient(3.0, 9.0, 1.0))
0.5625
)";

constexpr char segment_mean[] =
    R"(Mean of softsign over the segment from a to b, the integral of f(a + t (b - a)) over t from 0 to 1.

For ``a != b`` it is ``(F(b) - F(a)) / (b - a)`` with F the antiderivative, and softsign(a) for ``a == b``;
here without the cancellation of that quotient. It is the antialiased softsign of first order of a signal that
goes from a to b [1]_.

Parameters
----------
a, b : )" ARGUMENTS OPTIONS "mean" RESULT R"(
See Also
--------
segment_ramp, segment_moments, antiderivative
)" NOTES SEGMENT_BOUND("4")
        R"(Within -1 and 1; odd in (a, b) bit for bit, and symmetric in a and b up to the sign of a zero. Where one end
is infinite it is the limit, +-1; from -inf to inf it is that of segments from -x to x, 0.
)" QUIET REFERENCES
        R"(.. [1] J. D. Parker, V. Zavalishin and E. Le Bivic, "Reducing the aliasing of nonlinear waveshaping using
   continuous-time convolution", Proceedings of DAFx-16, Brno, 2016, 137-144.
)" EXAMPLES R"(>>> print(softsign.segment_mean([0.0, -1.0, 3.0], [1.0, 1.0, 3.0]))
[0.30685282 0.         0.75      ]

Neighbors, where the quotient of differences is lost:

>>> import numpy as np
>>> a = 1e-3
>>> b = np.nextafter(a, 1)
>>> F = softsign.antiderivative
>>> print(softsign.segment_mean(a, b), (F(b) - F(a)) / (b - a))
0.0009990009990009992 0.0009765625
)";

constexpr char segment_ramp[] =
    R"(Mean of softsign over a segment weighted towards its end, the integral of t f(a + t (b - a)), t from 0 to 1.

The antialiased softsign of second order is made of it: ``segment_ramp(x2, x1) + segment_ramp(x0, x1)`` weights
the signal through x0, x1, x2 with a triangle about x1.

Parameters
----------
a, b : )" ARGUMENTS OPTIONS "ramp" RESULT R"(
See Also
--------
segment_mean, segment_moments
)" NOTES SEGMENT_BOUND("4")
        R"(``segment_ramp(a, b) + segment_ramp(b, a)`` is `segment_mean`, and for ``a == b`` the ramp is softsign(a)/2. Odd
in (a, b) bit for bit. Where one end is infinite it is the limit, +-1/2; from -inf to inf it is that of segments
from -x to x, 1/4.
)" QUIET EXAMPLES R"(>>> print(softsign.segment_ramp([0.0, 1.0, 3.0], [1.0, 0.0, 3.0]))
[0.19314718 0.11370564 0.375     ]
)";

constexpr char segment_moments[] =
    R"(Legendre moments of softsign over a segment, the integrals of P_j(2t - 1) f(a + t (b - a)), t from 0 to 1.

P_0 = 1, P_1(y) = y, P_2(y) = (3 y**2 - 1)/2: the mean, the slope and the curvature of f along the segment.
``m0 + 3 m1 y + 5 m2 P_2(y)`` is the parabola nearest to f on it.

Parameters
----------
a, b : )" ARGUMENTS OPTIONS R"(m0, m1, m2 : ndarray or scalar
    Of the broadcast shape of the arguments and their floating-point dtype.

Raises
------
TypeError
    If an argument has another dtype.

See Also
--------
segment_mean : m0 alone.
segment_ramp : (m0 + m1)/2.
)" NOTES SEGMENT_BOUND("5")
        R"(Odd in (a, b) bit for bit; in a and b, m0 and m2 are symmetric up to the sign of a zero, and m1 is
antisymmetric. Where one end is infinite they are the limits, +-1, 0 and 0; from -inf to inf they are those of
segments from -x to x, 0, 1/2 and 0.
)" QUIET EXAMPLES R"(>>> for moment in softsign.segment_moments([0.0, -1.0, 3.0], [1.0, 1.0, 3.0]):
...     print(moment)
[0.30685282 0.         0.75      ]
[0.07944154 0.19314718 0.        ]
[-0.01091335  0.          0.        ]
)";

constexpr char cpu_features[] = R"(cpu_features()
--

What softsign found on this machine and makes use of.

Returns
-------
dict
    kernels : str
        The kernels in use: avx512, avx2, sse2 or portable. All give the same bits. The environment variable
        SOFTSIGN_KERNELS, read when softsign is imported, chooses others than the best.
    available : tuple of str
        The kernels that this CPU can run, best first.
    last_level_cache : int
        In bytes.
    streams_from : int
        In bytes. Where all arrays of a call together are so large, outputs that share no memory with an input
        are written past the caches, with non-temporal stores.

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

It is what `set_num_threads` was given last. Before that it is the environment variable SOFTSIGN_NUM_THREADS,
read when softsign is imported, or else OMP_NUM_THREADS, or else the number of CPUs that the process may use.

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

Results do not depend on it. Arrays of 2**18 elements and more are shared among threads, at least 2**17
elements each. A forked child process uses one thread, as do calls made while another call has the threads.

Parameters
----------
n : int
    From 1 to 1024.

Raises
------
TypeError
    If `n` is not an integer, or is a bool.
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

constexpr char layer[] = R"(_layer(type, rows, columns, threads, alpha, /, *addresses)
--

gamma softsign(alpha x) + beta over contiguous rows, for softsign.torch. Addresses are those of x, gamma, beta
and the output; for the gradients of x, dy, gamma, dx and 2 columns + 1 float64, which receive dgamma, dbeta and
dalpha. gamma and beta have one element for each column: float64 for float64, else float32.
)";

constexpr char advise_huge_pages[] = R"(_advise_huge_pages(address, bytes, /)
--

Have Linux put memory that is not yet in use into huge pages: a page fault for 2 MiB, not one for every 4 KiB.
Does nothing to what is in use, and nothing where the system has no such pages or gives them to nobody.
)";

constexpr char fir[] = R"(_fir(x, taps, out, /)
--

Filter several streams and add them: ``out[i]`` is the sum over s and k of ``taps[s, k] * x[s, i + k]``.

Products are added one after the other, s first, k within, to 0, each rounded: the bits of an output depend
neither on its place in the array nor on the kernels, so that a signal may be split into blocks anywhere.

Parameters
----------
x : ndarray of float32 or float64, shape (streams, n + taps - 1)
    C-contiguous.
taps : ndarray of the same dtype, shape (streams, taps)
    C-contiguous, with one tap or more.
out : ndarray of the same dtype, shape (n,)
    Contiguous; shares no memory with `x` or `taps`.

Raises
------
TypeError
    If an argument is no such array.
ValueError
    If the shapes do not fit, or `out` shares memory with an input.
)";

constexpr char compute[] = R"(_compute(function, type, n, threads, /, *addresses)
--

Run a function on contiguous memory: what the bindings to other libraries call.

Nothing is known of the memory, so nothing is checked about it.

Parameters
----------
function : int
    Index into ``_functions``.
type : int
    Index into ``_types``.
n : int
    Number of elements.
threads : int
    The most threads to use, from 1 to 1024.
*addresses : int
    Of the inputs and the outputs, as numbers. An input may be the output itself. The order of
    ``nth_derivative`` is a single int64 from 0 to 170.

Raises
------
ValueError
    If the function has no kernel for the type, or a number is out of its range.
)";

constexpr char use_kernels[] = R"(_use_kernels(name, /)
--

Change the kernels in use, for tests and benchmarks.

Parameters
----------
name : str
    One of ``cpu_features()["available"]``.

Raises
------
TypeError
    If `name` is not a str.
ValueError
    If this CPU cannot run those, or there are none of that name.
)";

}  // namespace softsign::docs

#undef DTYPES
#undef ARGUMENT
#undef ARGUMENTS
#undef RESULT
#undef OPTIONS
#undef NOTES
#undef CORRECTLY_ROUNDED
#undef LONGDOUBLE
#undef SAME_BITS
#undef QUIET
#undef REFERENCES
#undef SEGMENT_BOUND
#undef ZIV
#undef EXAMPLES
