// The mean of softsign over the segment from a to b, its mean weighted towards b, and its Legendre moments.
//
// They are written as sums without cancellation, one positive part for each side of zero. For 0 <= lo <= hi and
// f rising from lo to hi, with h = (lo + hi)/2, w = 1 + h, r = (hi - lo)/(2w) and t from 0 to 1,
//
//   f(lo + t (hi - lo)) = 1 - 1/(w (1 + r y)),  y = 2t - 1,
//
// and the integrals of P_j(y)/(1 + r y) are Legendre's functions of the second kind, Q_j(1/r):
//
//   mean    m0 = (h - z B)/w,    z = r^2,    B = (artanh(r)/r - 1)/z = 1/3 + z/5 + z^2/7 + ...
//   slope   m1 = r B/w
//   curve   m2 = -z C/w,         C = (3 B - 1 - z B)/(2z) = 2/15 + z (3H - 1/5 - zH)/2
//   with H = 1/7 + z/9 + z^2/11 + ...
//
// No sum loses more than a quarter of its first term. Up to z = 1/2, where the greater of 1 + hi and 1 + lo is
// 5.8 times the smaller, H is a polynomial, and there is no logarithm. Beyond, artanh(r) = log((1 + hi)/(1 +
// lo))/2 is k log(2)/2 + artanh(s) with |s| <= 1/3, which the same polynomial gives.
//
// Where the signs of a and b differ, [0, |b|] and [0, |a|] have the weights q = |b|/(|a| + |b|) and p = 1 - q,
// and shifting Legendre's polynomials from them to the whole gives the sums in `Segment`. Everything is odd in (a,
// b) bit for bit, and symmetric, up to the sign of a zero, or antisymmetric (m1) in a and b.
#pragma once
#include "ops.h"

namespace softsign {
namespace {

template <class V, int N>
struct Outputs {
    V v[N];
};

// Two vectors side by side, whose sums and products need not wait for each other, in the words that the formulas
// below have for single numbers (`real`), too.
struct vl2 {
    vl lo, hi;
};
template <>
struct Lanes<vd2> {
    using Scalar = double;
    using Bits = vl2;
};
#define PAIRWISE(op, Result, Pair) \
    inline Result operator op(Pair a, Pair b) { return {a.lo op b.lo, a.hi op b.hi}; }
PAIRWISE(+, vd2, vd2)
PAIRWISE(-, vd2, vd2)
PAIRWISE(*, vd2, vd2)
PAIRWISE(/, vd2, vd2)
PAIRWISE(>, vl2, vd2)
PAIRWISE(&, vl2, vl2)
#undef PAIRWISE
template <>
inline vd2 splat<vd2>(double c) {
    return {splat<vd>(c), splat<vd>(c)};
}
inline vd2 operator+(vd2 a, double c) { return a + splat<vd2>(c); }
inline vd2 operator+(double c, vd2 a) { return splat<vd2>(c) + a; }
inline vd2 operator-(vd2 a, double c) { return a - splat<vd2>(c); }
inline vd2 operator-(double c, vd2 a) { return splat<vd2>(c) - a; }
inline vd2 operator*(double c, vd2 a) { return splat<vd2>(c) * a; }
inline vd2 operator/(double c, vd2 a) { return splat<vd2>(c) / a; }
inline vl2 operator>(vd2 a, double c) { return a > splat<vd2>(c); }
inline vd2 operator-(vd2 a) { return {-a.lo, -a.hi}; }
inline vd2 abs(vd2 a) { return {abs(a.lo), abs(a.hi)}; }
inline vl2 is_inf(vd2 a) { return {is_inf(a.lo), is_inf(a.hi)}; }
inline bool any(vl2 m) { return any(m.lo | m.hi); }

inline vd2 choose(vl2 m, vd2 yes, vd2 no) { return {m.lo ? yes.lo : no.lo, m.hi ? yes.hi : no.hi}; }
inline real choose(bool m, real yes, real no) { return m ? yes : no; }
inline vl2 without(vl2 m, vl2 n) { return {m.lo & ~n.lo, m.hi & ~n.hi}; }
inline bool without(bool m, bool n) { return m && !n; }
inline vd flipped(vd y, vd by) { return (vd)((vl)y ^ ((vl)by & Lanes<vd>::sign)); }
inline vd2 flipped(vd2 y, vd2 by) { return {flipped(y.lo, by.lo), flipped(y.hi, by.hi)}; }
inline real flipped(real y, real by) { return __builtin_signbit(by) ? -y : y; }
inline vl2 of_two_signs(vd2 a, vd2 b) { return {((vl)a.lo ^ (vl)b.lo) < 0, ((vl)a.hi ^ (vl)b.hi) < 0}; }
inline bool of_two_signs(real a, real b) { return __builtin_signbit(a) != __builtin_signbit(b); }
inline vl not_finite(vd a, vd b) {
    return (magnitude_bits(a) >= Lanes<vd>::inf) | (magnitude_bits(b) >= Lanes<vd>::inf);
}
inline vl2 not_finite(vd2 a, vd2 b) { return {not_finite(a.lo, b.lo), not_finite(a.hi, b.hi)}; }
inline bool not_finite(real a, real b) { return !__builtin_isfinite(a) || !__builtin_isfinite(b); }
inline vl2 is_nan(vd2 a) { return {a.lo != a.lo, a.hi != a.hi}; }
inline bool is_nan(real a) { return __builtin_isnan(a); }
inline vl2 is_zero(vd2 a) { return {a.lo == 0, a.hi == 0}; }
inline bool is_zero(real a) { return a == 0; }

// H(z) for 0 <= z <= 0.5.
template <class V>
inline V odd_series(V z) {
    // The polynomial through 20 Chebyshev nodes; relative error 2^-52.
    constexpr double c[] = {
        0x1.2492492492492p-3,  0x1.c71c71c71ce20p-4, 0x1.745d17455d393p-4,  0x1.3b13b16ac1ef2p-4,
        0x1.111106bf62601p-4,  0x1.e1e49aa7df0edp-5, 0x1.aeeb6c9efae94p-5,  0x1.89d76d793c320p-5,
        0x1.39455be6ea72ep-5,  0x1.5b6fb6eb3c890p-4, -0x1.04c02588d2cfcp-2, 0x1.7e224b401b3fbp+0,
        -0x1.6604739fc1cd8p+2, 0x1.0c222b060a1dbp+4, -0x1.2fdaa18071b92p+5, 0x1.03a378a592ea3p+6,
        -0x1.42a733741e61cp+6, 0x1.1502306912e2cp+6, -0x1.26711233f3a3ep+5, 0x1.290261ec40d18p+3};
    return polynomial(c, z);
}
template <>
inline real odd_series<real>(real z) {
    real sum = 0;
    for (int k = 60; k >= 0; --k) sum = sum * z + real(1) / (2 * k + 7);
    return sum;
}

// s and k of top/bottom = 2^k (1 + s)/(1 - s) with |s| <= 1/3, for finite top >= bottom >= 1.
inline vd reduced(vd top, vd bottom, vd &k) {
    vl exponents = ((vl)top >> 52) - ((vl)bottom >> 52);
    k = (vd)(exponents + 0x4330000000000000) - 0x1p52;
    vd scaled = (vd)((vl)top - (exponents << 52));
    return (scaled - bottom) / (scaled + bottom);
}
inline vd2 reduced(vd2 top, vd2 bottom, vd2 &k) {
    return {reduced(top.lo, bottom.lo, k.lo), reduced(top.hi, bottom.hi, k.hi)};
}
inline real reduced(real top, real bottom, real &k) {
    int exponents = __builtin_ilogbl(top) - __builtin_ilogbl(bottom);
    k = exponents;
    real scaled = __builtin_ldexpl(top, -exponents);
    return (scaled - bottom) / (scaled + bottom);
}

// The moments of f as it rises from lo to hi, 0 <= lo <= hi finite.
template <class V>
struct Rise {
    using S = Scalar<V>;
    V mean, slope, curve, fall;  // m0, m1, -m2, and m0 - m1, which is twice the mean weighted towards lo

    [[gnu::always_inline]] Rise(V lo, V hi) {
        V half = S(0.5) * (hi - lo), h = lo + half, w = 1 + h, c = 1 / w;
        V r = half * c, z = r * r, s{}, k{};
        const Bits<V> far = z > S(0.5);
        const bool some_far = any(far);
        if (some_far) {
            const V one = splat<V>(1);
            s = reduced(choose(far, 1 + hi, one), choose(far, 1 + lo, one), k);
            z = choose(far, s * s, z);
        }
        V H = odd_series(z), B = S(1) / 3 + z * (S(1) / 5 + z * H);
        V C = S(2) / 15 + z * (H * (S(1.5) - S(0.5) * z) - S(1) / 10);
        V g = r * B, rest = z * C;
        mean = (h - r * g) * c;
        fall = (h - g * (1 + r)) * c;
        if (some_far) {
            const V one = splat<V>(1), inverse = 1 / choose(far, half, one),
                    over_r = choose(far, w, one) * inverse;
            const V artanh = (S(0.5) * ln2<S>)*k + (s + s * (z * B));
            const V over = artanh * over_r - 1, far_g = over * over_r;
            g = choose(far, far_g, g);
            rest = choose(far, S(1.5) * (far_g * over_r) - S(0.5) * (1 + over), rest);
            mean = choose(far, 1 - artanh * inverse, mean);
            fall = choose(far, mean - g * c, fall);
        }
        slope = g * c;
        curve = rest * c;
    }
    template <class U>
    static constexpr U ln2 = U(0.693147180559945309417232121458176568L);
};

// The results for the segment from a to b.
template <class V>
struct Segment {
    using S = Scalar<V>;
    V mean, slope, curve, ramp;

    [[gnu::always_inline]] Segment(V a, V b) {
        const V zero{}, one = splat<V>(1);
        const Bits<V> special = not_finite(a, b);
        const bool some_special = any(special);
        const V nan = some_special ? choose(is_nan(a), a, b) : zero;  // where an end is one
        if (some_special) {  // an infinite end is 1 meanwhile, and the other 0 unless it is infinite, too
            a = choose(special, flipped(choose(is_inf(a), one, zero), a), a);
            b = choose(special, flipped(choose(is_inf(b), one, zero), b), b);
        }
        const V x = abs(a), y = abs(b);
        const Bits<V> greater_a = x > y;
        const V less = choose(greater_a, y, x), greater = choose(greater_a, x, y);
        const Bits<V> crosses = without(of_two_signs(a, b), is_zero(less));
        const bool some_cross = any(crosses);
        const Bits<V> falls = without(greater_a, crosses);  // |f| falls from a to b, without a change of sign
        const V sign = choose(falls, a, b);                 // has the sign of f, or at b where it changes

        const Rise<V> first(choose(crosses, zero, less), choose(crosses, y, greater));
        mean = first.mean, slope = first.slope, curve = zero - first.curve;
        V rising = first.mean + first.slope;
        if (some_cross) {
            V small = choose(crosses, less, zero), large = choose(crosses, greater, one);
            const Bits<V> huge = large > S(0x1p1000);  // the sum might overflow
            small = choose(huge, S(0x1p-60) * small, small), large = choose(huge, S(0x1p-60) * large, large);
            const V light = small / (small + large), heavy = 1 - light;
            const Bits<V> ahead = crosses & greater_a;
            const V p = choose(ahead, heavy, light), q = choose(ahead, light, heavy);  // 0 and 1 elsewhere
            const Rise<V> second(zero, choose(crosses, x, zero));
            const V pq = p * q, sum = first.mean + second.mean;
            mean = q * first.mean - p * second.mean;
            slope = q * (q * first.slope) + p * (p * second.slope) + pq * sum;
            curve = p * (p * (p * second.curve)) - q * (q * (q * first.curve)) +
                    pq * (3 * (q * first.slope - p * second.slope) + (p - q) * sum);
            rising = q * ((1 + p) * first.mean + q * first.slope) - p * (p * second.fall);
        }
        // The limit at infinity, and between opposite ones that of segments from -x to x.
        auto finish = [&](V y, S at_infinity, S between) {
            if (some_special)
                y = choose(special, choose(crosses, splat<V>(between), splat<V>(at_infinity)), y);
            y = flipped(y, sign);
            return some_special ? choose(is_nan(nan), nan, y) : y;
        };
        mean = finish(mean, 1, 0);
        slope = finish(choose(falls, -slope, slope), 0, S(0.5));
        curve = finish(curve, 0, 0);
        ramp = finish(S(0.5) * choose(falls, first.fall, rising), S(0.5), S(0.25));
    }
};

// The mean of f over the segment from a to b.
struct SegmentMean {
    template <class V>
    static Outputs<V, 1> of(V a, V b) {
        return {{Segment<V>(a, b).mean}};
    }
};

// The mean of t f(a + t (b - a)) over t from 0 to 1.
struct SegmentRamp {
    template <class V>
    static Outputs<V, 1> of(V a, V b) {
        return {{Segment<V>(a, b).ramp}};
    }
};

// The means of P_j(2t - 1) f(a + t (b - a)) over t from 0 to 1, for Legendre's P_0, P_1, P_2.
struct SegmentMoments {
    template <class V>
    static Outputs<V, 3> of(V a, V b) {
        Segment<V> s(a, b);
        return {{s.mean, s.slope, s.curve}};
    }
};

}  // namespace
}  // namespace softsign
