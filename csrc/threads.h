// Sharing the work of one call among threads.
#pragma once
#include <atomic>
#include <cstddef>
#include <functional>

namespace softsign {

constexpr int max_threads = 1024;
int get_num_threads();
void set_num_threads(int n);  // from 1 to max_threads

// The nanoseconds that one element takes on one thread: learnt from the calls, since it depends on the function,
// the type, the kernels, the strides and the CPU, and decides no result.
class Pace {
    std::atomic<float> learnt{0};  // 0: of no call yet

  public:
    bool known() const { return learnt.load(std::memory_order_relaxed) > 0; }
    double of(double elements) const;
    void learn(double nanoseconds, double elements);
};

// Work in `units`, each of so many elements, to be cut at multiples of `grain` units.
struct Load {
    std::ptrdiff_t units, grain;
    double elements;  // in a unit
    Pace &pace;
    bool x87;  // computed in long double
};

// Calls work(begin, end) for pieces that together are all units, on the caller's thread and, where that pays, up
// to threads - 1 others. The others take over its floating-point environment (rounding, flushing of
// subnormals); it receives the flags they raise.
using Work = std::function<void(std::ptrdiff_t begin, std::ptrdiff_t end)>;
void share(const Load &load, int threads, const Work &work);

}  // namespace softsign
