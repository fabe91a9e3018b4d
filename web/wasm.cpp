// The kernels as WebAssembly: each function under its own name, and memory for its arguments.
#include "../csrc/functions.h"

constexpr int block = 1 << 16;  // elements of one call
alignas(64) static char memory[softsign::max_operands][block * 8];
static char *const unary[] = {memory[0], memory[2]};
static char *const others[] = {memory[0], memory[1], memory[2], memory[3], memory[4]};

extern "C" {
[[clang::export_name("arguments")]] char *arguments(int i) { return memory[i]; }  // a, b, and the results

#define X(name, Op, signature)                                                                        \
    [[clang::export_name(#name)]] void name##_kernel(int type, std::size_t n) {                       \
        softsign::portable_kernels.find(softsign::Function::name, static_cast<softsign::Type>(type))( \
            softsign::inputs_of(softsign::Signature::signature) == 1 ? unary : others, n,             \
            softsign::Access::cached);                                                                \
    }
SOFTSIGN_FUNCTIONS(X)
}
