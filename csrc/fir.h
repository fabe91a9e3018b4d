// A finite impulse response filter over several streams at once: out[i] is the sum over streams s and taps k of
// taps[s][k] x[s][i + k], in that order, one product and one sum at a time. So a signal filtered in blocks has
// the bits of one filtered as a whole.
#pragma once
#include "loops.h"

namespace softsign {
namespace {

template <class T>
class FirLoop {
    using V = Vector<T>;
    static constexpr std::size_t lanes = Lanes<V>::count;
    static constexpr std::size_t group = 8;  // sums at once, which hide the latency of one another

    // `Count` sums of U, vectors or single numbers.
    template <class U, std::size_t Count>
    [[gnu::always_inline]] static void step(const Fir &f, std::size_t i) {
        const T *taps = static_cast<const T *>(f.taps), *x = static_cast<const T *>(f.x) + i;
        U sum[Count] = {};
        for (std::size_t s = 0; s < f.streams; ++s, x += f.n + f.taps_each - 1)
            for (std::size_t k = 0; k < f.taps_each; ++k, ++taps)
                for (std::size_t j = 0; j < Count; ++j) {
                    U part;
                    std::memcpy(&part, x + k + j * (sizeof(U) / sizeof(T)), sizeof part);
                    sum[j] = sum[j] + *taps * part;
                }
        std::memcpy(static_cast<T *>(f.out) + i, sum, sizeof sum);
    }

  public:
    static void run(const Fir &f) {
        std::size_t i = 0;
        for (; i + group * lanes <= f.n; i += group * lanes) step<V, group>(f, i);
        for (; i + lanes <= f.n; i += lanes) step<V, 1>(f, i);
        for (; i < f.n; ++i) step<T, 1>(f, i);
    }
};

}  // namespace
}  // namespace softsign
