// The kernels for one instruction set: compiled once for each, with SOFTSIGN_KERNELS set to its name.
// Everything but the table at the end is in unnamed namespaces, so that no copy is shared between instruction
// sets.
#include <type_traits>

#include "fir.h"
#include "functions.h"
#include "layer.h"
#include "loops.h"
#include "scalar.h"

namespace softsign {
namespace {

template <class Op, Signature signature>
constexpr Kernel loop(Type type) {
    switch (type) {
        case Type::float16: return LoopOf<Op, float16, signature>::run;
        case Type::bfloat16: return LoopOf<Op, bfloat16, signature>::run;
        case Type::float32: return LoopOf<Op, float, signature>::run;
        case Type::float64: return LoopOf<Op, double, signature>::run;
        case Type::longdouble: return scalar::run<Op, signature>;
        case Type::complex64: return std::is_same_v<Op, Softsign> ? scalar::complex_softsign<float> : nullptr;
        case Type::complex128:
            return std::is_same_v<Op, Softsign> ? scalar::complex_softsign<double> : nullptr;
        default: return nullptr;
    }
}

// With one scale for all elements.
template <class Op, Signature signature>
constexpr Kernel loop_of_number(Type type) {
    if constexpr (signature == Signature::scaled || signature == Signature::scaled_gradient) {
        constexpr int inputs = inputs_of(signature);
        switch (type) {
            case Type::float16: return NumberLoop<Op, float16, inputs>::run;
            case Type::bfloat16: return NumberLoop<Op, bfloat16, inputs>::run;
            case Type::float32: return NumberLoop<Op, float, inputs>::run;
            case Type::float64: return NumberLoop<Op, double, inputs>::run;
            default: break;
        }
    }
    return nullptr;
}

constexpr void add(Kernels &made, Type t) {
    const int type = static_cast<int>(t);
#define X(name, Op, signature)                                                               \
    made.kernel[static_cast<int>(Function::name)][type] = loop<Op, Signature::signature>(t); \
    made.of_number[static_cast<int>(Function::name)][type] = loop_of_number<Op, Signature::signature>(t);
    SOFTSIGN_FUNCTIONS(X)
#undef X
}

template <class T>
constexpr void add_layer(Kernels &made, Type type) {
    made.layer[static_cast<int>(type)] = LayerLoop<T>::values;
    made.layer_gradient[static_cast<int>(type)] = LayerLoop<T>::gradients;
}

constexpr Kernels make(const char *name) {
    Kernels made{name, FirLoop<float>::run, FirLoop<double>::run, {}, {}, {}, {}};
    add_layer<float16>(made, Type::float16);
    add_layer<bfloat16>(made, Type::bfloat16);
    add_layer<float>(made, Type::float32);
    add_layer<double>(made, Type::float64);
    for (int t = 0; t < static_cast<int>(Type::count); ++t) add(made, static_cast<Type>(t));
    return made;
}

}  // namespace

#define NAME_(kernels) kernels##_kernels
#define NAME(kernels) NAME_(kernels)
#define TEXT_(kernels) #kernels
#define TEXT(kernels) TEXT_(kernels)
extern constexpr Kernels NAME(SOFTSIGN_KERNELS) = make(TEXT(SOFTSIGN_KERNELS));

}  // namespace softsign
