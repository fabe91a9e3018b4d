// Loops over contiguous arrays, written once for every function, element type and number of inputs.
#pragma once
#include <cstddef>
#include <type_traits>

#include "functions.h"
#include "logarithms.h"
#include "ops.h"
#include "scaled.h"
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

// U vectors of neighbors, in the order of memory, but for bfloat16, where the first of two has the even ones.
template <class T, int U>
[[gnu::always_inline]] inline void read(const T *p, Vector<T> (&v)[U]) {  // else 3 % slower
    if constexpr (std::is_same_v<T, bfloat16> && U % 2 == 0)
        for (int u = 0; u < U; u += 2) {
            vi raw;
            std::memcpy(&raw, p + u * float_lanes, sizeof raw);
            v[u] = from_even_bfloat(raw), v[u + 1] = from_odd_bfloat(raw);
        }
    else
        for (int u = 0; u < U; ++u) v[u] = read(p + u * Lanes<Vector<T>>::count);
}
template <bool streamed, class T, class Raw>
inline void store(T *p, Raw raw) {
    if constexpr (streamed)
        stream(p, raw);
    else
        std::memcpy(p, &raw, sizeof raw);
}
template <class Op, bool streamed, class T, int U>
inline void write(T *p, const Vector<T> (&v)[U]) {
    if constexpr (std::is_same_v<T, bfloat16> && U % 2 == 0)
        for (int u = 0; u < U; u += 2) {
            constexpr bool ties = has_bfloat_ties<Op>;
            vi even = round_to_bfloat<ties>(v[u]), odd = round_to_bfloat<ties>(v[u + 1]);
            store<streamed>(p + u * float_lanes, join_bfloats(even, odd));
        }
    else
        for (int u = 0; u < U; ++u) store<streamed>(p + u * Lanes<Vector<T>>::count, encode(p, v[u]));
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

// From which bits of |x| on `fast` is not attempted; of a function with a scale it depends on that.
template <class V, class Op>
inline auto limit_of(const Op &) {
    return Op::template limit<V>;
}
template <class V>
inline Bits<V> limit_of(const ScaledBy<V> &op) {
    return op.limit;
}
template <class V>
inline Bits<V> limit_of(const ScaledGradientBy<V> &op) {
    return op.limit;
}
// Whether a function itself says which arguments `fast` may not attempt.
template <class Op>
constexpr bool has_range = std::is_base_of_v<OwnRange, Op>;

// Whether there is a `Mode::far`.
template <class Op, class V>
constexpr bool has_far =
    has_parts<Op, V> || (has_fma && (is_quotient<Op> || (divides<Op> && sizeof(Scalar<V>) == 4)));

// The lanes that `mode` may not attempt.
template <Mode mode, class Op, class V, int Inputs>
inline Bits<V> outside(const Op &op, const Group<V, 1, Inputs> &x) {
    if constexpr (mode == Mode::far && has_parts<Op, V>) {
        return x.call(0, [&](auto... args) { return op.beyond(args...); });
    } else if constexpr (has_range<Op>) {
        return x.call(0, [](auto... args) { return Op::outside(args...); });
    } else {
        Bits<V> out = magnitude_bits(x.v[0][0]) >= limit_of<V>(op);
        if constexpr (Inputs == 2) {
            Bits<V> m = magnitude_bits(x.v[1][0]);
            out |= ((m < Op::template least<V>)&(m != 0)) | (m > Op::template greatest<V>);
        }
        return out;
    }
}
template <Mode mode, class Op, class V, int U, int Inputs>
[[gnu::always_inline]] inline Bits<V> some_outside(const Op &op, const Group<V, U, Inputs> &x) {
    Bits<V> out{};
    for (int u = 0; u < U; ++u) {
        Group<V, 1, Inputs> one;
        for (int k = 0; k < Inputs; ++k) one.v[k][0] = x.v[k][u];
        out |= outside<mode>(op, one);
    }
    return out;
}

// The greatest magnitude in each lane, as bits.
template <class V, int U>
inline Bits<V> greatest(const V (&v)[U]) {
    Bits<V> top = magnitude_bits(v[0]);
    for (int u = 1; u < U; ++u) {
        Bits<V> m = magnitude_bits(v[u]);
        top = m > top ? m : top;
    }
    return top;
}

// Negative for lanes with arguments that `mode` may not attempt, over all vectors of the group. Zeros among the
// second arguments are reported, too, though it may have them: `some_outside` asks again.
template <Mode mode, class Op, class V, int U, int Inputs>
inline Bits<V> suspects(const Op &op, const Group<V, U, Inputs> &x) {
    if constexpr (mode == Mode::fast && is_formula<Op> && Inputs == 3 && sizeof(Scalar<V>) == 4)
        return Op::suspects(x.v[0], x.v[1], x.v[2]);
    if constexpr (has_range<Op>) return some_outside<mode>(op, x);
    Bits<V> top[2], low;
    for (int k = 0; k < Inputs && k < 2; ++k) {
        top[k] = low = magnitude_bits(x.v[k][0]);
        for (int u = 1; u < U; ++u) {
            Bits<V> m = magnitude_bits(x.v[k][u]);
            top[k] = m > top[k] ? m : top[k];
            low = m < low ? m : low;
        }
    }
    if constexpr (!has_range<Op>) {
        if constexpr (mode == Mode::far && divides<Op>) return top[0] >= Op::template far_limit<V>;
        if constexpr (mode == Mode::far && is_formula<Op>) {
            if constexpr (Inputs == 1)
                return op.beyond((V)top[0]);
            else
                return op.beyond((V)top[0], (V)low) | (low == 0);
        }
        Bits<V> found = limit_of<V>(op) - 1 - top[0];
        if constexpr (Inputs == 2) {
            found |= low - Op::template least<V>;
            if constexpr (sizeof(Scalar<V>) == 8) found |= Op::template greatest<V> - top[1];
        }
        return found;
    }
}

// The definition of a float32 result before its rounding.
template <class Op, int Inputs>
inline vd2 unrounded(const Op &op, const Group<vf, 1, Inputs> &x) {
    return x.call(0, [&](auto... args) {
        return vd2{definition(op, widen(args).lo...), definition(op, widen(args).hi...)};
    });
}

// The float32 result by its definition: computed in float64, rounded once, corrected.
template <class Op, int Inputs>
inline vf define(const Op &op, const Group<vf, 1, Inputs> &x) {
    vf y = narrow(unrounded(op, x));
    return Inputs == 1 ? correct(op, (float *)nullptr, y, x.v[0][0]) : y;
}

// The lanes that `fast` has left, in float32 by the definition, in float64 one by one by exact arithmetic.
template <class Op, int Inputs>
inline vf finish_lanes(const Op &op, const Group<vf, 1, Inputs> &x, vi left, vf y) {
    return left != 0 ? define(op, x) : y;
}
template <class Op, int Inputs>
inline vd finish_lanes(const Op &op, const Group<vd, 1, Inputs> &x, vl left, vd y) {
    for (int lane = 0; lane < double_lanes; ++lane)
        if (left[lane]) y[lane] = x.call(0, [&](auto... args) { return op.careful(args[lane]...); });
    return y;
}

// `fast` for each vector, or its two parts. A formula leaves no lane in doubt. Two divisions at a time run side by
// side, as in `divide_all`: 0.97 of the time on Zen 1.
template <bool far = false, class Op, class V, int U, int Inputs>
[[gnu::always_inline]] inline void attempt(const Op &op, const Group<V, U, Inputs> &x, V (&y)[U],
                                           Bits<V> &doubt) {
    constexpr int pair = U < 2 ? U : 2;
    for (int u = 0; u < U; u += pair) {
        [[maybe_unused]] Divided<V> s[pair];
        if constexpr (has_parts<Op, V>)
            for (int k = 0; k < pair; ++k)
                s[k] = x.call(u + k, [&](auto... args) { return op.template divided<far>(args...); });
        for (int k = 0; k < pair; ++k)
            y[u + k] = x.call(u + k, [&](auto... args) {
                if constexpr (has_parts<Op, V>)
                    return op.rest(s[k], args...);
                else if constexpr (is_formula<Op>)
                    return op.template fast<far>(args...);
                else
                    return op.fast(args..., doubt);
            });
    }
}

// A vector with lanes that `fast` may not attempt or leaves in doubt. The others keep the result of `fast`, so
// that no result depends on its neighbors; where it is correctly rounded, the definition gives the same.
template <class Op, class V, int Inputs>
inline V settle(const Op &op, const Group<V, 1, Inputs> &x) {
    if constexpr (divides<Op> && sizeof(Scalar<V>) == 4) return define(op, x);
    constexpr bool far = has_parts<Op, V>;
    Bits<V> left = outside<far ? Mode::far : Mode::fast>(op, x);
    Group<V, 1, Inputs> safe;
    for (int k = 0; k < Inputs; ++k) safe.v[k][0] = left ? splat<V>(k > 0) : x.v[k][0];
    V y[1];
    attempt<far>(op, safe, y, left);
    return any(left) ? finish_lanes(op, x, left, y[0]) : y[0];
}
// A vector of quotients, each decided between two neighbors; `decided` receives one that was in doubt.
template <class Op, class V>
inline V settle_quotients(V x, Decided<V> &decided) {
    const V near = Op::within(x);
    const Divided<V> s = divide(Op::template denominator<false>(near));
    Bits<V> doubt{}, low = (Bits<V>)quotient(near, s, doubt);
    V y = nearest_quotient(near, s, (V)low);
    for (int lane = 0; lane < Lanes<V>::count; ++lane)
        if (doubt[lane]) decided = {magnitude_bits(near)[lane], ((Bits<V>)y - low)[lane]};
    return Op::beyond(x, y);
}

// `op` holds the scale that a function has for all elements, else nothing.
template <class Op, class T, int Inputs>
class Loop {
    using V = Vector<T>;
    static constexpr int lanes = Lanes<V>::count;
    static constexpr bool is_fast =
        Op::template has_fast<V> && (sizeof(T) > 2 || std::is_base_of_v<Logarithmic, Op>);
    // Vectors that share one check for rare cases and still fit the registers.
    static constexpr int group = Inputs == 1 ? 4 : 2;
    static constexpr bool doubts = is_formula<Op> ? sizeof(T) == 4 && !has_fma : is_fast;
    static constexpr bool settles = is_fast || doubts;

    template <int U>
    [[gnu::always_inline]] static Group<V, U, Inputs> load(const T *const (&in)[Inputs], std::size_t i) {
        Group<V, U, Inputs> x;
        for (int k = 0; k < Inputs; ++k) read(in[k] + i, x.v[k]);
        return x;
    }
    // bfloat16 asks for no true division where its results are far enough from midpoints (`is_estimated`).
    static constexpr bool estimates = has_estimate && std::is_same_v<T, bfloat16> && is_estimated<Op>;

    // Whether U whole vectors from index i on are done. If not, nothing is written.
    template <Mode mode, int U, Access access = Access::cached>
    [[gnu::always_inline]] static bool step(const Op &op, const T *const (&in)[Inputs], T *out, std::size_t i,
                                            Decided<V> decided = Decided<V>{}) {
        if constexpr (access != Access::cached)
            for (int k = 0; k < Inputs; ++k)
                for (std::size_t byte = 0; byte < U * lanes * sizeof(T); byte += 64)
                    __builtin_prefetch(reinterpret_cast<const char *>(in[k] + i) + prefetch_distance + byte);
        Group<V, U, Inputs> x = load<U>(in, i);
        V y[U];
        Bits<V> doubt{};
        if constexpr (is_fast) {
            if constexpr (mode == Mode::any)
                for (int u = 0; u < U; ++u) x.v[0][u] = Op::within(x.v[0][u]);
            else if (__builtin_expect(any_negative(suspects<mode>(op, x)), 0))
                if (Inputs == 1 || any(some_outside<mode>(op, x))) return false;
            if constexpr (divides<Op>)
                divide_all<Op, mode>(x.v[0], y, doubt, decided);
            else
                attempt<mode == Mode::far>(op, x, y, doubt);
        } else {
            [[maybe_unused]] bool huge = false;  // from 2^64 on, or nan
            if constexpr (estimates) huge = any_negative(0x5f7fffff - greatest(x.v[0]));
            for (int u = 0; u < U; ++u) {
#if !defined(__FMA__) && !defined(__FP_FAST_FMA)
                if constexpr (is_formula<Op> && sizeof(T) == 4) {
                    vd2 w = unrounded(op, load<1>(in, i + u * lanes));
                    doubt |= near_midpoint(w);
                    y[u] = narrow(w);
                    continue;
                }
#endif
                if constexpr (sizeof(T) == 4)
                    y[u] = define(op, load<1>(in, i + u * lanes));
                else if constexpr (estimates)
                    y[u] = huge ? op.plain(x.v[0][u]) : Op::estimate(x.v[0][u]);
                else
                    y[u] = x.call(u, [&](auto... args) { return op.plain(args...); });
                if constexpr (sizeof(T) == 2 && Inputs == 1)
                    y[u] = correct(op, (T *)nullptr, y[u], x.v[0][u]);
            }
        }
        if constexpr (doubts)
            if (__builtin_expect(any(doubt), 0)) return false;
        if constexpr (mode == Mode::any)
            for (int u = 0; u < U; ++u) y[u] = Op::beyond(read(in[0] + i + u * lanes), y[u]);
        write<Op, access == Access::streamed>(out + i, y);
        return true;
    }
    // Groups up to index `end` in one mode; the index of the first that is not done. A function of its own, so
    // that the common case has all registers: 0.98 of the time.
    template <Mode mode, Access access>
    [[gnu::noinline]] static std::size_t steps(const Op &op, const T *const (&in)[Inputs], T *out,
                                               std::size_t i, std::size_t end,
                                               Decided<V> decided = Decided<V>{}) {
        if constexpr (mode == Mode::fast && access == Access::cached && overlaps)
            return overlapped_steps(op, in, out, i, end);
        while (i < end && step<mode, group, access>(op, in, out, i, decided)) i += group * lanes;
        return i;
    }

    // With 32 registers the divisions of the next group begin before a group is finished, so that the divider never
    // waits: 0.95 of the time on an Emerald Rapids, float64's derivative 0.93. With 16 it takes 1.06 to 1.13.
    static constexpr bool overlaps = vector_bytes == 64 && is_fast && divides<Op>;
    struct Divisions {
        Divided<V> s[group];
    };
    [[gnu::always_inline]] static bool begin(const Op &op, const T *const (&in)[Inputs], std::size_t i,
                                             Divisions &begun) {
        const Group<V, group, Inputs> x = load<group>(in, i);
        if (__builtin_expect(any_negative(suspects<Mode::fast>(op, x)), 0)) return false;
        for (int u = 0; u < group; ++u) begun.s[u] = divide(Op::template denominator<false>(x.v[0][u]));
        return true;
    }
    [[gnu::always_inline]] static bool finish(const T *const (&in)[Inputs], T *out, std::size_t i,
                                              const Divisions &begun) {
        const Group<V, group, Inputs> x = load<group>(in, i);
        V y[group];
        Bits<V> doubt{};
        for (int u = 0; u < group; ++u) y[u] = Op::template rest<false>(x.v[0][u], begun.s[u], doubt);
        if (__builtin_expect(any(doubt), 0)) return false;
        write<Op, false>(out + i, y);
        return true;
    }
    static std::size_t overlapped_steps(const Op &op, const T *const (&in)[Inputs], T *out, std::size_t i,
                                        std::size_t end) {
        constexpr std::size_t size = group * lanes;
        Divisions now, next;
        if (i == end || !begin(op, in, i, now)) return i;
        for (;; now = next) {
            const bool more = i + size < end && begin(op, in, i + size, next);
            if (!finish(in, out, i, now)) return i;
            i += size;
            if (!more) return i;
        }
    }
    // U awkward vectors.
    template <int U>
    [[gnu::noinline]] static Decided<V> settle_some(const Op &op, const T *const (&in)[Inputs], T *out,
                                                    std::size_t i) {
        if constexpr (is_quotient<Op>)
            if (step<Mode::any, U>(op, in, out, i)) return Decided<V>{};
        return settle_each<U>(op, in, out, i);
    }
    template <int U>
    [[gnu::noinline]] static Decided<V> settle_each(const Op &op, const T *const (&in)[Inputs], T *out,
                                                    std::size_t i) {
        Decided<V> decided{};
        for (int u = 0; u < U; ++u, i += lanes)
            if constexpr (is_quotient<Op>)
                write(out + i, settle_quotients<Op>(read(in[0] + i), decided));
            else
                write(out + i, settle(op, load<1>(in, i)));
        return decided;
    }
    // Groups up to index `end`, the first of which is awkward.
    template <Access access>
    static void settle_all(const Op &op, const T *const (&in)[Inputs], T *out, std::size_t i,
                           std::size_t end) {
        while (i < end) {
            const Decided<V> decided = settle_some<group>(op, in, out, i);
            i += group * lanes;
            if constexpr (is_quotient<Op>)
                if (decided.x != 0 && i < end) {
                    i = steps<Mode::again, access>(op, in, out, i, end, decided);
                    continue;
                }
            if constexpr (is_fast && has_far<Op, V>)
                if (i < end) i = steps<Mode::far, access>(op, in, out, i, end);
        }
    }
    static void one(const Op &op, const T *const (&in)[Inputs], T *out, std::size_t i) {
        if (!step<Mode::fast, 1>(op, in, out, i))
            if constexpr (settles) settle_some<1>(op, in, out, i);
    }
    // Fewer elements than a vector, through the same arithmetic. The padding, 0 and for the others 1, raises no
    // flag in any function.
    static void part(const Op &op, const T *const (&in)[Inputs], T *out, std::size_t i, std::size_t count) {
        T padded[Inputs][lanes] = {}, y[lanes];
        const T *at[Inputs];
        for (int k = 0; k < Inputs; ++k) {
            if (k > 0) write(padded[k], splat<V>(1));
            std::memcpy(padded[k], in[k] + i, count * sizeof(T));
            at[k] = padded[k];
        }
        one(op, at, y, 0);
        std::memcpy(out + i, y, count * sizeof(T));
    }

    // What lies before the first aligned vector of the output; the index behind it.
    static std::size_t until_aligned(const Op &op, const T *const (&in)[Inputs], T *out, std::size_t n) {
        std::size_t head = (-reinterpret_cast<std::uintptr_t>(out) % vector_bytes) / sizeof(T);
        if (head > n) head = n;
        for (std::size_t i = 0; i < head; i += lanes)
            part(op, in, out, i, head - i < lanes ? head - i : lanes);
        return head;
    }

    // As many whole groups as there are from index i on; the index behind them. Awkward values come together:
    // of groups that are not done, each right behind the last, every one makes twice as many go without a try.
    template <Access access>
    static std::size_t groups(const Op &op, const T *const (&in)[Inputs], T *out, std::size_t i,
                              std::size_t n) {
        constexpr std::size_t size = group * lanes;
        const std::size_t end = i + (n - i) / size * size;
        for (std::size_t settled = end, count = 1;; i = settled) {
            i = steps<Mode::fast, access>(op, in, out, i, end);
            if (!settles || i == end) return end;
            count = i != settled ? 1 : count < most_settled ? 2 * count : count;
            settled = (end - i) / size < count ? end : i + count * size;
            if constexpr (settles) settle_all<access>(op, in, out, i, settled);
        }
    }

    static constexpr std::size_t most_settled = 128;  // groups: those that are tried cost less than 1 %
    // Bytes. At 64 Mi float32, beside np.copyto: 1.46 without, 1.08 with 2048, 1.03 with 3072, and gradient
    // is slowest with 4096, where the three arrays fall on the same cache sets.
    static constexpr std::size_t prefetch_distance = 3072;
    // Bytes of output. NumPy's arrays lie at 16 or 48 modulo 64, so that each store of 64 bytes meets two
    // lines: 2-9 % of the time on a Zen 4, against some 60 cycles for the first part (on a Zen 1). Stores of
    // 32 bytes are not worth it (0.99 of the time at offset 0 and at 16 alike, 1.03 at 1 Ki, on a Zen 1).
    static constexpr std::size_t aligned_from = 1 << 15;

  public:
    static void run(char *const *operands, std::size_t n, Access access) { run(Op{}, operands, n, access); }

    static void run(const Op &op, char *const *operands, std::size_t n, Access access) {
        const T *in[Inputs];
        for (int k = 0; k < Inputs; ++k) in[k] = reinterpret_cast<T *>(operands[k]);
        T *out = reinterpret_cast<T *>(operands[Inputs]);
        std::size_t i = 0;
        if (access == Access::streamed || (vector_bytes == 64 && n * sizeof(T) >= aligned_from))
            i = until_aligned(op, in, out, n);
        if (access == Access::streamed) {
            i = groups<Access::streamed>(op, in, out, i, n);
            stream_fence();
        } else if (access == Access::prefetched) {
            i = groups<Access::prefetched>(op, in, out, i, n);
        }
        i = groups<Access::cached>(op, in, out, i, n);
        for (; i + lanes <= n; i += lanes) one(op, in, out, i);
        if (i < n) part(op, in, out, i, n - i);
    }
};

// With one number as the second input.
template <class Op, class T, int Inputs>
struct NumberLoop {
    static void run(char *const *operands, std::size_t n, Access access) {
        constexpr int lanes = Lanes<Vector<T>>::count;
        T repeated[lanes];
        for (T &number : repeated) std::memcpy(&number, operands[1], sizeof number);
        using By = typename Op::template By<Vector<T>>;
        char *others[Inputs] = {operands[0]};
        for (int k = 1; k < Inputs; ++k) others[k] = operands[k + 1];
        Loop<By, T, Inputs - 1>::run(By(read(repeated)), others, n, access);
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
