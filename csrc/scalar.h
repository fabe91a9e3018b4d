// Long double and complex, one element at a time.
#pragma once
#include "functions.h"
#include "logarithms.h"
#include "ops.h"

namespace softsign {
namespace {
namespace scalar {

template <class Op, Signature signature>
void run(char *const *operands, std::size_t n, Access) {
    auto at = [operands](int k) { return reinterpret_cast<real *>(operands[k]); };
    const real *x = at(0), *z = at(1);
    real *out = at(inputs_of(signature));
    for (std::size_t i = 0; i < n; ++i)
        if constexpr (signature == Signature::unary) {
            out[i] = Op::longdouble(x[i]);
        } else if constexpr (signature == Signature::binary || signature == Signature::scaled) {
            out[i] = Op::longdouble(x[i], z[i]);
        } else if constexpr (signature == Signature::scaled_gradient) {
            out[i] = Op::longdouble(x[i], z[i], at(2)[i]);
        } else if constexpr (signature == Signature::ordered) {
            out[i] = Op::longdouble(reinterpret_cast<const std::int64_t *>(x)[i], z[i]);
        } else {
            int k = 2;
            for (real y : Op::of(x[i], z[i]).v) at(k++)[i] = y;
        }
}

// z/(1 + |z|): keeps the argument of z and maps the plane into the unit disc, infinities onto its rim.
// complex64 is computed in float64, where |z| neither over- nor underflows. For complex128 a large z is
// scaled first: there 1 + |z| is |z|.
struct Complex {
    double re, im;
};
// |x| > 2^1000, by the bits: of __builtin_isgreater Clang makes a comparison that raises INVALID on nan.
inline bool is_large(double x) {
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof x);
    return (bits & INT64_MAX) > 0x7e70000000000000;
}
inline Complex softsign(Complex z) {
    if (__builtin_isinf(z.re) || __builtin_isinf(z.im)) {
        bool both = __builtin_isinf(z.re) && __builtin_isinf(z.im);
        if (__builtin_isnan(z.re) || __builtin_isnan(z.im)) return {__builtin_nan(""), __builtin_nan("")};
        double rim = both ? 0x1.6a09e667f3bcdp-1 : 1;  // sqrt(1/2)
        return {__builtin_copysign(__builtin_isinf(z.re) ? rim : 0, z.re),
                __builtin_copysign(__builtin_isinf(z.im) ? rim : 0, z.im)};
    }
    double one = 1;
    if (is_large(z.re) || is_large(z.im)) z = {z.re * 0x1p-100, z.im * 0x1p-100}, one = 0x1p-100;
    double t = one + __builtin_hypot(z.re, z.im);
    return {z.re / t, z.im / t};
}
template <class T>
void complex_softsign(char *const *operands, std::size_t n, Access) {
    const T *z = reinterpret_cast<const T *>(operands[0]);
    T *w = reinterpret_cast<T *>(operands[1]);
    for (std::size_t i = 0; i < 2 * n; i += 2) {
        Complex r = softsign(Complex{z[i], z[i + 1]});
        w[i] = static_cast<T>(r.re), w[i + 1] = static_cast<T>(r.im);
    }
}

}  // namespace scalar
}  // namespace
}  // namespace softsign
