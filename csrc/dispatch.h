// Which kernels run, and how they are fed from memory of any layout. No Python, no NumPy.
#pragma once
#include <cstddef>
#include <vector>

#include "kernels.h"

namespace softsign {

// The kernel sets this CPU can run, best first, and the one in use.
const std::vector<const KernelSet *> &available_kernels();
const KernelSet *kernels_in_use();
bool use_kernels(const char *name);  // false if no available set has that name

std::size_t last_level_cache();  // bytes
std::size_t item_size(Type type);

// y[i] = f(a[i]) or f(a[i], b[i]) over n elements, on so many threads at most. args and steps (bytes) in the order a, (b,)
// y. Inputs may overlap y only as y itself or ahead of it.
void apply(Function f, Type type, int inputs, char *const *args, const std::ptrdiff_t *steps, std::ptrdiff_t n,
           int threads);

}  // namespace softsign
