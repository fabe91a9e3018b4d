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
// No sum loses more than a quarter of its first term. Up to z = 0.4, where the greater of 1 + hi and 1 + lo is
// 4.4 times the smaller, H is a polynomial, and there is no logarithm. Beyond, artanh(r) = log((1 + hi)/(1 +
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

// H(z) for 0 <= z <= 0.4.
inline vd odd_series(vd z) {
    // The polynomial through 17 Chebyshev nodes; relative error 2^-52.
    constexpr double c[] = {0x1.2492492492493p-3,  0x1.c71c71c71bdb3p-4,  0x1.745d17465e2a0p-4,
                            0x1.3b13b1072dd66p-4,  0x1.11111b1c7caaep-4,  0x1.e1df87ffbb668p-5,
                            0x1.af56b117bf67bp-5,  0x1.83a23aa772058p-5,  0x1.7c2915748fb12p-5,
                            0x1.39eef5c367777p-6,  0x1.2bfcfe98f48dep-3,  -0x1.8f58560adfa89p-2,
                            0x1.3c7ebff17ffbfp+0,  -0x1.344d1b41141cdp+1, 0x1.b24d8e2b08bebp+1,
                            -0x1.6bcf56be86cafp+1, 0x1.34cc0c32ec74ap+0};
    return polynomial(c, z);
}
inline real odd_series(real z) {
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

    Rise() : mean{}, slope{}, curve{}, fall{} {}
    Rise(V lo, V hi) {
        V half = S(0.5) * (hi - lo), h = lo + half, w = 1 + h, c = 1 / w;
        V r = half * c, z = r * r;
        auto far = z > S(0.4);
        V s{}, k{};
        if (any(far)) {
            s = reduced(far ? 1 + hi : splat<V>(1), far ? 1 + lo : splat<V>(1), k);
            z = far ? s * s : z;
        }
        V H = odd_series(z), B = S(1) / 3 + z * (S(1) / 5 + z * H);
        V C = S(2) / 15 + z * (S(0.5) * (H * (3 - z)) - S(1) / 10);
        V g = r * B, rest = z * C;
        mean = (h - r * g) * c;
        fall = (h - g * (1 + r)) * c;
        if (any(far)) {
            V artanh = k * (S(0.5) * ln2<S>)+(s + s * (z * B));
            V inverse = w / (far ? half : splat<V>(1)), over = artanh * inverse - 1;
            g = far ? over * inverse : g;
            rest = far ? S(0.5) * (3 * (g * inverse) - 1 - over) : rest;
            mean = far ? 1 - artanh / (far ? half : splat<V>(1)) : mean;
            fall = far ? mean - g * c : fall;
        }
        slope = g * c;
        curve = rest * c;
    }
    template <class U>
    static constexpr U ln2 = U(0.693147180559945309417232121458176568L);
};

inline vd flipped(vd y, vd by) { return (vd)((vl)y ^ ((vl)by & Lanes<vd>::sign)); }
inline real flipped(real y, real by) { return __builtin_signbit(by) ? -y : y; }

template <class V>
struct Segment {
    using S = Scalar<V>;
    using Mask = Bits<V>;
    V from, to, sign;  // `sign` carries that of f where it is greatest, at `to` if the signs differ
    Mask special, crosses, falls;  // an end is infinite or nan; the signs differ; |f| falls, of one sign
    V p{}, q = splat<V>(1);        // the weights of the second and the first part
    Rise<V> first, second{};

    Segment(V a, V b) : from(a), to(b), special((is_inf(a) | is_inf(b)) | ((a != a) | (b != b))) {
        if (any(special)) {  // an infinite end is 1 meanwhile, and the other 0 if it is none
            a = special ? with_sign_of(is_inf(a) ? splat<V>(1) : V{}, a) : a;
            b = special ? with_sign_of(is_inf(b) ? splat<V>(1) : V{}, b) : b;
        }
        V x = abs(a), y = abs(b);
        crosses = (flipped(x, a) != flipped(x, b)) & (y != V{});
        falls = crosses ? Mask{} : x > y;
        sign = falls ? a : b;
        first = Rise<V>(crosses ? V{} : falls ? y : x, falls ? x : y);
        if (any(crosses)) {
            V scale = (x > y ? x : y) > S(0x1p1000) ? splat<V>(S(0x1p-60)) : splat<V>(1);
            x = crosses ? x * scale : splat<V>(1), y = crosses ? y * scale : V{};
            p = crosses ? x / (x + y) : p;
            q = crosses ? y / (x + y) : q;
            second = Rise<V>(V{}, crosses ? abs(a) : V{});
        }
    }

    // The result from what it is for positive `sign`; at infinity the limit, of two opposite ones that of
    // segments from -x to x.
    V finish(V y, S at_infinity, S between_infinities) const {
        if (any(special)) {
            y = special ? (crosses ? splat<V>(between_infinities) : splat<V>(at_infinity)) : y;
            return keep_nan(keep_nan(flipped(y, sign), from), to);
        }
        return flipped(y, sign);
    }
    V mean() const { return finish(q * first.mean - p * second.mean, 1, 0); }
    V ramp() const {
        V rising = q * ((1 + p) * first.mean + q * first.slope) - p * (p * second.fall);
        return finish(S(0.5) * (falls ? first.fall : rising), S(0.5), S(0.25));
    }
    V slope() const {
        V y = q * (q * first.slope) + p * (p * second.slope) + p * (q * (first.mean + second.mean));
        return finish(falls ? -y : y, 0, S(0.5));
    }
    V curve() const {
        V pq = p * q;
        V cubes = p * (p * (p * second.curve)) - q * (q * (q * first.curve));
        return finish(
            cubes + pq * (3 * (q * first.slope - p * second.slope) + (p - q) * (first.mean + second.mean)), 0,
            0);
    }
};

// The mean of f over the segment from a to b.
struct SegmentMean {
    template <class V>
    static Outputs<V, 1> of(V a, V b) {
        return {{Segment<V>(a, b).mean()}};
    }
};

// The mean of t f(a + t (b - a)) over t from 0 to 1.
struct SegmentRamp {
    template <class V>
    static Outputs<V, 1> of(V a, V b) {
        return {{Segment<V>(a, b).ramp()}};
    }
};

// The means of P_j(2t - 1) f(a + t (b - a)) over t from 0 to 1, for Legendre's P_0, P_1, P_2.
struct SegmentMoments {
    template <class V>
    static Outputs<V, 3> of(V a, V b) {
        Segment<V> s(a, b);
        return {{s.mean(), s.slope(), s.curve()}};
    }
};

}  // namespace
}  // namespace softsign
