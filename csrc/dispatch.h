// Which kernels run, and how they are fed from memory of any layout. No Python, no NumPy.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "functions.h"

namespace softsign {

// The kernels that this CPU can run, best first, and those in use.
const std::vector<const Kernels *> &available_kernels();
const Kernels *kernels_in_use();
bool use_kernels(const char *name);  // false if none that the CPU can run have that name

std::size_t last_level_cache();  // bytes
std::size_t
streams_from();  // bytes of all arrays of a call, from which on outputs are written past the caches
std::size_t item_size(Type type);

// Asks the system to back memory that nothing has been written to yet with huge pages; whole pages of it only.
void advise_huge_pages(std::uintptr_t address, std::size_t bytes);

// y[i] = f(a[i]) or f(a[i], b[i]) over n elements, on so many threads at most. args and steps (bytes) in the
// order a, (b,) y. Inputs may overlap y only as y itself or ahead of it.
void apply(Function f, Type type, char *const *args, const std::ptrdiff_t *steps, std::ptrdiff_t n,
           int threads);

// The layer of functions.h, and its gradients: `sums` receives those of gamma, beta (one for each column) and
// alpha. False if there is not enough memory for their parts.
void apply_layer(Type type, Layer layer, int threads);
bool apply_layer_gradient(Type type, Layer layer, double *sums, int threads);

}  // namespace softsign
