// Long double and complex, by the plain formulas, one element at a time.
#pragma once
#include "kernels.h"

namespace softsign {
namespace {
namespace scalar {

using real = long double;

inline real magnitude(real x) { return __builtin_fabsl(x); }
inline real signed_as(real a, real x) { return __builtin_copysignl(a, x); }
inline bool infinite(real x) { return __builtin_isinf(x); }

inline real softsign(real x) { return infinite(x) ? signed_as(1, x) : x / (1 + magnitude(x)); }
inline real derivative(real x) {
    real r = 1 / (1 + magnitude(x));
    return r * r;
}
inline real inverse(real y) {
    bool beyond = __builtin_isgreater(magnitude(y), real(1));
    volatile real zero = 0;  // 0/0 at run time: nan with INVALID
    return beyond ? zero / zero : y / (1 - magnitude(y));
}
inline real second_derivative(real x) {
    real r = 1 / (1 + magnitude(x));
    return x == 0 ? x : signed_as(2 * r * r * r, -x);
}
inline real log_jacobian(real x) { return -2 * __builtin_log1pl(magnitude(x)); }
// With r = |x|/(2 + |x|): F = r |x| - 2 (r^3/3 + r^5/5 + ...), G = r x^2 (1/3 + r^2/15 + r^4/35 + ...).
inline real antiderivative(real x) {
    real a = magnitude(x);
    if (infinite(x) || !__builtin_islessequal(a, real(0.5))) return infinite(x) ? a : a - __builtin_log1pl(a);
    real r = a / (2 + a), sum = 0;
    for (int k = 15; k >= 1; --k) sum = (sum + real(2) / (2 * k + 1)) * (r * r);
    return r * a - r * sum;
}
inline real second_antiderivative(real x) {
    real a = magnitude(x);
    if (infinite(x)) return x;
    if (!__builtin_islessequal(a, real(1))) {
        real l = __builtin_log1pl(a);
        return signed_as(a * (a / 2 + (1 - l)) - l, x);
    }
    real r = a / (2 + a), sum = 0;
    for (int k = 21; k >= 0; --k) sum = sum * (r * r) + real(1) / ((2 * k + 1) * (2 * k + 3));
    return signed_as(a * a * r * sum, x);
}
inline real gradient(real x, real dy) {
    real r = 1 / (1 + magnitude(x));
    return dy * r * r;
}
inline real gradient_from_output(real y, real dy) {
    real s = 1 - magnitude(y);
    return dy * s * s;
}
inline real nth_derivative(long long n, real x) {
    if (n == 0) return softsign(x);
    real r = 1 / (1 + magnitude(x)), v = r;
    for (long long k = 1; k <= n; ++k) v *= k * r;
    if (n % 2 || __builtin_isnan(x)) return v;
    return x == 0 ? x : signed_as(v, -x);
}

template <real (*f)(real)>
void unary(const void *a, const void *, void *y, std::size_t n, Access) {
    for (std::size_t i = 0; i < n; ++i) static_cast<real *>(y)[i] = f(static_cast<const real *>(a)[i]);
}
template <real (*f)(real, real)>
void binary(const void *a, const void *b, void *y, std::size_t n, Access) {
    for (std::size_t i = 0; i < n; ++i)
        static_cast<real *>(y)[i] = f(static_cast<const real *>(a)[i], static_cast<const real *>(b)[i]);
}
inline void nth(const void *a, const void *b, void *y, std::size_t n, Access) {
    for (std::size_t i = 0; i < n; ++i)
        static_cast<real *>(y)[i] =
            nth_derivative(static_cast<const std::int64_t *>(a)[i], static_cast<const real *>(b)[i]);
}

// z/(1 + |z|): keeps the argument of z and maps the plane into the unit disc, infinities onto its rim. complex64 is
// computed in float64, where |z| neither over- nor underflows. For complex128 a large z is scaled first: there 1 + |z|
// is |z|.
struct Complex {
    double re, im;
};
inline Complex softsign(Complex z) {
    if (__builtin_isinf(z.re) || __builtin_isinf(z.im)) {
        bool both = __builtin_isinf(z.re) && __builtin_isinf(z.im);
        if (__builtin_isnan(z.re) || __builtin_isnan(z.im)) return {__builtin_nan(""), __builtin_nan("")};
        double rim = both ? 0x1.6a09e667f3bcdp-1 : 1;  // sqrt(1/2)
        return {__builtin_copysign(__builtin_isinf(z.re) ? rim : 0, z.re),
                __builtin_copysign(__builtin_isinf(z.im) ? rim : 0, z.im)};
    }
    double one = 1;
    if (__builtin_isgreater(__builtin_fabs(z.re), 0x1p1000) || __builtin_isgreater(__builtin_fabs(z.im), 0x1p1000))
        z = {z.re * 0x1p-100, z.im * 0x1p-100}, one = 0x1p-100;
    double t = one + __builtin_hypot(z.re, z.im);
    return {z.re / t, z.im / t};
}
template <class T>
void complex_softsign(const void *a, const void *, void *y, std::size_t n, Access) {
    const T *z = static_cast<const T *>(a);
    T *w = static_cast<T *>(y);
    for (std::size_t i = 0; i < 2 * n; i += 2) {
        Complex r = softsign(Complex{z[i], z[i + 1]});
        w[i] = static_cast<T>(r.re), w[i + 1] = static_cast<T>(r.im);
    }
}

constexpr Kernel find(Function f, Type t) {
    if (t == Type::complex64) return f == Function::softsign ? complex_softsign<float> : nullptr;
    if (t == Type::complex128) return f == Function::softsign ? complex_softsign<double> : nullptr;
    switch (f) {
        case Function::softsign: return unary<softsign>;
        case Function::derivative: return unary<derivative>;
        case Function::inverse: return unary<inverse>;
        case Function::second_derivative: return unary<second_derivative>;
        case Function::antiderivative: return unary<antiderivative>;
        case Function::second_antiderivative: return unary<second_antiderivative>;
        case Function::log_jacobian: return unary<log_jacobian>;
        case Function::gradient: return binary<gradient>;
        case Function::gradient_from_output: return binary<gradient_from_output>;
        case Function::nth_derivative: return nth;
        default: return nullptr;
    }
}

}  // namespace scalar
}  // namespace
}  // namespace softsign
