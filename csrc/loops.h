// Loops over contiguous arrays, written once for every function, element type and number of inputs.
#pragma once
#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "functions.h"
#include "ops.h"
#include "segments.h"

namespace softsign {
namespace {

// How an element type is read into a vector and written from one.
template <class T>
struct Element {
    using Vector = vf;
};
template <>
struct Element<double> {
    using Vector = vd;
};
template <class T>
using Vector = typename Element<T>::Vector;

inline vf decode(const float *, vf v) { return v; }
inline vd decode(const double *, vd v) { return v; }
inline vf decode(const float16 *, vh v) { return from_half(v); }
inline vf decode(const bfloat16 *, vh v) { return from_bfloat(v); }
inline vf encode(const float *, vf v) { return v; }
inline vd encode(const double *, vd v) { return v; }
inline vh encode(const float16 *, vf v) { return to_half(v); }
inline vh encode(const bfloat16 *, vf v) { return to_bfloat(v); }

template <class T>
inline Vector<T> read(const T *p) {
    decltype(encode(p, Vector<T>{})) raw;
    std::memcpy(&raw, p, sizeof raw);
    return decode(p, raw);
}
template <class T>
inline void write(T *p, Vector<T> v) {
    auto raw = encode(p, v);
    std::memcpy(p, &raw, sizeof raw);
}

// One group of U vectors of arguments: x, and up to two more.
template <class V, int U, int Inputs>
struct Group {
    V v[Inputs][U];

    template <class F>
    auto call(int u, F f) const {
        if constexpr (Inputs == 1)
            return f(v[0][u]);
        else if constexpr (Inputs == 2)
            return f(v[0][u], v[1][u]);
        else
            return f(v[0][u], v[1][u], v[2][u]);
    }
};

// The greatest magnitudes of x, as bits.
template <class V, int U, int Inputs>
inline Bits<V> top(const Group<V, U, Inputs> &x) {
    Bits<V> top = magnitude_bits(x.v[0][0]);
    for (int u = 1; u < U; ++u) {
        Bits<V> m = magnitude_bits(x.v[0][u]);
        top = m > top ? m : top;
    }
    return top;
}

template <class Op, class V, int U, int Inputs>
inline Bits<V> outside(const Group<V, U, Inputs> &x) {
    Bits<V> out = top(x) >= Op::template limit<V>;
    for (int u = 0; u < U; ++u) {
        if constexpr (Inputs == 2) out |= Op::outside(x.v[1][u]);
        if constexpr (Inputs == 3) out |= Op::outside(x.v[1][u], x.v[2][u]);
    }
    return out;
}

// The float32 result by its definition: computed in float64, rounded once, corrected.
template <class Op, int Inputs>
inline vf define(const Group<vf, 1, Inputs> &x) {
    vd2 a = widen(x.v[0][0]);
    if constexpr (Inputs == 1)
        return correct(Op{}, (float *)nullptr, narrow({Op::plain(a.lo), Op::plain(a.hi)}), x.v[0][0]);
    vd2 b = widen(x.v[Inputs > 1][0]), c = widen(x.v[Inputs - 1][0]);
    if constexpr (Inputs == 2) return narrow({Op::plain(a.lo, b.lo), Op::plain(a.hi, b.hi)});
    if constexpr (Inputs == 3) return narrow({Op::plain(a.lo, b.lo, c.lo), Op::plain(a.hi, b.hi, c.hi)});
}

// The lanes that `fast` has left, in float32 by the definition, in float64 one by one by exact arithmetic.
template <class Op, int Inputs>
inline vf finish_lanes(const Group<vf, 1, Inputs> &x, vi left, vf y) {
    return left != 0 ? define<Op>(x) : y;
}
template <class Op, int Inputs>
inline vd finish_lanes(const Group<vd, 1, Inputs> &x, vl left, vd y) {
    for (int lane = 0; lane < double_lanes; ++lane)
        if (left[lane]) y[lane] = x.call(0, [&](auto... args) { return Op::careful(args[lane]...); });
    return y;
}

// A vector with lanes that `fast` may not attempt or leaves in doubt. The others keep the result of `fast`, so
// that no result depends on its neighbors.
template <class Op, class V, int Inputs>
inline V settle(const Group<V, 1, Inputs> &x) {
    Bits<V> left = outside<Op>(x);
    Group<V, 1, Inputs> safe;
    for (int k = 0; k < Inputs; ++k) safe.v[k][0] = left ? splat<V>(k > 0) : x.v[k][0];
    V y = safe.call(0, [&](auto... args) { return Op::fast(args..., left); });
    return any(left) ? finish_lanes<Op>(x, left, y) : y;
}

// With `Number` the second input is one number, from which `run` makes a vector.
template <class Op, class T, int Inputs, bool Number = false>
class Loop {
    using V = Vector<T>;
    static constexpr int lanes = Lanes<V>::count;

    template <int U>
    [[gnu::always_inline]] static Group<V, U, Inputs> load(const T *const (&in)[3], std::size_t i) {
        Group<V, U, Inputs> x;
        for (int k = 0; k < Inputs; ++k)
            for (int u = 0; u < U; ++u) x.v[k][u] = read(in[k] + (fixed(k) ? 0 : i + u * lanes));
        return x;
    }
    static constexpr bool fixed(int k) { return Number && k == 1; }
    static constexpr bool by_scale = [] {
        if constexpr (Number && sizeof(T) > 2 && std::is_base_of_v<ByScale, Op>)
            return Op::template has_fast<V>;
        else
            return false;
    }();
    // U whole vectors from index i on.
    template <int U, bool streamed = false>
    [[gnu::always_inline]] static void step(const T *const (&in)[3], T *out, std::size_t i) {
        Group<V, U, Inputs> x = load<U>(in, i);
        V y[U];
        if constexpr (by_scale) {
            const Scale<V> &scale = *reinterpret_cast<const Scale<V> *>(in[1]);
            const Bits<V> far = top(x) >= scale.limit;
            if (__builtin_expect(any(far), 0)) return settle_all<U>(in, out, i);
            Bits<V> doubt{};
            for (int u = 0; u < U; ++u) y[u] = Op::fast(x.v[0][u], scale, doubt);
            if (__builtin_expect(any(doubt), 0)) return settle_all<U>(in, out, i);
        } else if constexpr (sizeof(T) > 2 && Op::template has_fast<V>) {
            if (__builtin_expect(any(outside<Op>(x)), 0)) return settle_all<U>(in, out, i);
            Bits<V> doubt{};
            for (int u = 0; u < U; ++u)
                y[u] = x.call(u, [&](auto... args) { return Op::fast(args..., doubt); });
            if (__builtin_expect(any(doubt), 0)) return settle_all<U>(in, out, i);
        } else {
            for (int u = 0; u < U; ++u) {
                if constexpr (sizeof(T) == 4)
                    y[u] = define<Op>(load<1>(in, i + u * lanes));
                else
                    y[u] = x.call(u, [](auto... args) { return Op::plain(args...); });
                if constexpr (sizeof(T) == 2 && Inputs == 1)
                    y[u] = correct(Op{}, (T *)nullptr, y[u], x.v[0][u]);
            }
        }
        for (int u = 0; u < U; ++u) {
            T *p = out + i + u * lanes;
            if constexpr (streamed)
                stream(p, encode(p, y[u]));
            else
                write(p, y[u]);
        }
    }
    // Reads the arguments again: keeping them for this rare case would cost the common one its registers.
    template <int U>
    [[gnu::noinline]] static void settle_all(const T *const (&in)[3], T *out, std::size_t i) {
        for (int u = 0; u < U; ++u, i += lanes) write(out + i, settle<Op>(load<1>(in, i)));
    }
    // Fewer elements than a vector, through the same arithmetic. The padding, 0 and for the others 1, raises
    // no flag in any function.
    static void part(const T *const (&in)[3], T *out, std::size_t i, std::size_t count) {
        T a[3][lanes] = {}, y[lanes];
        for (int k = 0; k < Inputs; ++k) {
            if (k > 0) write(a[k], splat<V>(1));
            if (!fixed(k)) std::memcpy(a[k], in[k] + i, count * sizeof(T));
        }
        step<1>({a[0], Number ? in[1] : a[1], a[2]}, y, 0);
        std::memcpy(out + i, y, count * sizeof(T));
    }

    // As many whole groups as there are from index i on; the index behind them.
    template <bool streamed>
    static std::size_t fetched_groups(const T *const (&in)[3], T *out, std::size_t i, std::size_t n) {
        for (; i + group * lanes <= n; i += group * lanes) {
            for (int k = 0; k < Inputs; k += fixed(k + 1) ? 2 : 1)
                for (std::size_t byte = 0; byte < group * lanes * sizeof(T); byte += 64)
                    __builtin_prefetch(reinterpret_cast<const char *>(in[k] + i) + prefetch_distance + byte);
            step<group, streamed>(in, out, i);
        }
        return i;
    }

    static constexpr int group =
        Inputs - Number == 1 ? 4
                             : 2;  // vectors that share one check for rare cases and still fit the registers
    // Bytes. At 64 Mi float32, beside np.copyto: 1.46 without, 1.08 with 2048, 1.03 with 3072, and gradient
    // is slowest with 4096, where the three arrays fall on the same cache sets.
    static constexpr std::size_t prefetch_distance = 3072;

  public:
    static void run(char *const *operands, std::size_t n, Access access) {
        T *at[Inputs + 1], number[lanes];
        for (int k = 0; k <= Inputs; ++k) at[k] = reinterpret_cast<T *>(operands[k]);
        const T *second = at[1];
        if (Number) second = std::fill_n(number, lanes, *at[1]) - lanes;
        if constexpr (by_scale) {
            const Scale<V> scale(*at[1]);  // begins with c, repeated
            return run_on({at[0], reinterpret_cast<const T *>(&scale), nullptr}, at[Inputs], n, access);
        }
        run_on({at[0], second, Inputs == 3 ? at[2] : nullptr}, at[Inputs], n, access);
    }

  private:
    static void run_on(const T *const (&in)[3], T *out, std::size_t n, Access access) {
        std::size_t i = 0;
        if (access == Access::streamed) {
            std::size_t head = (-reinterpret_cast<std::uintptr_t>(out) % vector_bytes) / sizeof(T);
            if (head > n) head = n;
            for (; i < head; i += lanes) part(in, out, i, head - i < lanes ? head - i : lanes);
            i = fetched_groups<true>(in, out, head, n);
            stream_fence();
        } else if (access == Access::prefetched) {
            i = fetched_groups<false>(in, out, i, n);
        }
        for (; i + group * lanes <= n; i += group * lanes) step<group>(in, out, i);
        for (; i + lanes <= n; i += lanes) step<1>(in, out, i);
        if (i < n) part(in, out, i, n - i);
    }
};

// f(n, x) with n as int64, one run of equal orders after the other: as a rule all are equal.
template <class Op, class T>
struct NthLoop {
    static void run(char *const *operands, std::size_t count, Access) {
        const std::int64_t *n = reinterpret_cast<const std::int64_t *>(operands[0]);
        T *x = reinterpret_cast<T *>(operands[1]), *out = reinterpret_cast<T *>(operands[2]);
        for (std::size_t i = 0, end; i < count; i = end) {
            for (end = i + 1; end < count && n[end] == n[i];) ++end;
            run_order(static_cast<int>(n[i]), x + i, out + i, end - i);
        }
    }

  private:
    static constexpr std::size_t lanes = Lanes<Vector<T>>::count;

    static void run_order(int n, T *x, T *out, std::size_t count) {
        char *const operands[] = {reinterpret_cast<char *>(x), reinterpret_cast<char *>(out)};
        if (n == 0) return Loop<Softsign, T, 1>::run(operands, count, Access::cached);
        if (n == 1) return Loop<Derivative, T, 1>::run(operands, count, Access::cached);
        if (n == 2) return Loop<SecondDerivative, T, 1>::run(operands, count, Access::cached);
        for (std::size_t i = 0; i < count; i += lanes) {
            std::size_t part = count - i < lanes ? count - i : lanes;
            T in[lanes], result[lanes];
            for (T &pad : in) pad = x[i];  // not 0, where n! may overflow
            std::memcpy(in, x + i, part * sizeof(T));
            write(result, evaluate(n, read(in)));
            std::memcpy(out + i, result, part * sizeof(T));
        }
    }
    static vd evaluate(int n, vd x) { return Op::precise(n, x); }
    static vf evaluate(int n, vf x) {
        return in_double(x, [n](vd w) { return Op::plain(n, w); });
    }
};

// Any number of results of a and b, computed in float64, two vectors at a time.
template <class Op, class T>
class SegmentLoop {
    static constexpr std::size_t lanes = 2 * double_lanes;

    static vd2 load(const double *p) { return {read(p), read(p + double_lanes)}; }
    static void store(double *p, vd2 v) { write(p, v.lo), write(p + double_lanes, v.hi); }
    template <class U>
    static vd2 load(const U *p) {
        return widen(read(p));
    }
    template <class U>
    static void store(U *p, vd2 v) {
        write(p, narrow(v));
    }

    // `a` and `b` are read before anything is written.
    static void step(const T *a, const T *b, char *const *operands, std::size_t i, std::size_t count) {
        auto results = Op::of(load(a), load(b));
        int k = 2;
        for (vd2 y : results.v) {
            T *out = reinterpret_cast<T *>(operands[k++]) + i;
            if (count == lanes) {
                store(out, y);
            } else {
                T part[lanes];
                store(part, y);
                std::memcpy(out, part, count * sizeof(T));
            }
        }
    }

  public:
    static void run(char *const *operands, std::size_t n, Access) {
        const T *a = reinterpret_cast<T *>(operands[0]), *b = reinterpret_cast<T *>(operands[1]);
        std::size_t i = 0;
        for (; i + lanes <= n; i += lanes) step(a + i, b + i, operands, i, lanes);
        if (i == n) return;
        T last[2][lanes] = {};
        std::memcpy(last[0], a + i, (n - i) * sizeof(T));
        std::memcpy(last[1], b + i, (n - i) * sizeof(T));
        step(last[0], last[1], operands, i, n - i);
    }
};

template <class Op, class T, Signature signature>
struct LoopOf : Loop<Op, T, inputs_of(signature)> {};
template <class Op, class T>
struct LoopOf<Op, T, Signature::ordered> : NthLoop<Op, T> {};
template <class Op, class T>
struct LoopOf<Op, T, Signature::segment> : SegmentLoop<Op, T> {};
template <class Op, class T>
struct LoopOf<Op, T, Signature::moments> : SegmentLoop<Op, T> {};

}  // namespace
}  // namespace softsign
