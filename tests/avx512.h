// The AVX-512 instructions that csrc/simd.h uses, as pairs of AVX2's, which the CPU executes: SIMDe, the
// usual library for that, lacks half of them. With SOFTSIGN_EMULATE_AVX512 CMake has the compiler read this
// file before kernels.cpp, so that the avx512 kernels give their bits on a CPU without AVX-512, slowly.
#pragma once
#include <immintrin.h>

#include <cstring>

#define __AVX512F__ 1

namespace emulated {
namespace {

template <class Whole, class Half>
Whole join(Half lo, Half hi) {
    static_assert(sizeof(Whole) == 2 * sizeof(Half));
    Whole whole;
    std::memcpy(&whole, &lo, sizeof lo);
    std::memcpy(reinterpret_cast<char *>(&whole) + sizeof lo, &hi, sizeof hi);
    return whole;
}
template <class Half, class Whole>
Half half(Whole whole, int k) {
    static_assert(sizeof(Whole) == 2 * sizeof(Half));
    Half part;
    std::memcpy(&part, reinterpret_cast<const char *>(&whole) + k * sizeof part, sizeof part);
    return part;
}

}  // namespace
}  // namespace emulated

// f(half of a, half of b, ...) for both halves. Macros, as immintrin.h has functions of these names.
#define SOFTSIGN_HALVES(Whole, Half, f, a) \
    emulated::join<Whole>(f(emulated::half<Half>(a, 0)), f(emulated::half<Half>(a, 1)))
#define SOFTSIGN_HALVES3(Whole, Half, f, a, b, c)                                              \
    emulated::join<Whole>(                                                                     \
        f(emulated::half<Half>(a, 0), emulated::half<Half>(b, 0), emulated::half<Half>(c, 0)), \
        f(emulated::half<Half>(a, 1), emulated::half<Half>(b, 1), emulated::half<Half>(c, 1)))

#define _mm512_fmadd_ps(a, b, c) SOFTSIGN_HALVES3(__m512, __m256, _mm256_fmadd_ps, a, b, c)
#define _mm512_fmadd_pd(a, b, c) SOFTSIGN_HALVES3(__m512d, __m256d, _mm256_fmadd_pd, a, b, c)
#define _mm512_fnmadd_ps(a, b, c) SOFTSIGN_HALVES3(__m512, __m256, _mm256_fnmadd_ps, a, b, c)
#define _mm512_fnmadd_pd(a, b, c) SOFTSIGN_HALVES3(__m512d, __m256d, _mm256_fnmadd_pd, a, b, c)
#define _mm512_cvtps_pd(a) SOFTSIGN_HALVES(__m512d, __m128, _mm256_cvtps_pd, a)
#define _mm512_cvtpd_ps(a) SOFTSIGN_HALVES(__m256, __m256d, _mm256_cvtpd_ps, a)
#define _mm512_cvtph_ps(a) SOFTSIGN_HALVES(__m512, __m128i, _mm256_cvtph_ps, a)
#define _mm512_cvtepu16_epi32(a) SOFTSIGN_HALVES(__m512i, __m128i, _mm256_cvtepu16_epi32, a)
#define _mm512_cvtps_ph(a, rounding)                                                 \
    emulated::join<__m256i>(_mm256_cvtps_ph(emulated::half<__m256>(a, 0), rounding), \
                            _mm256_cvtps_ph(emulated::half<__m256>(a, 1), rounding))
#define _mm512_castps512_ps256(a) emulated::half<__m256>(a, 0)
#define _mm512_extractf32x8_ps(a, k) emulated::half<__m256>(a, k)
#define _mm512_castps256_ps512(a) emulated::join<__m512>(a, _mm256_setzero_ps())
#define _mm512_insertf32x8(a, b, one) emulated::join<__m512>(emulated::half<__m256>(a, 0), b)
#define _mm512_cvtepi32_epi16(a) (__m256i) __builtin_convertvector((__v16si)(a), __v16hi)
#define _mm512_rcp14_ps(a) emulated::estimate(a)
#define _mm512_test_epi32_mask(a, b) emulated::any((__m512i)((a) & (b)))
#define _mm512_movepi32_mask(a) emulated::any((__m512i)((__v16si)(a) < 0))
#define _mm512_movepi64_mask(a) emulated::any((__m512i)((__v8di)(a) < 0))
#define _mm512_stream_si512(p, a)                                                        \
    (_mm256_stream_si256(reinterpret_cast<__m256i *>(p), emulated::half<__m256i>(a, 0)), \
     _mm256_stream_si256(reinterpret_cast<__m256i *>(p) + 1, emulated::half<__m256i>(a, 1)))

namespace emulated {
namespace {
// As far from 1/a as the instruction may be, to one side and to the other in turn.
inline __m512 estimate(__m512 a) {
    for (int i = 0; i < 16; ++i) a[i] = (1 + (i % 2 ? 0x1p-14f : -0x1p-14f)) / a[i];
    return a;
}
inline bool any(__m512i a) {
    __m256i either = half<__m256i>(a, 0) | half<__m256i>(a, 1);
    return !_mm256_testz_si256(either, either);
}
}  // namespace
}  // namespace emulated
