// The kernels of one instruction set: compiled once for each, with SOFTSIGN_ISA set to its name. Everything but the
// table at the end is in unnamed namespaces, so that no copy is shared between instruction sets.
#include "kernels.h"

#include "loops.h"
#include "scalar.h"

namespace softsign {
namespace {

template <class Op>
constexpr Kernel unary(Type type) {
    switch (type) {
        case Type::float16: return Loop<Op, float16, 1>::run;
        case Type::bfloat16: return Loop<Op, bfloat16, 1>::run;
        case Type::float32: return Loop<Op, float, 1>::run;
        case Type::float64: return Loop<Op, double, 1>::run;
        default: return nullptr;
    }
}
template <class Op>
constexpr Kernel binary(Type type) {
    switch (type) {
        case Type::float16: return Loop<Op, float16, 2>::run;
        case Type::bfloat16: return Loop<Op, bfloat16, 2>::run;
        case Type::float32: return Loop<Op, float, 2>::run;
        case Type::float64: return Loop<Op, double, 2>::run;
        default: return nullptr;
    }
}
constexpr Kernel nth(Type type) {
    switch (type) {
        case Type::float16: return NthLoop<float16>::run;
        case Type::bfloat16: return NthLoop<bfloat16>::run;
        case Type::float32: return NthLoop<float>::run;
        case Type::float64: return NthLoop<double>::run;
        default: return nullptr;
    }
}

constexpr Kernel find(Function f, Type t) {
    if (t > Type::float64) return scalar::find(f, t);
    switch (f) {
        case Function::softsign: return unary<Softsign>(t);
        case Function::derivative: return unary<Derivative>(t);
        case Function::inverse: return unary<Inverse>(t);
        case Function::second_derivative: return unary<SecondDerivative>(t);
        case Function::antiderivative: return unary<Antiderivative>(t);
        case Function::second_antiderivative: return unary<SecondAntiderivative>(t);
        case Function::log_jacobian: return unary<LogJacobian>(t);
        case Function::gradient: return binary<Gradient>(t);
        case Function::gradient_from_output: return binary<GradientFromOutput>(t);
        case Function::nth_derivative: return nth(t);
        default: return nullptr;
    }
}

constexpr KernelSet make(const char *name) {
    KernelSet set{name, {}};
    for (int f = 0; f < static_cast<int>(Function::count); ++f)
        for (int t = 0; t < static_cast<int>(Type::count); ++t)
            set.kernel[f][t] = find(static_cast<Function>(f), static_cast<Type>(t));
    return set;
}

}  // namespace

#define NAME_(isa) isa##_kernels
#define NAME(isa) NAME_(isa)
#define TEXT_(isa) #isa
#define TEXT(isa) TEXT_(isa)
extern constexpr KernelSet NAME(SOFTSIGN_ISA) = make(TEXT(SOFTSIGN_ISA));

}  // namespace softsign
