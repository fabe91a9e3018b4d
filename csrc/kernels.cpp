// The kernels of one instruction set: compiled once for each, with SOFTSIGN_ISA set to its name. Everything but the
// table at the end is in unnamed namespaces, so that no copy is shared between instruction sets.
#include "kernels.h"

#include "loops.h"
#include "scalar.h"

namespace softsign {
namespace {

template <class Op, int Inputs>
constexpr Kernel loop(Type type) {
    switch (type) {
        case Type::float16: return Loop<Op, float16, Inputs>::run;
        case Type::bfloat16: return Loop<Op, bfloat16, Inputs>::run;
        case Type::float32: return Loop<Op, float, Inputs>::run;
        case Type::float64: return Loop<Op, double, Inputs>::run;
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
        case Function::softsign: return loop<Softsign, 1>(t);
        case Function::derivative: return loop<Derivative, 1>(t);
        case Function::inverse: return loop<Inverse, 1>(t);
        case Function::second_derivative: return loop<SecondDerivative, 1>(t);
        case Function::antiderivative: return loop<Antiderivative, 1>(t);
        case Function::second_antiderivative: return loop<SecondAntiderivative, 1>(t);
        case Function::log_jacobian: return loop<LogJacobian, 1>(t);
        case Function::gradient: return loop<Gradient, 2>(t);
        case Function::gradient_from_output: return loop<GradientFromOutput, 2>(t);
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
