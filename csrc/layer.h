// The layer gamma f(alpha x) + beta over rows, f softsign: one pass forwards, one backwards.
//
// Backwards, with u = alpha x and r = 1 / (1 + |u|), so that f(u) = u r and f'(u) = r^2, the sums over all rows
// are dbeta of dy, dgamma of dy f(u), dalpha of (dy gamma r)(r x), whose second factor is at most 1 / alpha, and
// dx is alpha (dy gamma r) r: nothing overflows on the way. Sums are taken over 4 rows, these over a block, and
// blocks in double, by the caller: the order, and so every bit, depends on neither threads nor vectors.
#pragma once
#include "loops.h"

namespace softsign {
namespace {

template <class T>
class LayerLoop {
    using V = Vector<T>;
    using S = Scalar<V>;
    static constexpr std::size_t lanes = Lanes<V>::count;
    static constexpr std::size_t few = 4;  // rows that one register sums

    // The first `count` elements of a vector, all of them unless it is the last of a row.
    template <bool whole, class U>
    static Vector<U> take(const U *p, std::size_t count) {
        if constexpr (whole) return read(p);
        U padded[lanes] = {};
        std::memcpy(padded, p, count * sizeof(U));
        return read(padded);
    }
    template <bool whole, class U>
    static void put(U *p, Vector<U> v, std::size_t count) {
        if constexpr (whole) return write(p, v);
        U padded[lanes];
        write(padded, v);
        std::memcpy(p, padded, count * sizeof(U));
    }

    // The layer in the types that are computed in; a copy in each function, since through a reference the
    // compiler would read it anew after every store.
    struct Arrays {
        std::size_t columns;
        S alpha;
        const T *x, *dy;
        const S *gamma, *beta;
        T *out;
        explicit Arrays(const Layer &l)
            : columns(l.columns),
              alpha(static_cast<S>(l.alpha)),
              x(static_cast<const T *>(l.x)),
              dy(static_cast<const T *>(l.dy)),
              gamma(static_cast<const S *>(l.gamma)),
              beta(static_cast<const S *>(l.beta)),
              out(static_cast<T *>(l.out)) {}
    };

    // Whether results of whole vectors may be written past the cache: that takes aligned ones.
    static bool streams(const Layer &l) {
        return l.streamed && reinterpret_cast<std::uintptr_t>(l.out) % vector_bytes == 0 &&
               l.columns * sizeof(T) % vector_bytes == 0;
    }
    template <bool whole, bool streamed>
    static void result(T *p, V v, std::size_t count) {
        if constexpr (streamed) return stream(p, encode(p, v));
        put<whole>(p, v, count);
    }
    template <bool whole>
    static void add(S *sum, V part, std::size_t count) {
        put<whole>(sum, take<whole>(sum, count) + part, count);
    }

    // Where u is infinite, f(u) comes out as nan. The quick way finds that in a sum and has the careful one,
    // which takes +-1 there, go over the same elements again; elsewhere both give the same bits.

    template <bool whole, bool streamed, bool careful>
    [[gnu::always_inline]] static V value(const Arrays &a, std::size_t i, std::size_t j, std::size_t count) {
        __builtin_prefetch(reinterpret_cast<const char *>(a.x + i + j) + 3072);
        V u = a.alpha * take<whole>(a.x + i + j, count), f = u / (1 + abs(u));
        if constexpr (careful) f = is_inf(u) ? with_sign_of(splat<V>(1), u) : f;
        V gamma = take<whole>(a.gamma + j, count), beta = take<whole>(a.beta + j, count);
        result<whole, streamed>(a.out + i + j, gamma * f + beta, count);
        return f;
    }

    template <bool streamed, bool careful = false>
    static void row_values(const Layer &l, std::size_t row) {
        const Arrays a(l);
        const std::size_t i = row * a.columns;
        std::size_t j = 0;
        V sum = {};
        for (; j + lanes <= a.columns; j += lanes) sum += value<true, streamed, careful>(a, i, j, lanes);
        if (j < a.columns) sum += value<false, false, careful>(a, i, j, a.columns - j);
        if constexpr (!careful)
            if (__builtin_expect(any(sum != sum), 0)) row_values<streamed, true>(l, row);
    }

    // N * lanes columns from j on, of a few rows.
    template <int N, bool streamed, bool whole = true, bool careful = false>
    static void strip(const Layer &l, std::size_t row, std::size_t end, std::size_t j, S *sums,
                      std::size_t count = lanes) {
        const Arrays a(l);
        V gamma[N], dgamma[N] = {}, dbeta[N] = {}, dalpha[N] = {};
        for (int k = 0; k < N; ++k) gamma[k] = take<whole>(a.gamma + j + k * lanes, count);
        for (std::size_t start = row * a.columns + j; start < end * a.columns; start += a.columns) {
            __builtin_prefetch(a.x + start + few * a.columns);
            __builtin_prefetch(a.dy + start + few * a.columns);
            for (int k = 0; k < N; ++k) {
                const std::size_t i = start + k * lanes;
                V x = take<whole>(a.x + i, count), dy = take<whole>(a.dy + i, count);
                V u = a.alpha * x, r = 1 / (1 + abs(u)), g = dy * gamma[k] * r, f = u * r, v = g * (r * x);
                if constexpr (careful) {
                    f = is_inf(u) ? with_sign_of(splat<V>(1), u) : f;
                    v = is_inf(u) ? V{} : v;
                }
                dbeta[k] += dy;
                dgamma[k] += dy * f;
                dalpha[k] += v;
                result<whole, streamed>(a.out + i, a.alpha * g * r, count);
            }
        }
        if constexpr (!careful)
            if (__builtin_expect(any(dgamma[0] != dgamma[0]) || any(dgamma[N - 1] != dgamma[N - 1]), 0))
                return strip<N, streamed, whole, true>(l, row, end, j, sums, count);
        for (int k = 0; k < N; ++k) {
            add<whole>(sums + j + k * lanes, dgamma[k], count);
            add<whole>(sums + j + k * lanes + a.columns, dbeta[k], count);
            add<whole>(sums + j + k * lanes + 2 * a.columns, dalpha[k], count);
        }
    }

    template <bool streamed>
    static void row_gradients(const Layer &l, std::size_t row, std::size_t end, S *sums) {
        std::size_t j = 0;
        for (; j + 2 * lanes <= l.columns; j += 2 * lanes) strip<2, streamed>(l, row, end, j, sums);
        for (; j + lanes <= l.columns; j += lanes) strip<1, streamed>(l, row, end, j, sums);
        if (j < l.columns) strip<1, false, false>(l, row, end, j, sums, l.columns - j);
    }

  public:
    static void values(const Layer &l, std::size_t block, std::size_t end) {
        const bool streamed = streams(l);
        const std::size_t last = end * layer_block < l.rows ? end * layer_block : l.rows;
        for (std::size_t row = block * layer_block; row < last; ++row)
            streamed ? row_values<true>(l, row) : row_values<false>(l, row);
        if (streamed) stream_fence();
    }
    static void gradients(const Layer &l, std::size_t block, std::size_t end) {
        const bool streamed = streams(l);
        for (; block < end; ++block) {
            std::size_t row = block * layer_block;
            const std::size_t last = row + layer_block < l.rows ? row + layer_block : l.rows;
            S *sums = static_cast<S *>(l.sums) + block * 3 * l.columns;
            for (std::size_t stop; row < last; row = stop) {
                stop = row + few < last ? row + few : last;
                streamed ? row_gradients<true>(l, row, stop, sums) : row_gradients<false>(l, row, stop, sums);
            }
        }
        if (streamed) stream_fence();
    }
};

}  // namespace
}  // namespace softsign
