// Vectors of the width of the instruction set this file is compiled for, on GCC's and Clang's vector
// extensions: + - * / and comparisons are the language's own; what it lacks stands here. Without -m flags
// (SSE2, NEON, any other CPU) the vectors have 16 bytes and everything below has a plain form.
#pragma once
#include <cfenv>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__SSE2__) && !defined(SOFTSIGN_PLAIN)  // SOFTSIGN_PLAIN: the plain forms on x86-64, to test them
#define SOFTSIGN_SSE2
#endif

namespace softsign {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

typedef float vf __attribute__((vector_size(vector_bytes)));
typedef double vd __attribute__((vector_size(vector_bytes)));
typedef int32_t vi __attribute__((vector_size(vector_bytes)));  // lanes and masks of vf
typedef int64_t vl __attribute__((vector_size(vector_bytes)));  // lanes and masks of vd
constexpr int float_lanes = vector_bytes / 4;
constexpr int double_lanes = vector_bytes / 8;

struct vd2 {  // the lanes of one vf, widened
    vd lo, hi;
};

// Fused multiply-add in hardware: with it a residual q*t - x is one instruction.
#if defined(__FMA__) || defined(__FP_FAST_FMA)
constexpr bool has_fma = true;
#else
constexpr bool has_fma = false;
#endif

template <class V>
struct Lanes;  // V's scalar, integer vector and layout
template <>
struct Lanes<vf> {
    using Scalar = float;
    using Bits = vi;
    using Int = int32_t;
    static constexpr int count = float_lanes;
    static constexpr Int sign = INT32_MIN, inf = 0x7f800000;
};
template <>
struct Lanes<vd> {
    using Scalar = double;
    using Bits = vl;
    using Int = int64_t;
    static constexpr int count = double_lanes;
    static constexpr Int sign = INT64_MIN, inf = 0x7ff0000000000000;
};
template <class V>
using Bits = typename Lanes<V>::Bits;
template <class V>
using Scalar = typename Lanes<V>::Scalar;

template <class V>
inline V splat(Scalar<V> c) {
    return V{} + c;
}
template <class V>
inline Bits<V> magnitude_bits(V x) {
    return (Bits<V>)x & ~Lanes<V>::sign;
}
template <class V>
inline V abs(V x) {
    return (V)magnitude_bits(x);
}
template <class V>
inline V with_sign_of(V magnitude, V x) {
    return (V)((Bits<V>)magnitude | ((Bits<V>)x & Lanes<V>::sign));
}
// == and != are quiet; < and > raise INVALID on nan. So order is decided by the bits: for magnitudes that of
// integers is that of numbers.
template <class V>
inline Bits<V> is_inf(V x) {
    return abs(x) == (Scalar<V>)__builtin_inf();
}
template <class V>
inline Bits<V> is_nan(V x) {
    return x != x;
}

inline bool any(vi m) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;
#elif defined(__AVX2__)
    return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#elif defined(SOFTSIGN_SSE2)
    return _mm_movemask_epi8(_mm_cmpeq_epi8((__m128i)m, _mm_setzero_si128())) != 0xffff;
#else
    bool r = false;
    for (int i = 0; i < float_lanes; ++i) r |= m[i] != 0;
    return r;
#endif
}
inline bool any(vl m) { return any((vi)m); }
inline bool any(bool m) { return m; }
// Whether a lane is negative: a subtraction and this take less time than a comparison and `any`.
inline bool any_negative(vi m) {
#if defined(__AVX512F__)
    return _mm512_movepi32_mask((__m512i)m) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps((__m256)m) != 0;
#elif defined(SOFTSIGN_SSE2)
    return _mm_movemask_ps((__m128)m) != 0;
#else
    vi negative = m < 0;
    return any(negative);
#endif
}
inline bool any_negative(vl m) {
#if defined(__AVX512F__)
    return _mm512_movepi64_mask((__m512i)m) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_pd((__m256d)m) != 0;
#elif defined(SOFTSIGN_SSE2)
    return _mm_movemask_pd((__m128d)m) != 0;
#else
    vl negative = m < 0;
    return any(negative);
#endif
}

// fma(a, b, c) = a*b + c and fnma(a, b, c) = c - a*b with one rounding. Without the instruction, in float64: the
// error-free product (Veltkamp and Dekker), the error-free sum (Knuth) and one addition. That rounds as the
// instruction does wherever a*b + c or its error is exact, which are the uses in ops.h. |a|, |b| < 2^996.
#if defined(__AVX512F__)
inline vf fma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
inline vd fma(vd a, vd b, vd c) { return (vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
inline vf fnma(vf a, vf b, vf c) { return (vf)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c); }
inline vd fnma(vd a, vd b, vd c) { return (vd)_mm512_fnmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
#elif defined(__FMA__)
inline vf fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
inline vd fma(vd a, vd b, vd c) { return (vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
inline vf fnma(vf a, vf b, vf c) { return (vf)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c); }
inline vd fnma(vd a, vd b, vd c) { return (vd)_mm256_fnmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
#elif defined(__FP_FAST_FMA)
inline vf fma(vf a, vf b, vf c) {
    for (int i = 0; i < float_lanes; ++i) a[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return a;
}
inline vd fma(vd a, vd b, vd c) {
    for (int i = 0; i < double_lanes; ++i) a[i] = __builtin_fma(a[i], b[i], c[i]);
    return a;
}
template <class V>
inline V fnma(V a, V b, V c) {
    return fma(-a, b, c);
}
#else
[[gnu::always_inline]] inline vd product_error(vd a, vd b, vd p) {  // a*b - p
    const double split = 134217729.0;                               // 2^27 + 1
    vd ca = split * a, cb = split * b;
    vd ah = ca - (ca - a), bh = cb - (cb - b), al = a - ah, bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
}
[[gnu::always_inline]] inline vd fma(vd a, vd b, vd c) {
    vd p = a * b, s = p + c, z = s - p;
    vd sum_error = (p - (s - z)) + (c - z);
    return s + (sum_error + product_error(a, b, p));
}
inline vf fma(vf a, vf b, vf c);
template <class V>
inline V fnma(V a, V b, V c) {
    return fma(-a, b, c);
}
#endif

// 1/t for 1 <= t < 2^64, off by less than 2^-22.5 of it. AVX-512 estimates it within 2^-14, differently on different
// CPUs; Newton's step squares that error, and its two roundings are 1.5 u.
#if defined(__AVX512F__)
constexpr bool has_estimate = true;
inline vf reciprocal(vf t) {
    vf c = (vf)_mm512_rcp14_ps((__m512)t);
    return fma(c, fnma(t, c, splat<vf>(1)), c);
}
#else
constexpr bool has_estimate = false;
inline vf reciprocal(vf t) { return 1 / t; }
#endif

inline vd2 widen(vf x) {
#if defined(__AVX512F__)
    return {(vd)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x)),
            (vd)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)x, 1))};
#elif defined(__AVX2__)
    return {(vd)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x)),
            (vd)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1))};
#elif defined(SOFTSIGN_SSE2)
    return {(vd)_mm_cvtps_pd((__m128)x), (vd)_mm_cvtps_pd(_mm_movehl_ps((__m128)x, (__m128)x))};
#else
    vd2 r;
    for (int i = 0; i < double_lanes; ++i) r.lo[i] = x[i], r.hi[i] = x[i + double_lanes];
    return r;
#endif
}
inline vf narrow(vd2 x) {
#if defined(__AVX512F__)
    return (vf)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)x.lo)),
                                  _mm512_cvtpd_ps((__m512d)x.hi), 1);
#elif defined(__AVX2__)
    return (vf)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)x.hi), _mm256_cvtpd_ps((__m256d)x.lo));
#elif defined(SOFTSIGN_SSE2)
    return (vf)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)x.lo), _mm_cvtpd_ps((__m128d)x.hi));
#else
    vf r;
    for (int i = 0; i < double_lanes; ++i) r[i] = (float)x.lo[i], r[i + double_lanes] = (float)x.hi[i];
    return r;
#endif
}

#if !defined(__FMA__) && !defined(__FP_FAST_FMA)
// p + c, and where that is not exact and the last bit 0, the neighbor on the side of the exact sum, whose last bit
// is 1: rounded to float32, that is the exact sum rounded once ("to odd": Boldo and Melquiond).
inline vd sum_to_odd(vd p, vd c) {
    vd s = p + c;
    vl finite = magnitude_bits(s) < Lanes<vd>::inf;
    vd a = finite ? p : vd{}, b = finite ? c : vd{}, z = (a + b) - a;
    vd error = (a - ((a + b) - z)) + (b - z);
    vl inward = ((vl)error ^ (vl)s) >> 63;  // -1 where the sum is nearer to 0 than s
    return (vd)((vl)s + ((error != 0) & (((vl)s & 1) - 1) & (inward | 1)));
}
// In float32 by float64, where the product is exact.
inline vf fma(vf a, vf b, vf c) {
    vd2 x = widen(a), y = widen(b), z = widen(c);
    return narrow({sum_to_odd(x.lo * y.lo, z.lo), sum_to_odd(x.hi * y.hi, z.hi)});
}
// The lanes that lie within 2^13 units of float64 of a midpoint between normal numbers of float32.
inline vi near_midpoint(vd2 y) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    vi low = __builtin_shufflevector((vi)y.lo, (vi)y.hi, 0, 2, 4, 6);
#else
    vi low = __builtin_shufflevector((vi)y.lo, (vi)y.hi, 1, 3, 5, 7);
#endif
    return (((low & 0x1fffffff) - (0x10000000 - 0x2000)) & ~0x3fff) == 0;
}
#endif

// Memory. The element types of a vf are float, IEEE half and bfloat16; of a vd, double.
struct float16 {
    uint16_t bits;
};
struct bfloat16 {
    uint16_t bits;
};
typedef uint16_t vh __attribute__((vector_size(vector_bytes / 2)));  // the 16-bit lanes of one vf

// A store that leaves the destination's line out of the cache; `p` is aligned to the vector.
template <class V>
inline void stream(void *p, V v) {
#if defined(__AVX512F__)
    if constexpr (sizeof v == 64) return _mm512_stream_si512((__m512i *)p, (__m512i)v);
#endif
#if defined(__AVX2__)
    if constexpr (sizeof v == 32) return _mm256_stream_si256((__m256i *)p, (__m256i)v);
#endif
#if defined(SOFTSIGN_SSE2)
    if constexpr (sizeof v == 16) return _mm_stream_si128((__m128i *)p, (__m128i)v);
#endif
    std::memcpy(p, &v, sizeof v);
}
inline void stream_fence() {
#if defined(SOFTSIGN_SSE2)
    _mm_sfence();
#endif
}

// The 16-bit lanes as 32-bit integers, and integers from -2^15 to 2^15 - 1 back.
inline vi spread(vh h) {
#if defined(__AVX512F__)
    return (vi)_mm512_cvtepu16_epi32((__m256i)h);
#elif defined(__AVX2__)
    return (vi)_mm256_cvtepu16_epi32((__m128i)h);
#else
    return __builtin_convertvector(h, vi);
#endif
}
inline vh pack(vi x) {
#if defined(__AVX512F__)
    return (vh)_mm512_cvtepi32_epi16((__m512i)x);
#elif defined(__AVX2__)
    return (vh)_mm_packs_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
#elif defined(SOFTSIGN_SSE2)
    __m128i packed = _mm_packs_epi32((__m128i)x, (__m128i)x);
    vh h;
    std::memcpy(&h, &packed, sizeof h);
    return h;
#else
    return __builtin_convertvector(x, vh);
#endif
}

inline vf from_half(vh h) {
#if defined(__AVX512F__)
    return (vf)_mm512_cvtph_ps((__m256i)h);
#elif defined(__F16C__)
    return (vf)_mm256_cvtph_ps((__m128i)h);
#else
    vi u = spread(h);
    vi sign = (u & 0x8000) << 16, magnitude = u & 0x7fff;
    // Multiplying by 2^112 moves the exponent's bias, subnormals included; inf and nan get their exponent by
    // hand.
    vf finite = (vf)(magnitude << 13) * 0x1p112f;
    vi special = (magnitude << 13) | 0x7f800000;
    return (vf)((magnitude >= 0x7c00 ? special : (vi)finite) | sign);
#endif
}
inline vh to_half(vf x) {  // round to nearest even
#if defined(__AVX512F__)
    return (vh)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT);
#elif defined(__F16C__)
    return (vh)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
#else
    vi bits = (vi)x, sign = bits & INT32_MIN, a = bits & INT32_MAX;
    // Normal halves: drop 13 bits, ties to even. Subnormal halves: adding 2^-1 leaves their bits at the
    // bottom.
    vi normal = (a - (112 << 23) + 0xfff + ((a >> 13) & 1)) >> 13;
    vi small = (vi)((a < 113 << 23 ? (vf)a : vf{}) + 0.5f) - (126 << 23);
    vi nan = 0x7e00 | ((a >> 13) & 0x3ff);
    vi overflow = (a >= 0x477ff000) & (a < 0x7f800000);
    if (any(overflow)) std::feraiseexcept(FE_OVERFLOW | FE_INEXACT);
    vi h = a < 113 << 23 ? small : normal;
    h = a >= 0x477ff000 ? (vi{} + 0x7c00) : h;
    h = a > 0x7f800000 ? nan : h;
    return pack(h | (sign >> 16));
#endif
}
inline vf from_bfloat(vh h) { return (vf)(spread(h) << 16); }
// Round to nearest even, in the upper half of each lane; overflow rounds to inf. A nan keeps its upper bits:
// it came from a bfloat16 or from the processor, so that its lower 16 bits are 0 and the addition carries
// nothing into the upper ones. Where every midpoint is to be rounded down (`ties` false), adding less than
// half does.
template <bool ties = true>
inline vi round_to_bfloat(vf x) {
    vi b = (vi)x;
    return ties ? b + 0x7fff + ((b >> 16) & 1) : b + 0x7fff;
}
inline vh to_bfloat(vf x) { return pack(round_to_bfloat(x) >> 16); }

// Two vectors of bfloat16, the elements with an even index and those with an odd one: the halves of 32-bit
// lanes, which need no moving.
inline vf from_even_bfloat(vi h) { return (vf)(h << 16); }
inline vf from_odd_bfloat(vi h) { return (vf)(h & ~0xffff); }
inline vi join_bfloats(vi even, vi odd) {  // rounded ones
    typedef uint32_t vu __attribute__((vector_size(vector_bytes)));
    return (vi)((vu)even >> 16) | (odd & ~0xffff);
}

}  // namespace
}  // namespace softsign
