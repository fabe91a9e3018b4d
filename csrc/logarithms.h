// The functions with a logarithm: log f' and the antiderivatives, in the manner of ops.h.
#pragma once
#include "ops.h"

namespace softsign {
namespace {

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

// The functions with logarithms in float32 and the 16-bit types: `fast` is the definition of their finite
// results, not correctly rounded but made of operations that round alike everywhere. Only infinities and nan
// are left to `plain`.
struct Logarithmic {
    template <class V>
    static constexpr bool has_fast = sizeof(Scalar<V>) == 4;
    template <class V>
    static constexpr auto limit = Lanes<V>::inf;
};

// a b + c where a b is exact, so that the instruction rounds no otherwise than product and sum.
template <class V>
inline V add_exact_product(V a, V b, V c) {
    return has_fma ? fma(a, b, c) : a * b + c;
}

// a b + c, which without the instruction is rounded twice: a fifth of the time that fma takes.
inline vf quick_fma(vf a, vf b, vf c) {
    if (has_fma) return fma(a, b, c);
    vd2 x = widen(a), y = widen(b), z = widen(c);
    return narrow({x.lo * y.lo + z.lo, x.hi * y.hi + z.hi});
}

// 1 + a = 2^k (1 + f) with f in [-1/4, 1/2], for float32 numbers a >= 0, so that log1p(a) = k log 2 + 2
// artanh(s), s = f/(2 + f), |s| <= 1/5.
//
// f = a 2^-k - (1 - 2^-k) is exact: for k = 0 it is a, and for k > 0 the two numbers are within a factor of two
// of each other (Sterbenz). That is why k turns just above 3/2, for float32 rounds 1 + a to 3/2 already from a =
// 1/2 - 2^-25 on. From k = 25 on float32 rounds 1 - 2^-k, by 2^-25 at most, while log1p(a) is 17 or more.
template <class V>
struct Reduced {
    Bits<V> k;  // in the place of the exponent
    V f;
    explicit Reduced(V a) {
        k = ((Bits<V>)(1 + a) - ((Bits<V>)splat<V>(0.75) + 1)) & Lanes<V>::inf;
        V doubled = (V)((Bits<V>)splat<V>(2) - k);  // 2^(1-k), a normal number or 0
        f = (V)((Bits<V>)a - k) + add_exact_product(doubled, splat<V>(0.5), splat<V>(-1));
    }
};

// 1 + a as above in float64, which has digits enough to take every term as it stands.
struct Wide : Reduced<vd> {
    vd s, z, k_log2;  // f/(2 + f), s^2, k log 2
    explicit Wide(vd a) : Reduced(a), s(f / (2 + f)), z(s * s) {
        typedef uint64_t vu __attribute__((vector_size(vector_bytes)));
        k_log2 = ((vd)(((vu)k >> 52) + 0x4330000000000000) - 0x1p52) * 0x1.62e42fefa39efp-1;
    }
    vd power() const { return (vd)(k + (vl)splat<vd>(1)); }  // 2^k
};

// log f'(x) = -2 log1p|x|.
// Bound 1 ulp. Worst found in float64, 0.770: x 0x1.a7dba089a2764p-2, want -0x1.62ae75f21a0113bp-1, got
// -0x1.62ae75f21a012p-1. Worst of all in float32, 0.600: x
// 0x1.dbfea8p-2, in float16 0.500009.
struct LogJacobian : Logarithmic {
    // c = -2/(2 + f), s = c f and q = 2s, rounded, stand for -2s and -4s of above. q + c residual is -4s to 46
    // bits: 2f + q is exact (Sterbenz). `cube` times `series` is the rest, at most 1/75 of the whole; its three
    // terms leave 0.05 ulp. k (2^23 of it) times `high` is exact, and so are y and `lost` for k = 0. Below 2^-40 the
    // cube and all of residual would underflow, while the whole is q. Without the instruction quick_fma rounds twice;
    // trying every input found no other result from that.
    static vf fast(vf x, vi &) {
        Reduced<vf> r(abs(x));
        vf f = r.f, twice = f + f, c = -2 / (2 + f), q = c * twice;
        vf s = c * (vf)((vi)f & (magnitude_bits(x) > (vi)splat<vf>(0x1p-40f)));
        vf residual = quick_fma(s, f, twice + q), z = s * s, cube = s * z;
        vf series = quick_fma(z, quick_fma(z, splat<vf>(0x1.36e9e6p-8f), splat<vf>(0x1.992aep-6f)),
                              splat<vf>(0x1.5555b4p-3f));
        vf k = __builtin_convertvector(r.k, vf);  // k 2^23
        const float high = -2 * 0x1.62ep-24f, low = -2 * 0x1.0bfbe8p-38f;
        vf y = add_exact_product(k, splat<vf>(high), q), lost = q - add_exact_product(k, splat<vf>(-high), y);
        return y + quick_fma(cube, series, quick_fma(c, residual, quick_fma(k, splat<vf>(low), lost)));
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
// Bound 0.51 ulp, in float64 2. Worst found, 1.544: x 0x1.94b367f999825p-2, want 0x1.fd44ebd23033c75p-5, got
// 0x1.fd44ebd23033ep-5. Worst of all in float32, 0.500026: x 0x1.f5e6aap-5.
struct Antiderivative : Logarithmic {
    // (a - f - k log 2) + s (f - z P(z)), where 2 artanh(s) = 2s + s z P(z) and f - 2s = s f. Only for k > 0 is
    // there a first part; it takes no more than three bits. P = 2/3 + 2z/5 + ... is cut short with a relative
    // error of 2^-33, of which s z P passes on a twentieth.
    static vf fast(vf x, vi &) {
        return in_double(x, [](vd w) {
            constexpr double c[] = {0x1.55555556f9d84p-1, 0x1.9999933c50eb1p-2, 0x1.2495bb47c0d0dp-2,
                                    0x1.c5980f7daca20p-3, 0x1.99646485cadb0p-3};
            vd a = abs(w);
            Wide r(a);
            return (a - r.f - r.k_log2) + r.s * (r.f - r.z * polynomial(c, r.z));
        });
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
// Bound 0.51 ulp, in float64 4. Worst found, 2.780: x 0x1.25c54b911a987p-4, want 0x1.f210ea70e24a9c8p-15, got
// 0x1.f210ea70e24a7p-15. Worst of all in float32, 0.500076: x 0x1.6f248p-39.
struct SecondAntiderivative : Logarithmic {
    // With 1 + a = 2^k (1 + f), G(a) = (1 + a) ((a - f)/2 - k log 2) + (2^k - 1)/2 + 2^k G(f), and the series for
    // G(f) = s f^2 Q(z) holds for negative f, too. Without a logarithm nothing cancels for k = 0, and for k > 0
    // less than six bits. Q = 1/3 + z/15 + ... is cut short with a relative error of 2^-37.
    static vf fast(vf x, vi &) {
        vf y = in_double(x, [](vd w) {
            constexpr double c[] = {0x1.555555555c256p-2, 0x1.1111108d23b11p-4, 0x1.d41eda52145bdp-6,
                                    0x1.03a1e1f216f9ep-6, 0x1.6324f6a69bb2ap-7};
            vd a = abs(w);
            Wide r(a);
            vd power = r.power(), far = (1 + a) * (0.5 * (a - r.f) - r.k_log2) + 0.5 * (power - 1);
            return far + (power * (r.s * (r.f * r.f))) * polynomial(c, r.z);
        });
        return with_sign_of(y, x);
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

}  // namespace
}  // namespace softsign
