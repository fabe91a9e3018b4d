// The functions: one struct each, with the derivation of its arithmetic and of its error.
//
// Every struct has `longdouble`, the formula in long double, and `plain`, the formula in V's own arithmetic,
// safe at +-inf and free of spurious flags:
//   float16, bfloat16   plain in float32, rounded once more;
//   float32             plain in float64, rounded once. This *defines* the float32 result;
//   float64             `fast` and `careful` where the struct has them, else plain.
// `correct` replaces the few results that lie so near a midpoint that the wider format rounds to it.
//
// `fast` computes a result in V's own precision together with proof that it is the correctly rounded one: two
// values that enclose the exact result and round to the same number. Lanes where they differ are marked in
// `doubt` (Ziv's test), and lanes with |x| >= limit are not attempted. Such lanes go to the float64 definition
// (float32) or to `careful` (float64), which decides by exact arithmetic. So every instruction set returns the
// same bits.
//
// Notation: u is the unit roundoff (2^-24 or 2^-53), t + e the exact value of 1 + |x| or 1 - |x|.
#pragma once
#include "exact.h"
#include "simd.h"

namespace softsign {
namespace {

template <class V>
struct Enclosure;  // 2u; the factors derived in `quotient`; the relative half-width of `Derivative::fast`
template <>
struct Enclosure<vf> {
    static constexpr float epsilon = 0x1p-23f, below = 1 - 0x1p-21f, above = 1 + 0x1p-20f, width = 0x1p-42f;
    static constexpr int32_t limit = 0x4b800000, one = 0x3f800000;  // 2^24, below which t - 1 is exact; 1
    static constexpr bool available = has_fma;                      // without fma the definition is as fast
    static vi beyond_scales(vf c) { return ((vi)c < 0x21800000) | ((vi)c > 0x5d800000); }  // 2^-60, 2^60
};
template <>
struct Enclosure<vd> {
    static constexpr double epsilon = 0x1p-52, below = 1 - 0x1p-50, above = 1 + 0x1p-49, width = 0x1p-100;
    static constexpr int64_t limit = 0x4340000000000000, one = 0x3ff0000000000000;  // 2^53; 1
    static constexpr bool available = true;
    static vl beyond_scales(vd c) {
        return ((vl)c < 0x2d30000000000000) | ((vl)c > 0x52b0000000000000);  // 2^-300, 2^300
    }
};

using real = long double;
template <>
struct Lanes<real> {
    using Scalar = real;
    using Bits = bool;
};

inline real abs(real x) { return __builtin_fabsl(x); }
inline real with_sign_of(real magnitude, real x) { return __builtin_copysignl(magnitude, x); }
inline bool is_inf(real x) { return __builtin_isinf(x); }

template <class V>
struct TwoPart {
    V t, e;
};

// 1 + a exactly, 0 <= a < limit: t - 1 has no rounding error, so Fast2Sum gives e in either order.
template <class V>
inline TwoPart<V> one_plus(V a) {
    V t = 1 + a;
    return {t, a - (t - 1)};
}
template <class V>
inline TwoPart<V> two_sum(V a, V b) {
    V s = a + b, z = s - a;
    return {s, (a - (s - z)) + (b - z)};
}
// 1 - a exactly, 0 <= a <= 1.
template <class V>
inline TwoPart<V> one_minus(V a) {
    V t = 1 - a;
    return {t, (1 - t) - a};
}

// x/(t + e), correctly rounded or marked in doubt.
//
// c = (1 - 8u)/t, q = x c and the residual r = q(t+e) - x give the exact quotient as q - r/(t+e). The bias of
// c keeps r near -8u x, so that its two roundings, that of c and e/t <= u together stay below 4.6 u of it,
// and 1/(t+e) lies surely between c and c(1 + 16u). The two ends of that interval enclose the quotient. They
// are 176 u^2 apart at most, so that one float32 element in 2^16 is in doubt. r is formed with its sign such
// that x = -0 gives -0.
template <class V>
inline V quotient(V x, TwoPart<V> d, Bits<V> &doubt) {
    V c = splat<V>(Enclosure<V>::below) / d.t;
    V q = x * c;
    V r = fma(q, d.e, fma(q, d.t, -x));
    V y1 = fnma(r, c, q), y2 = fnma(r, c * Enclosure<V>::above, q);
    doubt |= (Bits<V>)y1 ^ (Bits<V>)y2;
    return has_fma ? y1 : with_sign_of(y1, x);
}

// What the rounded product p = ab has lost, or 0 where it is too small to tell exactly.
inline vd product_low(vd a, vd b, vd p) {
    return magnitude_bits(p) > (vl)splat<vd>(0x1p-900) ? fma(a, b, -p) : vd{};
}

// c[0] + c[1] z + ... + c[N-1] z^(N-1), even and odd terms apart: half the latency of one chain.
template <class V, int N>
inline V polynomial(const double (&c)[N], V z) {
    V w = z * z, high = splat<V>(c[N - 1]), low = splat<V>(c[N - 2]);  // of which one is even, one odd
    for (int k = N - 2; k-- > 0;) (k % 2 == N % 2 ? low : high) = (k % 2 == N % 2 ? low : high) * w + c[k];
    return N % 2 ? high + z * low : low + z * high;
}

template <class Function>
inline vf in_double(vf x, Function f) {
    vd2 w = widen(x);
    return narrow({f(w.lo), f(w.hi)});
}

// One result on the way to float32: where |x| has the bits `input`, it has the bits `result`.
inline vf replace(vf y, vf x, int32_t input, int32_t result) {
    return magnitude_bits(x) == input ? with_sign_of((vf)(vi{} + result), y) : y;
}

template <class V>
inline V keep_nan(V y, V x) {
    return x != x ? x : y;
}

// x/(1 + |x|).
struct Softsign {
    template <class V>
    static constexpr bool has_fast = Enclosure<V>::available;
    template <class V>
    static constexpr auto limit = Enclosure<V>::limit;
    template <class V>
    static V plain(V x) {
        V a = abs(x);
        a = is_inf(x) ? splat<V>(0x1p100f) : a;
        return with_sign_of(a / (1 + a), x);
    }
    template <class V>
    static V fast(V x, Bits<V> &doubt) {
        return quotient(x, one_plus(abs(x)), doubt);
    }
    static double careful(double x) { return exact::softsign(x); }
    static real longdouble(real x) { return is_inf(x) ? with_sign_of(1, x) : x / (1 + abs(x)); }
};

// y/(1 - |y|): +-inf with DIVBYZERO at +-1, nan with INVALID beyond.
struct Inverse {
    template <class V>
    static constexpr bool has_fast = Enclosure<V>::available;
    template <class V>
    static constexpr auto limit = Enclosure<V>::one;
    template <class V>
    static V plain(V y) {
        V a = abs(y);
        auto beyond = (magnitude_bits(y) > (Bits<V>)splat<V>(1)) & (magnitude_bits(y) <= Lanes<V>::inf);
        V denominator = beyond ? V{} : 1 - a;
        return with_sign_of((beyond ? V{} : a) / denominator, y);
    }
    template <class V>
    static V fast(V y, Bits<V> &doubt) {
        return quotient(y, one_minus(abs(y)), doubt);
    }
    static double careful(double y) { return exact::inverse(y); }
    static real longdouble(real y) {
        bool beyond = __builtin_isgreater(abs(y), real(1));
        volatile real zero = 0;  // 0/0 at run time: nan with INVALID
        return beyond ? zero / zero : y / (1 - abs(y));
    }
};

// c = 1/t, g = 2(1 - c(t+e)) < 4u, so that (t+e)^-k = c^k (1 + kg/2 + ...). All but the last fnma is exact.
template <class V>
struct Reciprocal {
    V c, g;
    explicit Reciprocal(V a) {
        const V two = splat<V>(2);
        V t2 = has_fma ? fma(a, two, two) : a + a + 2;            // 2t
        V e2 = has_fma ? fma(a, two, 2 - t2) : a + a - (t2 - 2);  // 2e
        c = 2 / t2;
        g = fnma(t2, c, two);
        g = has_fma && sizeof(Scalar<V>) == 4 ? fnma(e2, c, g) : g - e2 * c;
    }
};

// 1/(1 + |x|)^2.
struct Derivative {
    template <class V>
    static constexpr bool has_fast = Enclosure<V>::available;
    template <class V>
    static constexpr auto limit = Enclosure<V>::limit;
    template <class V>
    static V plain(V x) {
        V r = 1 / (1 + abs(x));
        return r * r;
    }

    // c^2 (1 + g) with c^2 exact inside an fma. The neglected 3 g^2/4 <= 3 u^2 * 4 and the roundings of c^2
    // g, g and their product sum to less than 16 u^2 = width/4.
    template <class V>
    static V fast(V x, Bits<V> &doubt) {
        Reciprocal<V> r(abs(x));
        V p = r.c * r.c, m = p * r.g;
        V y1 = fma(r.c, r.c, fma(p, splat<V>(-Enclosure<V>::width), m));
        V y2 = fma(r.c, r.c, fma(p, splat<V>(Enclosure<V>::width), m));
        doubt |= (Bits<V>)y1 ^ (Bits<V>)y2;
        return y1;
    }
    static double careful(double x) { return exact::derivative(x); }
    static real longdouble(real x) {
        real r = 1 / (1 + abs(x));
        return r * r;
    }
};

// -2 sgn(x)/(1 + |x|)^3 and, by definition, f''(+-0) = +-0: the mean of the one-sided limits -2 and 2.
// Bound 1 ulp. Worst found in float64, 0.500000: x 0x1.35555558fa8e6p-51, want -0x1.ffffffffffff17ffp+0, got
// -0x1.ffffffffffff1p+0. In float16 0.500086 (0x1.2bp-11): the float32 result is rounded once more.
struct SecondDerivative {
    template <class V>
    static constexpr bool has_fast = sizeof(Scalar<V>) == 8;
    template <class V>
    static constexpr auto limit = Enclosure<V>::limit;
    template <class V>
    static V plain(V x) {
        V r = 1 / (1 + abs(x));
        return finish((r * r) * (r + r), x);
    }
    template <class V>
    static V finish(V magnitude, V x) {
        return magnitude_bits(x) == 0 ? x : with_sign_of(magnitude, -x);
    }

    // c^3 (1 + 3g/2) as an exact product and a small sum: below 0.51 ulp. Every step is either exact or
    // rounded once on every instruction set, so the bits agree without a proof of correct rounding.
    static vd fast(vd x, vl &) {
        Reciprocal<vd> r(abs(x));
        vd p = r.c * r.c, p_low = fma(r.c, r.c, -p);
        vd q = p * r.c, q_low = fma(p, r.c, -q);
        vd low = q_low + (p_low * r.c + q * (1.5 * r.g));
        return finish(2 * (q + low), x);
    }
    static double careful(double x) { return exact::second_derivative(x); }
    static real longdouble(real x) {
        real r = 1 / (1 + abs(x));
        return x == 0 ? x : with_sign_of(2 * r * r * r, -x);
    }
};

// dy/(1 + |x|)^2: SoftsignGradient.
// Bound 1 ulp. Worst found in float64, 0.500000: x -0x1.a74d3c843ff2ep+24, dy -0x1.4157f967686c4p-443, want
// -0x1.d61ef49b77f55801p-493, got -0x1.d61ef49b77f56p-493. In float16 0.500171 (0x1.a1cp-7, 11032).
struct Gradient {
    // In float32 the definition's two float64 divisions are the cheaper way on 32-byte vectors (3.6 against
    // 5.0 ns for 8 elements on Zen 3); for 64 bytes they cost twice as much.
    template <class V>
    static constexpr bool has_fast = sizeof(Scalar<V>) == 8 || vector_bytes == 64;
    template <class V>
    static constexpr auto limit = Enclosure<V>::limit;

    template <class V>
    static V plain(V x, V dy) {
        V r = 1 / (1 + abs(x));
        return (dy * r) * r;
    }
    // Where |dy| lies between these powers of two, no product of `fast` over- or underflows.
    static vi outside(vf dy) { return beyond(dy, 0x26800000, 0x7b000000); }                  // 2^-50, 2^119
    static vl outside(vd dy) { return beyond(dy, 0x0df0000000000000, 0x7d00000000000000); }  // 2^-800, 2^977
    template <class V>
    static Bits<V> beyond(V dy, typename Lanes<V>::Int low, typename Lanes<V>::Int high) {
        Bits<V> bits = magnitude_bits(dy);
        return (bits < low) | (bits > high);
    }
    // dy c^2 (1 + g), c^2 and its product with dy exact in two parts. In float64 their sum is the result,
    // below 0.51 ulp: every step is exact or rounded once on every instruction set.
    static vd fast(vd x, vd dy, vl &) {
        Reciprocal<vd> r(abs(x));
        vd p = r.c * r.c, p_low = fma(r.c, r.c, -p) + p * r.g;
        vd h = dy * p, h_low = fma(dy, p, -h) + dy * p_low;
        return with_sign_of(h + h_low, dy);
    }
#if defined(__AVX512F__)
    // In float32 it is enclosed as in `Derivative::fast`, with the same width: the product adds two roundings
    // of the low part, 8 u^2.
    static vf fast(vf x, vf dy, vi &doubt) {
        const float width = Enclosure<vf>::width;
        Reciprocal<vf> r(abs(x));
        vf p = r.c * r.c, p_low = fma(p, r.g, fma(r.c, r.c, -p));
        vf h = dy * p, h_low = fma(dy, p_low, fma(dy, p, -h));
        vf y1 = h + fma(h, splat<vf>(-width), h_low), y2 = h + fma(h, splat<vf>(width), h_low);
        doubt |= (vi)y1 ^ (vi)y2;
        return y1;
    }
#endif
    static double careful(double x, double dy) { return exact::gradient(x, dy); }
    static real longdouble(real x, real dy) {
        real r = 1 / (1 + abs(x));
        return dy * r * r;
    }
};

// A function whose second argument, if that is one number, comes to `fast` as `Scale`.
struct ByScale {};

// One scale c for all x, with which 1 + |x|/c takes one operation more than 1 + |x|.
template <class V>
struct Scale {
    V c, z, z_low;  // z + z_low = 1/c up to 2u^2, as 1 - cz is exact
    Bits<V> limit;  // of |x|, that t stays below 2^22 or 2^51; 0 where z_low might underflow

    explicit Scale(Scalar<V> number) : c(splat<V>(number)) {
        const Bits<V> beyond = Enclosure<V>::beyond_scales(c);
        const V inside = beyond ? splat<V>(1) : c;
        z = 1 / inside, z_low = z * fnma(inside, z, splat<V>(1));
        limit = beyond ? Bits<V>{} : (Bits<V>)(inside * (0.5f / Enclosure<V>::epsilon));
    }
    // 1 + a/c as t + e. t - 1 is exact, and e rounded twice, by u^2 t and by 2u^2 t: |e| <= 2u t, and t + e is
    // right up to 5u^2 t.
    TwoPart<V> one_plus(V a) const {
        V t = fma(a, z, splat<V>(1));
        return {t, fma(a, z_low, fma(a, z, 1 - t))};
    }
};

// x/(1 + |x|/c) = x c/(c + |x|), odd in x: x where c is infinite, +-c where x is, +-0 where c is 0; INVALID
// for c < 0.
struct Scaled : ByScale {
    // Beyond these magnitudes of x and outside these of c the product x c might not be exact in two parts.
    template <class V>
    static constexpr bool has_fast = Enclosure<V>::available;
    template <class V>
    static constexpr typename Lanes<V>::Int limit = sizeof(Scalar<V>) == 4 ? 0x5f800000           // 2^64
                                                                           : 0x58f0000000000000;  // 2^400
    static vi outside(vf c) { return beyond(c, 0x2b800000, 0x53800000); }                  // 2^-40, 2^40
    static vl outside(vd c) { return beyond(c, 0x3370000000000000, 0x4c70000000000000); }  // 2^-200, 2^200
    template <class V>
    static Bits<V> beyond(V c, typename Lanes<V>::Int low, typename Lanes<V>::Int high) {
        return ((Bits<V>)c < low) | ((Bits<V>)c > high);
    }
    static vi tiny(vf x) { return (magnitude_bits(x) < 0x21800000) & (magnitude_bits(x) != 0); }  // 2^-60
    static vl tiny(vd x) {
        return (magnitude_bits(x) < 0x26f0000000000000) & (magnitude_bits(x) != 0);  // 2^-400
    }

    // Correctly rounded or marked in doubt, as in `quotient`, with the numerator p + l = x c.
    //
    // k = (1 - 12u)/t up to u, q = p k up to u, e/t and l/p are u at most: the residual r = q(t+e) - (p+l) lies
    // between -16.1u p and -7.9u p. Its three roundings are 2u r and 2u^2 p, 4.4u of it at most, and 1/(t+e) is
    // k (1 + 12u +- 2.1u), so that the exact quotient q - r/(t+e) lies between q - r k and q - r k (1 + 20u).
    // 20 units of the last place of k are 20u k or more. The ends are at most 680 u^2 apart.
    template <class V>
    static V fast(V x, V c, Bits<V> &doubt) {
        TwoPart<V> d = two_sum(c, abs(x));
        V k = splat<V>(1 - 6 * Enclosure<V>::epsilon) / d.t, k_above = (V)((Bits<V>)k + 20);
        V p = x * c, q = p * k;
        V r = fma(q, d.t, -p) + fma(q, d.e, -fma(x, c, -p));
        V y1 = fnma(r, k, q), y2 = fnma(r, k_above, q);
        doubt |= ((Bits<V>)y1 ^ (Bits<V>)y2) | tiny(x);
        return has_fma ? y1 : with_sign_of(y1, x);
    }
    // With one scale, x/(t + e) for t + e as `Scale` gives it. e/t is 2u at most, k and q as above, so that r =
    // q(t+e) - x lies between -16.1u x and -7.9u x; its two roundings are 30u^2 x or 3.8u r, 1/(t+e) is k (1 + 12u
    // +- 3.1u), and what t + e lacks is 5u^2 q or 0.7u r k: between 4u and 20u together.
    template <class V>
    static V fast(V x, const Scale<V> &scale, Bits<V> &doubt) {
        TwoPart<V> d = scale.one_plus(abs(x));
        V k = splat<V>(1 - 6 * Enclosure<V>::epsilon) / d.t, k_above = (V)((Bits<V>)k + 20);
        V q = x * k, r = fma(q, d.e, fma(q, d.t, -x));
        V y1 = fnma(r, k, q), y2 = fnma(r, k_above, q);
        doubt |= (Bits<V>)y1 ^ (Bits<V>)y2;
        return has_fma ? y1 : with_sign_of(y1, x);
    }
    static double careful(double x, double c) { return exact::scaled(x, c); }

    // With the lower and the greater of |x| and c, low/(1 + low/high), which neither overflows nor underflows
    // in between. Five halves of u at most.
    template <class V>
    static V formula(V x, V c) {
        const Bits<V> greater = magnitude_bits(x) > magnitude_bits(c), equal = abs(x) == abs(c);
        V low = abs(greater ? c : x), high = abs(greater ? x : c);
        V ratio = (equal ? splat<V>(1) : low) / (equal ? splat<V>(1) : high);
        const Bits<V> below = is_negative(c);  // 0/0
        return with_sign_of((below ? V{} : low) / (below ? V{} : 1 + ratio), x);
    }
    template <class V>
    static Bits<V> is_negative(V c) {  // not -0
        return ((Bits<V>)c < 0) & (magnitude_bits(c) > 0) & (magnitude_bits(c) <= Lanes<V>::inf);
    }
    static vf plain(vf x, vf c) { return formula(x, c); }

    // For float32, whose midpoints the exact value may be nearer to than float64 tells, or on: where it lies
    // within 8 units of one, and where float32 is subnormal, exact arithmetic decides.
    static vd plain(vd x, vd c) {
        vd y = formula(x, c);
        const vl bits = magnitude_bits(y), rest = bits & ((1 << 29) - 1);
        vl near = (rest >= (1 << 28) - 8) & (rest <= (1 << 28) + 8);
        near |= (bits < 0x3820000000000000) & (bits != 0);  // 2^-125
        if (any(near))
            for (int lane = 0; lane < double_lanes; ++lane)
                if (near[lane]) y[lane] = exact::scaled((float)x[lane], (float)c[lane]);
        return y;
    }
    static real longdouble(real x, real c) {
        volatile real zero = 0;  // 0/0 at run time: nan with INVALID
        if (__builtin_isnan(x) || __builtin_isnan(c)) return x + c;
        if (c < 0) return zero / zero;
        const real a = abs(x), low = a < c ? a : abs(c), high = a < c ? c : a;
        return with_sign_of(low == high ? low / 2 : low / (1 + low / high), x);
    }
};

// dy (c/(c + |x|))^2, the gradient of `Scaled` in x: dy where c is infinite, dy 0 where it is 0.
struct ScaledGradient {
    template <class V>
    static constexpr bool has_fast = sizeof(Scalar<V>) == 8;
    template <class V>
    static constexpr int64_t limit = 0x4950000000000000;  // 2^150
    // |c| within 2^+-150 and |dy| between 2^-300 and 2^300, or 0: no product of `fast` over- or underflows.
    static vl outside(vd c, vd dy) {
        return Scaled::beyond(c, 0x3690000000000000, 0x4950000000000000) |
               (Scaled::beyond(abs(dy), 0x2d30000000000000, 0x52b0000000000000) & (magnitude_bits(dy) != 0));
    }

    // rho = c/(t + e) = s + h, s rounded and h its error, so that rho^2 = s^2 + 2 s h and 3u^2 of it. Then as
    // `Gradient::fast`.
    static vd fast(vd x, vd c, vd dy, vl &) {
        TwoPart<vd> d = two_sum(c, abs(x));
        vd k = 1 / d.t, s = c * k;
        vd h = (fnma(s, d.t, c) - s * d.e) * k;
        vd p = s * s, p_low = fma(s, s, -p) + 2 * (s * h);
        vd g = dy * p, g_low = fma(dy, p, -g) + dy * p_low;
        return with_sign_of(g + g_low, dy);
    }
    static double careful(double x, double c, double dy) { return exact::scaled_gradient(x, c, dy); }

    // rho by the ratio of the lower of |x| and c to the greater, which does not overflow.
    static vf plain(vf x, vf c, vf dy) {
        const vf one = splat<vf>(1);
        const vi greater = magnitude_bits(x) > magnitude_bits(c), equal = abs(x) == abs(c);
        vf low = abs(greater ? c : x), high = abs(greater ? x : c);
        vf ratio = (equal ? (is_inf(c) ? vf{} : one) : low) / (equal ? one : high);
        const vi lost = (ratio == 0) & (low != 0) & ~is_inf(high);
        ratio = lost ? splat<vf>(0x1p-149f) : ratio;  // so that infinite dy stays so
        vf top = (equal & (magnitude_bits(c) == 0)) ? vf{} : greater ? ratio : one;
        return times_square(dy, top, 1 + ratio, c);
    }
    // For float32.
    static vd plain(vd x, vd c, vd dy) {
        const vd one = splat<vd>(1);
        vd b = abs(c), t = abs(x) + b;
        const vl one_below = (is_inf(c) & is_inf(t)) | (t == 0);
        return times_square(dy, is_inf(c) ? one : b, one_below ? one : t, c);
    }
    template <class V>
    static V times_square(V dy, V top, V bottom, V c) {  // dy (top/bottom)^2, or nan where c < 0
        const Bits<V> below = Scaled::is_negative(c);
        V r = (below ? V{} : top) / (below ? V{} : bottom);
        return (dy * r) * r;
    }
    static real longdouble(real x, real c, real dy) {
        volatile real zero = 0;  // 0/0 at run time: nan with INVALID
        if (__builtin_isnan(x) || __builtin_isnan(c)) return x + c;
        if (c < 0) return zero / zero;
        const real a = abs(x);
        if (c == 0 || (is_inf(a) && !is_inf(c))) return dy * 0;
        if (is_inf(c) || is_inf(dy)) return dy;
        const real r = a > c ? (c / a) / (1 + c / a) : 1 / (1 + a / c);
        return (dy * r) * r;
    }
};

// A function that `plain` computes in every type.
struct Direct {
    template <class V>
    static constexpr bool has_fast = false;
};

// dy (1 - |y|)^2, the gradient from the output: for |y| <= 1 two roundings of that expression. What y has
// lost it cannot restore: the relative error against dy/(1 + |x|)^2 grows as u |x|, and from |y| = 1 on the
// result is 0. Bound 2 ulp. Worst found in float64, 1.477: y 0x1.fffd2a86f4421p-1, dy 0x1.fab0306ff0e12p+0,
// want 0x1.fca4a6c55333a7ap-31, got 0x1.fca4a6c553339p-31.
struct GradientFromOutput : Direct {
    static vf plain(vf y, vf dy) {
        vf s = 1 - abs(y);
        return (dy * s) * s;
    }
    static vd plain(vd y, vd dy) {
        vl within = magnitude_bits(y) < Enclosure<vd>::one;
        TwoPart<vd> d = one_minus(within ? abs(y) : vd{});  // elsewhere 1, which raises nothing
        vd p = d.t * d.t, low = fma(d.t, d.t, -p) + 2 * d.e * d.t;
        vd s = 1 - abs(y);
        return within ? dy * (p + low) : (dy * s) * s;
    }
    static real longdouble(real y, real dy) {
        real s = 1 - abs(y);
        return dy * s * s;
    }
};

// log1p(a) = hi + lo for 0 <= a finite: 1 + a = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f/(2 +
// f), and log m = 2 artanh(s) = f - (f^2/2 - s (f^2/2 + R)), R = 2 s^2/3 + 2 s^4/5 + ...; |s| < 0.1716, so
// that eleven terms leave 2^-60. hi = k log 2 + f holds the leading bits; lo is computed to about 2^-56.
struct Log1p {
    vd hi, lo;

    explicit Log1p(vd a) {
        typedef uint64_t vu __attribute__((vector_size(vector_bytes)));
        vd u = 1 + a;
        vu k = ((vu)u + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd)) >>
               52;  // exponent + 1023, turning at sqrt(1/2)
        vd m = (vd)((vu)u - ((k - 1023) << 52));
        vl unit = k == 1023;
        vd f = unit ? a : m - 1;
        vd lost = unit ? vd{} : a - (u - 1);  // of 1 + a, by rounding
        vd kd = (vd)(k + 0x4330000000000000) - (0x1p52 + 1023);
        vd s = f / (2 + f), z = s * s, half = 0.5 * f * f;
        constexpr double c[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                                2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};
        vd rest = (s * (half + z * polynomial(c, z)) - product_low(0.5 * f, f, half)) - half;
        const double ln2_hi = 0x1.62e42fee00000p-1, ln2_lo = 0x1.a39ef35793c76p-33;  // k ln2_hi is exact
        vd kl = kd * ln2_hi;
        hi = kl + f;
        lo = (kd * ln2_lo + lost / u) + (f - (hi - kl)) + rest;
    }
};

// log f'(x) = -2 log1p|x|.
// Bound 2 ulp. Worst found in float64, 0.770: x 0x1.a7dba089a2764p-2, want -0x1.62ae75f21a0113bp-1, got
// -0x1.62ae75f21a012p-1.
struct LogJacobian : Direct {
    static vf plain(vf x) {
        return in_double(x, [](vd w) { return plain(w); });
    }
    static vd plain(vd x) {
        vd a = is_inf(x) ? vd{} : abs(x);
        Log1p l(a);
        vd y = -2 * (l.hi + l.lo);
        return keep_nan(is_inf(x) ? -abs(x) : y, x);
    }
    static real longdouble(real x) { return -2 * __builtin_log1pl(abs(x)); }
};

// F(x) = |x| - log1p|x|, F' = softsign. |x| - hi is 0 where 1 + |x| < sqrt(2), which leaves the series of
// log1p without its first term: no cancellation.
// Bound 1 ulp, in float64 2. Worst found, 1.544: x 0x1.94b367f999825p-2, want 0x1.fd44ebd23033c75p-5, got
// 0x1.fd44ebd23033ep-5.
struct Antiderivative : Direct {
    static vf plain(vf x) {
        return in_double(x, [](vd w) { return plain(w); });
    }
    static vd plain(vd x) {
        vd a = is_inf(x) ? vd{} : abs(x);
        Log1p l(a);
        vd d = a - l.hi, e = (a - d) - l.hi;
        return keep_nan(is_inf(x) ? abs(x) : d + (e - l.lo), x);
    }
    // With r = |x|/(2 + |x|): F = r |x| - 2 (r^3/3 + r^5/5 + ...).
    static real longdouble(real x) {
        real a = abs(x);
        if (is_inf(x) || !__builtin_islessequal(a, real(0.5))) return is_inf(x) ? a : a - __builtin_log1pl(a);
        real r = a / (2 + a), sum = 0;
        for (int k = 15; k >= 1; --k) sum = (sum + real(2) / (2 * k + 1)) * (r * r);
        return r * a - r * sum;
    }
};

// G(x) = sgn(x) [x^2/2 + |x| - (1 + |x|) log1p|x|], G' = F.
//   |x| <= 1:  with r = |x|/(2 + |x|), G = r x^2 (1/3 + r^2/15 + r^4/35 + ...), term r^2k/((2k+1)(2k+3)), all
//              positive;
//   else:      the terms as exact products and sums; from 2^60 on x^2/2 is the whole of it.
// Bound 1 ulp, in float64 4. Worst found, 2.780: x 0x1.25c54b911a987p-4, want 0x1.f210ea70e24a9c8p-15, got
// 0x1.f210ea70e24a7p-15.
struct SecondAntiderivative : Direct {
    static vf plain(vf x) {
        return in_double(x, [](vd w) { return plain(w); });
    }
    static vd plain(vd x) {
        vd a = abs(x);
        vl huge = magnitude_bits(x) > (vl)splat<vd>(0x1p60), beyond = magnitude_bits(x) > (vl)splat<vd>(1);
        vd y = small(huge ? vd{} : a);
        if (any(beyond)) y = beyond ? large(huge ? splat<vd>(1) : a) : y;
        return keep_nan(with_sign_of(huge ? (0.5 * a) * a : y, x), x);
    }

    static vd small(vd a) {
        constexpr double c[] = {1.0 / 3,   1.0 / 15,  1.0 / 35,  1.0 / 63,   1.0 / 99,   1.0 / 143,
                                1.0 / 195, 1.0 / 255, 1.0 / 323, 1.0 / 399,  1.0 / 483,  1.0 / 575,
                                1.0 / 675, 1.0 / 783, 1.0 / 899, 1.0 / 1023, 1.0 / 1155, 1.0 / 1295};
        TwoPart<vd> s = two_sum(splat<vd>(2), a);
        vd inverse = 1 / s.t, r = a * inverse, r_low = (fnma(r, s.t, a) - r * s.e) * inverse;
        vd square = a * a, p = square * r;
        vd p_low = product_low(square, r, p) + (product_low(a, a, square) * r + square * r_low);
        vd series = polynomial(c, r * r);
        return p * series + p_low * series;
    }
    static vd large(vd a) {
        Log1p l(a);
        TwoPart<vd> t = one_plus(a);
        vd p = t.t * l.hi, p_low = fma(t.t, l.hi, -p);
        vd g = 0.5 * a * a, g_low = fma(0.5 * a, a, -g);
        TwoPart<vd> s = two_sum(g, a), d = two_sum(s.t, -p);
        return d.t + ((d.e + (s.e + g_low)) - (p_low + (t.e * l.hi + t.t * l.lo)));
    }
    static real longdouble(real x) {
        real a = abs(x);
        if (is_inf(x)) return x;
        if (!__builtin_islessequal(a, real(1))) {
            real l = __builtin_log1pl(a);
            return with_sign_of(a * (a / 2 + (1 - l)) - l, x);
        }
        real r = a / (2 + a), sum = 0;
        for (int k = 21; k >= 0; --k) sum = sum * (r * r) + real(1) / ((2 * k + 1) * (2 * k + 3));
        return with_sign_of(a * a * r * sum, x);
    }
};

// (-1)^(n+1) n! sgn(x)^(n+1) / (1 + |x|)^(n+1) for n > 2; at 0 the mean of the one-sided limits: 0 for even
// n, n! for odd n. Bound 4 ulp for n <= 16. Worst found in float64, 0.746, where a subnormal result is
// rounded twice: n 16, x 0x1.b37e4b8b2503bp+62, want -0x0.950966ea5eebebfp-1022, got
// -0x0.950966ea5eebep-1022.
struct NthDerivative {
    static vd finish(int n, vd magnitude, vd x) {
        if (n % 2) return keep_nan(magnitude, x);
        return keep_nan(magnitude_bits(x) == 0 ? x : with_sign_of(magnitude, -x), x);
    }
    // For float32: products of k/(1 + |x|), relative error n 2^-51.
    static vd plain(int n, vd x) {
        vd r = 1 / (1 + abs(x)), v = r;
        for (int k = 1; k <= n; ++k) v *= k * r;
        return finish(n, v, x);
    }
    // For float64: the same product in pairs of doubles, with |x| = m 2^E scaled by 2^-E so that nothing
    // underflows before the end, and 2^-64 ahead so that 170! stays clear of the largest double.
    static vd precise(int n, vd x) {
        const vl huge = (vl)splat<vd>(0x1p600), bias = vl{} + (1023LL << 52);
        vl bits = magnitude_bits(x);
        bits = bits > huge ? huge : bits;
        vl scale = bits > bias ? (bits - bias) & (0x7ffLL << 52) : vl{};  // E, in the place of the exponent
        TwoPart<vd> t = two_sum((vd)(bias - scale), (vd)(bits > bias ? bits - scale : bits));
        vd c = 1 / t.t, c_low = c * (fnma(t.t, c, splat<vd>(1)) - t.e * c);
        vd v = c * 0x1p-64, v_low = c_low * 0x1p-64;
        for (int k = 1; k <= n; ++k) {
            vd w = k * c, w_low = fma(splat<vd>(k), c, -w) + k * c_low;
            vd p = v * w, p_low = fma(v, w, -p) + (v * w_low + v_low * w);
            v = p + p_low, v_low = p_low - (v - p);
        }
        v *= 0x1p64;
        vl left = (scale >> 52) * (n + 1);  // halvings still to do
        for (int step = 0; step < 3; ++step) {
            vl now = left > 1000 ? vl{} + 1000 : left;
            v *= (vd)(bias - (now << 52));
            left -= now;
        }
        return finish(n, v, x);
    }
    static real longdouble(long long n, real x) {
        if (n == 0) return Softsign::longdouble(x);
        real r = 1 / (1 + abs(x)), v = r;
        for (long long k = 1; k <= n; ++k) v *= k * r;
        if (n % 2 || __builtin_isnan(x)) return v;
        return x == 0 ? x : with_sign_of(v, -x);
    }
};

// The results that `plain` rounds to the wrong side of a midpoint, in float32 and float16: trying every input
// found these and no others. The pointer says the type.
template <class Op, class T>
inline vf correct(Op, T *, vf y, vf) {
    return y;
}
inline vf correct(Softsign, float *, vf y, vf x) {
    return replace(y, x, 0x3c0b8116, 0x3c0a5391);
}  // 0x1.17022cp-7
inline vf correct(Derivative, float *, vf y, vf x) {
    return replace(y, x, 0x3b16aee2, 0x3f7ed3ab);
}  // 0x1.2d5dc4p-9
inline vf correct(Inverse, float *, vf y, vf x) {
    y = replace(y, x, 0x3a78b926, 0x3a78f59f);     // 0x1.f1724cp-11
    return replace(y, x, 0x3b19009a, 0x3b195c43);  // 0x1.320134p-9
}
inline vf correct(Inverse, float16 *, vf y, vf x) {
    y = replace(y, x, 0x3c46a000, 0x3c492000);     // 0x1.8d4p-7: float32 rounds it to a midpoint of float16
    y = replace(y, x, 0x3d782000, 0x3d842000);     // 0x1.f04p-5
    return replace(y, x, 0x3dfe2000, 0x3e112000);  // 0x1.fc4p-4
}

}  // namespace
}  // namespace softsign
