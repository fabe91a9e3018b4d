// The contract between the kernels (compiled once per instruction set, no Python, no NumPy) and the rest of the core.
#pragma once
#include <cstddef>

namespace softsign {

// The single list of functions. A kernel is found by (function, type); a hole in the table is a null pointer.
#define SOFTSIGN_UNARY(X)    \
    X(softsign)              \
    X(derivative)            \
    X(inverse)               \
    X(second_derivative)     \
    X(antiderivative)        \
    X(second_antiderivative) \
    X(log_jacobian)
#define SOFTSIGN_BINARY(X) X(gradient) X(gradient_from_output) X(nth_derivative)

enum class Function {
#define X(name) name,
    SOFTSIGN_UNARY(X) SOFTSIGN_BINARY(X)
#undef X
        count
};

constexpr int max_order = 170;  // of nth_derivative: 171! exceeds float64

enum class Type { float16, bfloat16, float32, float64, longdouble, complex64, complex128, count };

// How a kernel goes about memory: `cached` for arrays that fit the caches. Beyond them it fetches its inputs ahead
// (`prefetched`), and in addition writes past the cache (`streamed`) where the output's lines are not read as inputs.
enum class Access { cached, prefetched, streamed };

// out[i] = f(a[i]) or f(a[i], b[i]) for contiguous arrays; b is unused by unary functions. `out` may be `a` or `b`
// itself, or lie behind them in memory.
using Kernel = void (*)(const void *a, const void *b, void *out, std::size_t n, Access access);

struct KernelSet {
    const char *name;
    Kernel kernel[static_cast<int>(Function::count)][static_cast<int>(Type::count)];
};

// One per compiled instruction set, defined by kernels.cpp.
extern const KernelSet sse2_kernels, avx2_kernels, avx512_kernels, portable_kernels;

}  // namespace softsign
