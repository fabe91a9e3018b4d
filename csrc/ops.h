// The functions: one struct each, with the derivation of its arithmetic and of its error.
//
// Every struct has `longdouble`, the formula in long double, and `plain`, the formula in V's own arithmetic,
// safe at +-inf and free of spurious flags:
//   float16, bfloat16   plain in float32, rounded once more;
//   float32             plain in float64, rounded once. This *defines* the float32 result, except of the
//                       functions with logarithms (`Logarithmic`);
//   float64             `fast` and `careful` where the struct has them, else plain.
// `correct` replaces the few results that lie so near a midpoint that the wider format rounds to it.
//
// `fast` computes a result in V's own precision together with proof that it is the correctly rounded one: two
// values that enclose the exact result and round to the same number. Lanes where they differ are marked in
// `doubt` (Ziv's test), and lanes with |x| >= limit are not attempted. Such lanes go to the float64
// definition (float32) or to `careful` (float64), which decides by exact arithmetic; quotients are decided
// exactly in V's own precision. So every instruction set returns the same bits.
//
// Notation: u is the unit roundoff (2^-24 or 2^-53), t + e the exact value of 1 + |x| or 1 - |x|.
#pragma once
#include <type_traits>

#include "exact.h"
#include "simd.h"

namespace softsign {
namespace {

template <class V>
struct Enclosure;  // the factor derived in `quotient`; where `fast` holds
template <>
struct Enclosure<vf> {
    static constexpr float u = 0x1p-24f, below = 1 - 8 * u;
    static constexpr int32_t limit = 0x4b800000, one = 0x3f800000;  // 2^24, below which t - 1 is exact; 1
    static constexpr int32_t far = 0x71800000;                      // 2^100, below which 1/t is normal
    static constexpr bool available = has_fma;                      // without fma the definition is as fast
};
template <>
struct Enclosure<vd> {
    static constexpr double u = 0x1p-53, below = 1 - 8 * u;
    static constexpr int64_t limit = 0x4340000000000000, one = 0x3ff0000000000000;  // 2^53; 1
    static constexpr int64_t far = 0x7830000000000000;                              // 2^900
    static constexpr bool available = true;
};

// Functions that say by `outside` which arguments `fast` may not attempt.
struct OwnRange {};

// Functions whose `fast` is a formula without a proof of correct rounding. The arguments for which it is
// taken are a part of the result's definition, and the same everywhere: those which the check of a group
// lets pass, and in `settle` those which are not `beyond`, a range that includes the former.
//
// In float32 the formulas err by less than 2^-16 of a unit before their last rounding. The float64
// definition, within 8 of its own units of the exact value, therefore rounds to the same number unless it
// lies within 2^13 of its units of a midpoint. Without an fma instruction these elements alone, one in 2^15,
// take the formula, with the fma of simd.h, which rounds as the instruction does, and the others the definition.
// So every instruction set returns the same bits.
struct Formula {
    template <class V>
    static constexpr bool has_fast = Enclosure<V>::available;
    template <class V>
    static constexpr auto limit = Enclosure<V>::limit;
    // Sizes of a second argument z with which nothing underflows, and in float64 nothing overflows. In
    // float32 z p and z w (see Below) then stay above 2^-97 and 2^-122; an infinite z meets positive numbers
    // only.
    template <class V>
    static constexpr typename Lanes<V>::Int least = sizeof(Scalar<V>) == 4 ? 0x27000000           // 2^-49
                                                                           : 0x0df0000000000000;  // 2^-800
    template <class V>
    static constexpr typename Lanes<V>::Int greatest =
        sizeof(Scalar<V>) == 4 ? INT32_MAX : 0x7d00000000000000;  // 2^977
};
template <class Op>
constexpr bool is_formula = std::is_base_of_v<Formula, Op>;

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
// For any a: Fast2Sum with the greater first.
template <class V>
inline TwoPart<V> one_plus_any(V a) {
    const Bits<V> bits = (Bits<V>)a, one = (Bits<V>)splat<V>(1);
    V high = (V)(bits > one ? bits : one), low = (V)(bits > one ? one : bits), t = 1 + a;
    return {t, low - (t - high)};
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

// 1 + |x| or 1 - |x| and its reciprocal, c = (1 - 8u)/t: what `fast` starts with.
template <class V>
struct Divided {
    V t, e, c;
};
template <class V>
inline Divided<V> divide(TwoPart<V> d) {
    return {d.t, d.e, splat<V>(Enclosure<V>::below) / d.t};
}

// The number so many units in the last place above x > 0, for the price of an addition of integers.
template <class V>
inline V above(V x, int units) {
    return (V)((Bits<V>)x + units);
}

// x/(t + e), correctly rounded or marked in doubt.
//
// c = (1 - 8u)/t, q = x c and the residual r = q(t+e) - x give the exact quotient as q - r/(t+e). The bias of
// c keeps r near -8u x, so that its two roundings, that of c and e/t <= u together stay below 4.6 u of it,
// and 1/(t+e) lies surely between c and c(1 + 16u). A unit in the last place of c is more than u c and at
// most 2u c, also across a power of two, so that 16 of them lead beyond c(1 + 16u), and not beyond c(1 +
// 32u). The two ends of that interval enclose the quotient. They are 352 u^2 apart at most, so that one
// float32 element in 2^15 is in doubt. r is formed with its sign such that x = -0 gives -0.
template <class V>
inline V quotient(V x, Divided<V> s, Bits<V> &doubt) {
    V q = x * s.c;
    V r = fma(q, s.e, fma(q, s.t, -x));
    V y1 = fnma(r, s.c, q), y2 = fnma(r, above(s.c, 16), q);
    doubt |= (Bits<V>)y1 ^ (Bits<V>)y2;
    return has_fma ? y1 : with_sign_of(y1, x);
}

// The number nearest to x/(t + e), given what `quotient` found: y, or the next number away from 0.
//
// Let x > 0, m = y + h the midpoint between the two, w = ulp(y) ulp(t) and p the precision, 24 or 53. The
// sign of S = x - m(t+e) decides. It is not 0: the quotient is never a midpoint (docs/numerics.md). As h =
// ulp(y)/2 and |e| <= ulp(t)/2, y|e| <= (2^p - 1)w/2 and h(t+e) <= (2^p - 1/2)w/2.
//   x - yt = S + ye + h(t+e) is a multiple of w, so exact up to 2^p w; a larger one says S >= 1.75w, and is
//   rounded by at most w.
//   left = x - yt - ht = S + me is a multiple of w/2, so exact up to 2^p w/2; a larger one says |S| >= 0.75w,
//   and is rounded by at most w/2.
// Neither rounding nor both change the sign of S = (left - ye) - he. With left exact, left - ye is a multiple
// of h ulp(x), and ulp(e) <= ulp(x): it is he or at least a unit of he away, so that its rounding keeps the
// order. Where there was no doubt, y remains, for the same reasons; where h underflows because y = x.
template <class V>
inline V nearest_quotient(V x, Divided<V> s, V y) {
    V v = abs(y), h = (V)(magnitude_bits(y) & Lanes<V>::inf) * Enclosure<V>::u;
    V left = fnma(h, s.t, fnma(v, s.t, abs(x)));
    return (V)((Bits<V>)y - (fnma(v, s.e, left) > h * s.e));  // -1 where true
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

struct Division;
struct Quotient;
template <class Op>
constexpr bool divides = std::is_base_of_v<Division, Op>;
template <class Op>
constexpr bool is_quotient = std::is_base_of_v<Quotient, Op>;

// The functions that divide by Op::denominator first, and round correctly in every type. `rest` is what
// remains of `fast`, and both are right up to `far_limit` if told so.
struct Division {
    template <class V>
    static constexpr bool has_fast = Enclosure<V>::available;
};
// How a group is computed: as an ordinary one, by `fast`; with arguments up to `far_limit`, or not `beyond`; with
// a quotient that is in doubt again, as in clipped data; or, if there are quotients only, with any arguments.
enum class Mode { fast, far, again, any };
// A quotient that was in doubt, by |x|, and how many units it is above what `quotient` finds; x = 0: none.
template <class V>
struct Decided {
    typename Lanes<V>::Int x, above;
};
// Two divisions at a time run side by side: 0.95 of the time on Zen 1.
template <class Op, Mode mode, class V, int U>
inline void divide_all(const V (&x)[U], V (&y)[U], Bits<V> &doubt, Decided<V> decided) {
    constexpr int pair = U < 2 ? U : 2;
    constexpr bool far = mode == Mode::far;
    for (int u = 0; u < U; u += pair) {
        Divided<V> s[pair];
        for (int k = 0; k < pair; ++k) s[k] = divide(Op::template denominator<far>(x[u + k]));
        for (int k = 0; k < pair; ++k) {
            Bits<V> own{};
            y[u + k] = Op::template rest<far>(x[u + k], s[k], own);
            if constexpr (mode == Mode::again) {
                const Bits<V> same = magnitude_bits(x[u + k]) == (Bits<V>{} + decided.x);
                y[u + k] = (V)((Bits<V>)y[u + k] + (same & decided.above));
                own &= ~same;
            }
            doubt |= own;
        }
    }
}

// Those that settle every x in their own precision: the result for any x is beyond(x, that for within(x)).
struct Quotient : Division {
    template <bool, class V>
    static V rest(V x, Divided<V> s, Bits<V> &doubt) {
        return quotient(x, s, doubt);
    }
};

// x/(1 + |x|).
struct Softsign : Quotient {
    template <class V>
    static constexpr auto limit = Enclosure<V>::limit + 1;  // 1 + 1/u is exact in two parts, too
    template <class V>
    static constexpr auto far_limit = Enclosure<V>::far;
    template <class V>
    static V plain(V x) {
        V largest = (V)((Bits<V>)x + is_inf(x));  // in place of infinity: a mask is -1
        return largest / (1 + abs(largest));
    }
    template <bool far, class V>
    static TwoPart<V> denominator(V x) {
        return far ? one_plus_any(abs(x)) : one_plus(abs(x));
    }
    // From |x| = 1/u on 1/(1 + |x|) is less than u, so that the result is that of 1/u, 1 - u; and from 2/u
    // on, where it is less than u/2, the next number, 1.
    template <class V>
    static V within(V x) {
        Bits<V> bits = magnitude_bits(x);
        return (V)(bits < limit<V> ? bits : Bits<V>{} + (limit<V> - 1));
    }
    template <class V>
    static V beyond(V x, V y) {
        Bits<V> one = magnitude_bits(x) >= (Bits<V>)splat<V>(2 / Enclosure<V>::u);  // -1 where true
        return is_nan(x) ? x + 0 : with_sign_of((V)((Bits<V>)y - one), x);
    }
    static vf estimate(vf x) { return x * reciprocal(1 + abs(x)); }
    static real longdouble(real x) { return is_inf(x) ? with_sign_of(1, x) : x / (1 + abs(x)); }
};

// y/(1 - |y|): +-inf with DIVBYZERO at +-1, nan with INVALID beyond.
struct Inverse : Quotient {
    template <class V>
    static constexpr auto limit = Enclosure<V>::one;
    template <class V>
    static constexpr auto far_limit = Enclosure<V>::one + 1;
    template <class V>
    static V plain(V y) {
        V a = abs(y);
        auto beyond = (magnitude_bits(y) > (Bits<V>)splat<V>(1)) & (magnitude_bits(y) <= Lanes<V>::inf);
        V denominator = beyond ? V{} : 1 - a;
        return with_sign_of((beyond ? V{} : a) / denominator, y);
    }
    template <bool, class V>
    static TwoPart<V> denominator(V y) {
        return one_minus(abs(y));
    }
    // With `far`, |y| = 1 is taken, too: t = 0 and c is infinite, so that the division raises the flag, and so are
    // both ends, which here differ in r; only q has to be finite, as inf t is nan. q(t+e) - y lies between -11.1u y
    // and -5u y, r is 21.3u^2 y off, and 1/(t+e) is c up to 10.1u: q - rc lies within 134u^2 of y/(t+e), and the
    // ends are 148u^2 beyond it, if r -+ 160u^2 y is rounded by 11.3u^2 y.
    template <bool far, class V>
    static V rest(V y, Divided<V> s, Bits<V> &doubt) {
        if (!far) return quotient(y, s, doubt);
        const V width = splat<V>(160 * Enclosure<V>::u * Enclosure<V>::u), most = splat<V>(0x1p126f);
        V q = y * (V)((Bits<V>)s.c < (Bits<V>)most ? (Bits<V>)s.c : (Bits<V>)most);
        V r = fma(q, s.e, fma(q, s.t, -y));
        V x1 = fnma(fma(width, y, r), s.c, q), x2 = fnma(fnma(width, y, r), s.c, q);
        doubt |= (Bits<V>)x1 ^ (Bits<V>)x2;
        return has_fma ? x1 : with_sign_of(x1, y);
    }
    template <class V>
    static V within(V y) {
        return magnitude_bits(y) < limit<V> ? y : V{};
    }
    template <class V>
    static V beyond(V y, V x) {
        return magnitude_bits(y) < limit<V> ? x : plain(y);
    }
    static real longdouble(real y) {
        bool beyond = __builtin_isgreater(abs(y), real(1));
        volatile real zero = 0;  // 0/0 at run time: nan with INVALID
        return beyond ? zero / zero : y / (1 - abs(y));
    }
};

// b = -2c with c = (1 - 3u)/t, below 1/(1 + a), and g = 2h = 2 - 2c(1 + a), for a < 2^24, or with `far` a < 2^48.
//
// c and e/t are each off by at most u, so u < h < 5u, and the two roundings of h change it by at most 8u^2.
//
// z c^2 (1 + kh), where z (1 + a)^-2 is asked for with k = 2, and (1 + a)^-3 with z = c and k = 3. c^2 is p
// plus at most u p exactly, so that w = c^2 (1 + kh) - p is positive, between u p and 16u p. What is
// neglected, 3h^2 or 6h^2, and the roundings, 2k h's 8u^2, 5k u^2 of kh times c^2 - p, 5k u^2 of kh, and
// 16u^2 each of w and zw, sum to less than 250u^2. So the error is below 0.50002 ulp. zp and zw have the
// sign of z, of zeros, too.
struct Below {
    vf b, g;
    explicit Below(Divided<vf> s) : b(s.c), g(fma(b, s.e, fma(b, s.t, splat<vf>(2)))) {}
    template <bool far>
    static Divided<vf> divide(vf x) {
        TwoPart<vf> d = far ? one_plus_any(abs(x)) : one_plus(abs(x));
        return {d.t, d.e, splat<vf>(-2 + 0x6p-24f) / d.t};
    }
    vf times_square(vf z, vf kh) const {
        vf c = (vf)((vi)b - (1 << 23));  // b/2: the sign is squared
        vf p = c * c, w = fma(p, kh, fma(c, c, -p));
        return fma(z, p, z * w);
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
struct Derivative : Division {
    template <class V>
    static constexpr auto limit = Enclosure<V>::limit;
    template <class V>
    static constexpr int32_t far_limit = 0x58800000;  // 2^50, below which 2c^2 h is normal
    template <class V>
    static V plain(V x) {
        V r = 1 / (1 + abs(x));
        return r * r;
    }

    // 1/(t + e)^2. With c = (1 - 8u)/t and h = 1 - c(t+e) it is c^2/(1-h)^2 = c^2 + w, w = 2c^2 h (1 + 3h/2 +
    // 2h^2 + ...). The roundings of c and t leave 6u < h < 10u, so that w is 2c^2 h times a number between 1
    // + 9u and 1 + 15.1u. The two roundings in h, one of a number below h + u and one of h, change it by less
    // than 2.4u of itself, the two in m = 2c^2 h by 2u more. So m lies below w; and since a unit of m is more
    // than u m, (1 - 4.5u)(1 + 24u) > 1 + 15.1u says that the number 24 units above m lies above w. fma(c, c,
    // m) rounds the exact c^2 + m once. The ends are 20u(48u + 15.1u) apart at most, relative to the result.
    // The fma without the instruction errs by 2u^2 more; 54u^2 are left at either end.
    template <bool, class V>
    static V rest(V, Divided<V> s, Bits<V> &doubt) {
        V c = s.c, h = fnma(s.t, c, splat<V>(1));
        h = has_fma ? fnma(s.e, c, h) : h - s.e * c;
        V m = (c + c) * c * h;
        V y1 = fma(c, c, m), y2 = fma(c, c, above(m, 24));
        doubt |= (Bits<V>)y1 ^ (Bits<V>)y2;
        return y1;
    }
    template <bool far, class V>
    static TwoPart<V> denominator(V x) {
        return far ? one_plus_any(abs(x)) : one_plus(abs(x));
    }
    template <class V>
    static V fast(V x, Bits<V> &doubt) {
        return rest<false>(x, divide(denominator<false>(x)), doubt);
    }
    static vf estimate(vf x) {
        vf r = reciprocal(1 + abs(x));
        return r * r;
    }
    static double careful(double x) { return exact::derivative(x); }
    static real longdouble(real x) {
        real r = 1 / (1 + abs(x));
        return r * r;
    }
};

// -2 sgn(x)/(1 + |x|)^3 and, by definition, f''(+-0) = +-0: the mean of the one-sided limits -2 and 2. Bound
// 1 ulp. Worst in float32, of all inputs, 0.500007 (0x1.db50e6p-12). Worst found in float64, 0.500000: x
// 0x1.35555558fa8e6p-51, want -0x1.ffffffffffff17ffp+0, got -0x1.ffffffffffff1p+0. In float16 0.500086
// (0x1.2bp-11): the float32 result is rounded once more.
struct SecondDerivative : Formula {
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
    static vi beyond(vf x) { return magnitude_bits(x) >= 0x4f800000; }  // 2^32, whose result is 2^-95
    template <bool far>
    static Divided<vf> divided(vf x) {
        return Below::divide<far>(x);
    }
    static vf rest(Divided<vf> s, vf x) {
        const Below r(s);
        vi y = (vi)r.times_square(r.b, 1.5f * r.g);  // below 0
        return (vf)(((magnitude_bits(x) != 0) & y) ^ ((vi)x & INT32_MIN));
    }
    template <bool>
    static vd fast(vd x) {
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
// Bound 1 ulp. Worst found in float32, 0.500003: x 0x1.1613e2p-24, dy -0x1.61832p+104. In float64, 0.500000:
// x -0x1.a74d3c843ff2ep+24, dy -0x1.4157f967686c4p-443, want -0x1.d61ef49b77f55801p-493, got
// -0x1.d61ef49b77f56p-493. In float16 0.500171 (0x1.a1cp-7, 11032).
struct Gradient : Formula {
    template <class V>
    static V plain(V x, V dy) {
        V r = 1 / (1 + abs(x));
        return (dy * r) * r;
    }
    // dy c^2 (1 + g), c^2 and its product with dy exact in two parts. In float64 their sum is the result,
    // below 0.51 ulp: every step is exact or rounded once on every instruction set.
    template <bool>
    static vd fast(vd x, vd dy) {
        Reciprocal<vd> r(abs(x));
        vd p = r.c * r.c, p_low = fma(r.c, r.c, -p) + p * r.g;
        vd h = dy * p, h_low = fma(dy, p, -h) + dy * p_low;
        return with_sign_of(h + h_low, dy);
    }
    // From 2^48 on, or where dy/(1 + |x|)^2 may be below 2^-99: the bits of a number are its exponent and a
    // fraction that is within 0.09 of the logarithm's, and 1 + |x| is at most 2 max(1, |x|).
    static vi beyond(vf x, vf dy) { return beyond(magnitude_bits(x) - (vi)splat<vf>(1), dy); }
    static vi beyond(vi m, vf dy) {  // m: by how much the bits of |x| exceed those of 1
        const vi far = vi{} + (48 << 23);
        vi z = magnitude_bits(dy), within = m < far ? m : far, scale = 2 * (within > 0 ? within : vi{});
        return (m >= far) | ((z - scale < 0x0f000000) & (z != 0));
    }
    template <bool far>
    static Divided<vf> divided(vf x, vf) {
        return Below::divide<far>(x);
    }
    static vf rest(Divided<vf> s, vf, vf dy) {
        const Below r(s);
        return r.times_square(dy, r.g);
    }
    static double careful(double x, double dy) { return exact::gradient(x, dy); }
    static real longdouble(real x, real dy) {
        real r = 1 / (1 + abs(x));
        return dy * r * r;
    }
};

// dy (1 - |y|)^2, the gradient from the output: for |y| <= 1 two roundings of that expression. What y has
// lost it cannot restore: the relative error against dy/(1 + |x|)^2 grows as u |x|, and from |y| = 1 on the
// result is 0. Bound 2 ulp. Worst found in float64, 1.477: y 0x1.fffd2a86f4421p-1, dy 0x1.fab0306ff0e12p+0,
// want 0x1.fca4a6c55333a7ap-31, got 0x1.fca4a6c553339p-31.
struct GradientFromOutput : Formula {
    template <class V>
    static constexpr bool has_fast = sizeof(Scalar<V>) == 4 && has_fma;
    template <class V>
    static constexpr int32_t limit = 0x40000000;

    // 1 - |y| = t + e exactly, where |y| < 2. p is below t^2 by 3u to 7u of it, so that w = t^2 - p + 2te >
    // 0 as in Below, and the neglected e^2 and all roundings are below 32u^2. At 1 the result is dy 0.
    template <bool>
    static vf fast(vf y, vf dy) {
        TwoPart<vf> d = one_minus(abs(y));
        vf p = d.t * (d.t * (1 - 0x5p-24f));
        vf w = fma(d.t, d.e + d.e, fma(d.t, d.t, -p));
        return fma(dy, p, dy * w);
    }
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

// Whether `fast` has two parts, `divided` and `rest`, and with `far` reaches beyond the `limit`, for arguments that
// are not `beyond`.
template <class Op, class V>
constexpr bool has_parts =
    sizeof(Scalar<V>) == 4 && is_formula<Op> && !std::is_same_v<Op, GradientFromOutput>;

// What defines the float32 result.
template <class Op, class... Arguments>
inline vd definition(const Op &op, Arguments... x) {
    return op.plain(x...);
}
inline vd definition(GradientFromOutput, vd y, vd dy) {
    vd s = 1 - abs(y);
    return (dy * s) * s;
}

// The results that `plain` rounds to the wrong side of a midpoint, in float32 and float16: trying every
// input found these and no others. The pointer says the type.
template <class Op, class T>
inline vf correct(const Op &, T *, vf y, vf) {
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

// Whether bfloat16's results stand an error of 2^-21 of them, which is that of `estimate`. Of all inputs, softsign's
// nearest to a midpoint is 2^-19.9 of it away, the derivative's 2^-20.5; where that is a midpoint, 2^-134, 1 + |x| is
// a power of two, whose reciprocal is exact.
template <class Op>
constexpr bool is_estimated = false;
template <>
constexpr bool is_estimated<Softsign> = true;
template <>
constexpr bool is_estimated<Derivative> = true;

// Whether `plain` makes of a bfloat16 a midpoint of two bfloat16 whose lower neighbor is odd. Trying every
// input found none for these, and one even: the derivative at 2^67, 2^-134.
template <class Op>
constexpr bool has_bfloat_ties = true;
template <>
constexpr bool has_bfloat_ties<Softsign> = false;
template <>
constexpr bool has_bfloat_ties<Derivative> = false;
template <>
constexpr bool has_bfloat_ties<Inverse> = false;
template <>
constexpr bool has_bfloat_ties<SecondDerivative> = false;

}  // namespace
}  // namespace softsign
