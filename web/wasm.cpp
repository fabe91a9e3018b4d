// The kernels as WebAssembly: each function under its own name, and memory for its arguments.
#include "../csrc/functions.h"

constexpr int block = 1 << 16;  // elements of one call
alignas(64) static char memory[3][block * 8];
static char *const unary[] = {memory[0], memory[2]}, *const binary[] = {memory[0], memory[1], memory[2]};

extern "C" {
[[clang::export_name("arguments")]] char *arguments(int i) { return memory[i]; }  // a, b, and the result

#define X(name, Op, signature)                                                                        \
    [[clang::export_name(#name)]] void name##_kernel(int type, std::size_t n) {                       \
        softsign::portable_kernels.find(softsign::Function::name, static_cast<softsign::Type>(type))( \
            softsign::inputs_of(softsign::Signature::signature) == 1 ? unary : binary, n,             \
            softsign::Access::cached);                                                                \
    }
SOFTSIGN_FUNCTIONS(X)
}
