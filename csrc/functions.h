// The functions and the types, each listed once, and what the kernels (compiled once per instruction set, no
// Python, no NumPy) and the rest of the core know of each other.
#pragma once
#include <cstddef>

namespace softsign {

// The arguments of a function: (x), (x, dy), or (n, x) with an int64 order n; (x, c) or (x, c, dy) with a scale
// c; or the ends (a, b) of a segment, of which there is one result, or three moments.
enum class Signature { unary, binary, ordered, scaled, scaled_gradient, segment, moments };

// X(name, struct of ops.h, signature). The kernels, the ufuncs and softsign._core._functions follow from this
// list.
#define SOFTSIGN_FUNCTIONS(X)                             \
    X(softsign, Softsign, unary)                          \
    X(derivative, Derivative, unary)                      \
    X(inverse, Inverse, unary)                            \
    X(second_derivative, SecondDerivative, unary)         \
    X(antiderivative, Antiderivative, unary)              \
    X(second_antiderivative, SecondAntiderivative, unary) \
    X(log_jacobian, LogJacobian, unary)                   \
    X(gradient, Gradient, binary)                         \
    X(gradient_from_output, GradientFromOutput, binary)   \
    X(nth_derivative, NthDerivative, ordered)             \
    X(scaled, Scaled, scaled)                             \
    X(scaled_gradient, ScaledGradient, scaled_gradient)   \
    X(segment_mean, SegmentMean, segment)                 \
    X(segment_ramp, SegmentRamp, segment)                 \
    X(segment_moments, SegmentMoments, moments)

// X(name, bytes of an element, NumPy's name of the type). ml_dtypes registers bfloat16 at run time, under no
// fixed number.
#define SOFTSIGN_TYPES(X)                              \
    X(float16, 2, NPY_HALF)                            \
    X(bfloat16, 2, NPY_NOTYPE)                         \
    X(float32, 4, NPY_FLOAT)                           \
    X(float64, 8, NPY_DOUBLE)                          \
    X(longdouble, sizeof(long double), NPY_LONGDOUBLE) \
    X(complex64, 8, NPY_CFLOAT)                        \
    X(complex128, 16, NPY_CDOUBLE)

#define X(name, ...) name,
enum class Function { SOFTSIGN_FUNCTIONS(X) count };
enum class Type { SOFTSIGN_TYPES(X) count };
#undef X

constexpr int max_order = 170;  // of nth_derivative: 171! exceeds float64

constexpr Signature signature_of(Function f) {
#define X(name, Op, signature) Signature::signature,
    constexpr Signature signatures[] = {SOFTSIGN_FUNCTIONS(X)};
#undef X
    return signatures[static_cast<int>(f)];
}
constexpr int inputs_of(Signature signature) {
    return signature == Signature::unary ? 1 : signature == Signature::scaled_gradient ? 3 : 2;
}
constexpr int outputs_of(Signature signature) { return signature == Signature::moments ? 3 : 1; }
constexpr int operands_of(Signature signature) { return inputs_of(signature) + outputs_of(signature); }
constexpr int max_operands = 5;

// How a kernel goes about memory: `cached` for arrays that fit the caches. Beyond them it fetches its inputs
// ahead (`prefetched`), and in addition writes past the cache (`streamed`) where the output's lines are not
// read as inputs.
enum class Access { cached, prefetched, streamed };

// out[i] = f(a[i]), f(a[i], b[i]) or f(a[i], b[i], c[i]) for contiguous arrays, given as the inputs and then the
// outputs. An output may be an input itself, or lie behind it in memory.
using Kernel = void (*)(char *const *operands, std::size_t n, Access access);

// The layer gamma f(alpha x) + beta, and its gradients, for rows of `columns` elements. alpha, gamma and beta
// are of the type that the kernels compute in: double for float64, float for the others. `sums` receives, for
// each block of rows, the gradients of gamma, beta and alpha, summed over the block, one of each per column.
struct Layer {
    std::size_t rows, columns;
    double alpha;
    const void *x, *dy, *gamma, *beta;
    void *out, *sums;
    bool streamed;  // past the cache
};
constexpr std::size_t layer_block = 128;  // rows; what a thread takes at a time
using LayerKernel = void (*)(const Layer &layer, std::size_t first_block, std::size_t end_block);

// out[i] = sum over s and k of taps[s][k] x[s][i + k] for i < n; the rows of x have n + taps_each - 1 elements.
struct Fir {
    std::size_t streams, taps_each, n;
    const void *x, *taps;
    void *out;
};
using FirKernel = void (*)(const Fir &fir);

struct Kernels {
    const char *name;
    FirKernel fir_float32, fir_float64;
    LayerKernel layer[static_cast<int>(Type::count)], layer_gradient[static_cast<int>(Type::count)];
    Kernel kernel[static_cast<int>(Function::count)]
                 [static_cast<int>(Type::count)];  // null: no such function
    Kernel of_number[static_cast<int>(Function::count)]
                    [static_cast<int>(Type::count)];  // the second input is one number; null: none

    Kernel find(Function f, Type t) const { return kernel[static_cast<int>(f)][static_cast<int>(t)]; }
    Kernel find_of_number(Function f, Type t) const {
        return of_number[static_cast<int>(f)][static_cast<int>(t)];
    }
};

// One for each instruction set, defined by kernels.cpp.
extern const Kernels sse2_kernels, avx2_kernels, avx512_kernels, portable_kernels;

}  // namespace softsign
