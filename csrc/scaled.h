// The scaled softsign c f(x/c) and its gradient in x, for a scale c of each element, or of all.
#pragma once
#include "ops.h"

namespace softsign {
namespace {

template <class V>
struct ScaledBy;
template <class V>
struct ScaledGradientBy;

// x/(1 + |x|/c) = x c/(c + |x|), odd in x: x where c is infinite, +-c where x is, +-0 where c is 0; INVALID
// for c < 0.
struct Scaled : OwnRange {
    template <class V>
    using By = ScaledBy<V>;
    template <class V>
    static constexpr bool has_fast = Enclosure<V>::available;
    // From 2^64 or 2^400 on, and for c outside 2^+-40 or 2^+-200, x c might not be exact in two parts.
    static vi outside(vf x, vf c) {
        return (magnitude_bits(x) >= 0x5f800000) | beyond(c, 0x2b800000, 0x53800000);
    }
    static vl outside(vd x, vd c) {
        return (magnitude_bits(x) >= 0x58f0000000000000) | beyond(c, 0x3370000000000000, 0x4c70000000000000);
    }
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
        V k = splat<V>(1 - 12 * Enclosure<V>::u) / d.t;
        V p = x * c, q = p * k;
        V r = fma(q, d.t, -p) + fma(q, d.e, -fma(x, c, -p));
        V y1 = fnma(r, k, q), y2 = fnma(r, above(k, 20), q);
        doubt |= ((Bits<V>)y1 ^ (Bits<V>)y2) | tiny(x);
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
struct ScaledGradient : Formula, OwnRange {
    template <class V>
    using By = ScaledGradientBy<V>;
    // Float32: |x| below 2^24 c, c within 2^+-60 and |dy| from 2^-49 on, or 0. Float64: |x| below 2^150, c within
    // 2^+-150 and |dy| within 2^+-300, or 0. No product of `fast` over- or underflows.
    template <class V>
    static constexpr typename Lanes<V>::Int least =
        sizeof(Scalar<V>) == 4 ? Formula::least<V> : 0x2d30000000000000;
    template <class V>
    static constexpr typename Lanes<V>::Int greatest =
        sizeof(Scalar<V>) == 4 ? Formula::greatest<V> : 0x52b0000000000000;
    static constexpr int32_t low = 0x21800000, high = 0x5d800000, far = 24 << 23;
    static vi beyond_scales(vf c) { return Scaled::beyond(c, low, high); }
    static vl beyond_scales(vd c) { return Scaled::beyond(c, 0x3690000000000000, 0x4950000000000000); }
    static vi limit(vf c) { return (vi)c + far; }
    static vl limit(vd) { return vl{} + 0x4950000000000000; }
    template <class V>
    static Bits<V> outside(V x, V c, V dy) {
        const Bits<V> beyond = beyond_scales(c);
        return beyond | (magnitude_bits(x) >= limit(beyond ? V{} : c)) |
               (Scaled::beyond(abs(dy), least<V>, greatest<V>) & (magnitude_bits(dy) != 0));
    }
    // For a group, zeros of dy among them: 0.87 of the time of `outside` for each vector.
    template <int U>
    static vi suspects(const vf (&x)[U], const vf (&c)[U], const vf (&dy)[U]) {
        typedef uint32_t vu __attribute__((vector_size(vector_bytes)));  // for c < 0, which `least_c` tells
        auto excess = [&](int u) { return (vi)((vu)magnitude_bits(x[u]) - (vu)c[u]); };
        vi most = excess(0), least_c = (vi)c[0], most_c = (vi)c[0], z = magnitude_bits(dy[0]);
        for (int u = 1; u < U; ++u) {
            const vi m = excess(u), s = (vi)c[u], d = magnitude_bits(dy[u]);
            most = m > most ? m : most, z = d < z ? d : z;
            least_c = s < least_c ? s : least_c, most_c = s > most_c ? s : most_c;
        }
        return (most >= far) | (least_c < low) | (vi)(high - (vu)most_c) | (z - least<vf>);
    }
    // As `Gradient::beyond`, for |x|/c.
    static vi beyond(vf x, vf c, vf dy) {
        return beyond_scales(c) | Gradient::beyond(magnitude_bits(x) - magnitude_bits(c), dy);
    }

    // With t + e = c + |x| exactly, k = (1 - 4u)/t and s = ck, rho is s + r/(t + e), r = c - s(t + e). k, s and t are
    // each off by at most u, so that r lies between u c and 7u c, and its two roundings change it by at most 13u^2
    // c. s^2 is p plus at most u p exactly, and w = s^2 + 2s r k - p between u p and 15u p, as in `Below`. What is
    // neglected, (7u)^2 for the square of r/(t + e) and 2 (7u)(6u) as 1/(t + e) is k (1 + 4u +- 2u), and the
    // roundings, 2 (13u^2) of r, 14u^2 of r k and 15u^2 each of w and of w dy, sum to less than 250u^2. So the error
    // is below 0.50002 ulp. A number c takes no other path than an array: the results are the same.
    template <bool>
    static Divided<vf> divided(vf x, vf c, vf) {
        const vi a = magnitude_bits(x), b = (vi)c;
        vf less = (vf)(a < b ? a : b), more = (vf)(a > b ? a : b);  // 0.93 of the time of `two_sum`
        vf t = abs(x) + c;
        return {t, less - (t - more), splat<vf>(1 - 0x4p-24f) / t};
    }
    static vf rest(Divided<vf> d, vf, vf c, vf dy) {
        vf k = d.c, s = c * k, r = fnma(s, d.e, fnma(s, d.t, c));
        vf p = s * s, w = fma(s + s, r * k, fma(s, s, -p));
        return fma(dy, p, dy * w);
    }

    // rho = c/(t + e) = s + h, s rounded and h its error, so that rho^2 = s^2 + 2 s h and 3u^2 of it. Then as
    // `Gradient::fast`.
    template <bool>
    static vd fast(vd x, vd c, vd dy) {
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

// `Scaled` with one scale c for all x, with which 1 + |x|/c takes one operation more than 1 + |x|.
template <class V>
struct ScaledBy {
    template <class>
    static constexpr bool has_fast = Scaled::has_fast<V>;
    V c, z, z_low;  // z + z_low = 1/c up to 2u^2, as 1 - cz is exact
    Bits<V> limit;  // of |x|, that t stays below 2^22 or 2^51; 0 where z_low might underflow

    explicit ScaledBy(V scale) : c(scale) {
        const Bits<V> beyond = beyond_scales(c);
        const V inside = beyond ? splat<V>(1) : c;
        z = 1 / inside, z_low = z * fnma(inside, z, splat<V>(1));
        limit = beyond ? Bits<V>{} : (Bits<V>)(inside * (0.25f / Enclosure<V>::u));
    }
    static vi beyond_scales(vf c) { return Scaled::beyond(c, 0x21800000, 0x5d800000); }  // 2^-60, 2^60
    static vl beyond_scales(vd c) {
        return Scaled::beyond(c, 0x2d30000000000000, 0x52b0000000000000);  // 2^-300, 2^300
    }

    // t + e = 1 + |x|/c: t - 1 is exact, and e rounded twice, by u^2 t and by 2u^2 t, so that |e| <= 2u t, and t
    // + e is right up to 5u^2 t. Then x/(t + e) as in `Scaled::fast`: k and q as there, r = q(t+e) - x lies
    // between -16.1u x and -7.9u x; its two roundings are 30u^2 x or 3.8u r, 1/(t+e) is k (1 + 12u +- 3.1u), and
    // what t + e lacks is 5u^2 q or 0.7u r k: between 4u and 20u together.
    V fast(V x, Bits<V> &doubt) const {
        V a = abs(x), t = fma(a, z, splat<V>(1)), e = fma(a, z_low, fma(a, z, 1 - t));
        V k = splat<V>(1 - 12 * Enclosure<V>::u) / t;
        V q = x * k, r = fma(q, e, fma(q, t, -x));
        V y1 = fnma(r, k, q), y2 = fnma(r, above(k, 20), q);
        doubt |= (Bits<V>)y1 ^ (Bits<V>)y2;
        return has_fma ? y1 : with_sign_of(y1, x);
    }
    vf plain(vf x) const { return Scaled::plain(x, c); }
    vd plain(vd x) const { return Scaled::plain(x, widen(c).lo); }
    double careful(double x) const { return exact::scaled(x, c[0]); }
};

// `ScaledGradient` with one scale c for all x and dy.
template <class V>
struct ScaledGradientBy : Formula {
    template <class>
    static constexpr auto least = ScaledGradient::least<V>;
    template <class>
    static constexpr auto greatest = ScaledGradient::greatest<V>;
    V c, inside;  // 1 where `fast` may not attempt c, so that what it makes of it raises no flag
    Bits<V> limit;

    explicit ScaledGradientBy(V scale) : c(scale) {
        const Bits<V> beyond = ScaledGradient::beyond_scales(c);
        inside = beyond ? splat<V>(1) : c;
        limit = beyond ? Bits<V>{} : ScaledGradient::limit(inside);
    }
    vi beyond(vf x, vf dy) const { return ScaledGradient::beyond(x, c, dy); }
    template <bool far>
    V fast(V x, V dy) const {
        return ScaledGradient::fast<far>(x, inside, dy);
    }
    template <bool far>
    Divided<V> divided(V x, V dy) const {
        return ScaledGradient::divided<far>(x, inside, dy);
    }
    V rest(Divided<V> d, V x, V dy) const { return ScaledGradient::rest(d, x, inside, dy); }
    vf plain(vf x, vf dy) const { return ScaledGradient::plain(x, c, dy); }
    vd plain(vd x, vd dy) const {
        const vd scale = widen(c).lo;
        if (limit[0] == 0) return ScaledGradient::plain(x, scale, dy);
        const vd r = scale / (abs(x) + scale);  // the same without its special cases
        return (dy * r) * r;
    }
    double careful(double x, double dy) const { return exact::scaled_gradient(x, c[0], dy); }
};

}  // namespace
}  // namespace softsign
