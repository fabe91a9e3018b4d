// Sharing the work of one call among threads.
#pragma once
#include <cstddef>
#include <functional>

namespace softsign {

constexpr int max_threads = 1024;
int get_num_threads();
void set_num_threads(int n);  // from 1 to max_threads

// Calls work(begin, end) for pieces that together are 0..n, on the caller's thread and up to threads - 1
// others. The others take over its floating-point environment (rounding, flushing of subnormals); it receives
// the flags they raise.
using Work = std::function<void(std::ptrdiff_t begin, std::ptrdiff_t end)>;
void share(std::ptrdiff_t n, std::ptrdiff_t piece, int threads, const Work &work);

}  // namespace softsign
