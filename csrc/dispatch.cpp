#include "dispatch.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#if defined(SOFTSIGN_WITH_avx2)
#include <cpuid.h>
#endif

#include "threads.h"

namespace softsign {
namespace {

#if defined(SOFTSIGN_WITH_avx2)
bool cpu_has_f16c() {  // a name that __builtin_cpu_supports of older Clangs does not know
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

std::vector<const Kernels *> detect() {
    std::vector<const Kernels *> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
#if defined(SOFTSIGN_EMULATE_AVX512)
    found.push_back(&avx512_kernels);
#elif defined(SOFTSIGN_WITH_avx512)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        found.push_back(&avx512_kernels);
#endif
#if defined(SOFTSIGN_WITH_avx2)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c())
        found.push_back(&avx2_kernels);
#endif
#if defined(SOFTSIGN_WITH_sse2)
    found.push_back(&sse2_kernels);
#endif
#if defined(SOFTSIGN_WITH_portable)
    found.push_back(&portable_kernels);
#endif
    return found;
}

std::atomic<const Kernels *> in_use{nullptr};

struct Operand {
    char *data;
    std::ptrdiff_t step;
    std::size_t size;
    bool number = false;  // a single one, which the kernel repeats

    bool contiguous() const { return number || step == static_cast<std::ptrdiff_t>(size); }
    char *at(std::ptrdiff_t i) const { return data + i * step; }
};

template <class Copy>
void copy_items(std::size_t size, std::ptrdiff_t n, Copy copy) {
    auto run = [&](auto bytes) {
        for (std::ptrdiff_t i = 0; i < n; ++i) copy(i, bytes);
    };
    switch (size) {
        case 2: return run(std::integral_constant<std::size_t, 2>{});
        case 4: return run(std::integral_constant<std::size_t, 4>{});
        case 8: return run(std::integral_constant<std::size_t, 8>{});
        default: return run(std::integral_constant<std::size_t, 16>{});
    }
}

struct Call {
    Kernel kernel;
    int inputs, operands;
    Operand operand[max_operands];  // inputs, then outputs
    Access access;

    void run(std::ptrdiff_t begin, std::ptrdiff_t end) const {
        bool contiguous = true;
        for (int k = 0; k < operands; ++k) contiguous &= operand[k].contiguous();
        if (contiguous)
            run_at(begin, end - begin, access);
        else
            for (std::ptrdiff_t i = begin; i < end; i += block) run_block(i, std::min(block, end - i));
    }

    // In the order of the elements, each result written before the next argument is read.
    void run_one_by_one(std::ptrdiff_t n) const {
        for (std::ptrdiff_t i = 0; i < n; ++i) run_at(i, 1, Access::cached);
    }

  private:
    static constexpr std::ptrdiff_t block = 512;  // buffers of 512 items stay in the first-level cache

    void run_at(std::ptrdiff_t begin, std::ptrdiff_t n, Access how) const {
        char *item[max_operands];
        for (int k = 0; k < operands; ++k) item[k] = operand[k].at(begin);
        kernel(item, n, how);
    }
    void run_block(std::ptrdiff_t begin, std::ptrdiff_t n) const {
        alignas(64) char buffer[max_operands][block * 16];
        char *item[max_operands];
        for (int k = 0; k < operands; ++k)
            item[k] = operand[k].contiguous() ? operand[k].at(begin) : buffer[k];
        for (int k = 0; k < inputs; ++k) {
            const Operand &in = operand[k];
            if (!in.contiguous())
                copy_items(in.size, n, [&](auto i, auto bytes) {
                    std::memcpy(buffer[k] + i * bytes, in.at(begin + i), bytes);
                });
        }
        kernel(item, n, Access::cached);
        for (int k = inputs; k < operands; ++k) {
            const Operand &out = operand[k];
            if (!out.contiguous())
                copy_items(out.size, n, [&](auto i, auto bytes) {
                    std::memcpy(out.at(begin + i), buffer[k] + i * bytes, bytes);
                });
        }
    }
};

// The addresses an operand covers.
struct Span {
    const char *begin, *end;
    Span(const Operand &o, std::ptrdiff_t n)
        : begin(std::min(o.at(0), o.at(n - 1))), end(std::max(o.at(0), o.at(n - 1)) + o.size) {}
    bool overlaps(const Span &other) const { return begin < other.end && other.begin < end; }
};

// Whether every item of an input that shares memory with the output is read before it is written over. NumPy
// keeps to that but in `reduce`, whose output is an input with step 0, and `accumulate`, whose output is an
// input one item ahead.
bool read_ahead(const Operand &in, const Operand &out) {
    const std::ptrdiff_t size = std::max(in.size, out.size);
    if (in.step < 0) return in.step <= out.step && in.step <= -size && in.data <= out.data;
    return in.step >= out.step && in.step >= size && in.data >= out.data;
}

// Fewer items are no work for two threads, whatever the function; pieces begin at multiples of it.
constexpr std::ptrdiff_t grain = 1 << 10;

Pace paces[static_cast<int>(Function::count)][static_cast<int>(Type::count)];
Pace layer_paces[2][static_cast<int>(Type::count)];  // forwards, backwards

bool is_x87(Type type) { return type == Type::longdouble; }

}  // namespace

const std::vector<const Kernels *> &available_kernels() {
    static const std::vector<const Kernels *> sets = detect();
    return sets;
}
const Kernels *kernels_in_use() {
    const Kernels *kernels = in_use.load(std::memory_order_relaxed);
    if (!kernels) in_use = kernels = available_kernels().front();
    return kernels;
}
bool use_kernels(const char *name) {
    for (const Kernels *kernels : available_kernels())
        if (std::strcmp(kernels->name, name) == 0) {
            in_use = kernels;
            return true;
        }
    return false;
}

// Linux tells a cache's size in KiB, as "32768K". sysconf is no substitute: in virtual machines glibc
// multiplies what cpuid says by cores that are not there (256 MiB where the cache has 32).
std::size_t last_level_cache() {
    static const std::size_t bytes = [] {
        std::size_t kib = 32 << 10;  // elsewhere: a usual size
        // A std::ifstream would bring half a megabyte of libstdc++ into memory.
        for (const char *path : {"/sys/devices/system/cpu/cpu0/cache/index2/size",
                                 "/sys/devices/system/cpu/cpu0/cache/index3/size"}) {
            std::FILE *file = std::fopen(path, "re");
            std::size_t found = 0;
            if (file && std::fscanf(file, "%zu", &found) == 1 && found > 0) kib = found;
            if (file) std::fclose(file);
        }
        return kib << 10;
    }();
    return bytes;
}

// Where arrays of this size meet, plain stores cost more than what the next step finds in the cache is worth. A
// cache of hundreds of MiB, shared by many cores, is little better than memory: with 300 MiB, on an Emerald Rapids,
// float32 of 2 Mi took 0.82 of the time when streamed, and 0.97 with the step that reads the result; 4 Mi 0.82 and
// 0.77, 64 Mi 0.63 and 0.61. With 8 MiB, on a Zen 1, which computes for longer, it never mattered much (0.98-1.05).
std::size_t streams_from() { return std::min<std::size_t>(2 * last_level_cache(), 16 << 20); }

// More than second-level caches hold: 0.96 of the time for 1 Mi on the Zen 1, gradient 0.93; in place 0.86
// on the Emerald Rapids, and 0.46 for 8 Mi; not slower for 512 Ki.
constexpr std::size_t prefetches_from = 4 << 20;

std::size_t item_size(Type type) {
#define X(name, bytes, number) bytes,
    constexpr std::size_t sizes[] = {SOFTSIGN_TYPES(X)};
#undef X
    return sizes[static_cast<int>(type)];
}

// Linux asks for it of programs, as a rule ("madvise" in /sys/kernel/mm/transparent_hugepage/enabled). A refusal
// costs time alone: a fault for every 4 KiB, 16,384 of them in 64 MiB, which take twice as long as softsign.
void advise_huge_pages(std::uintptr_t address, std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    const std::uintptr_t page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const std::uintptr_t begin = (address + page - 1) / page * page, end = (address + bytes) / page * page;
    if (begin < end) madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
#else
    static_cast<void>(address), static_cast<void>(bytes);
#endif
}

void apply(Function f, Type type, char *const *args, const std::ptrdiff_t *steps, std::ptrdiff_t n,
           int threads) {
    if (n <= 0) return;
    const Signature signature = signature_of(f);
    const int inputs = inputs_of(signature), operands = operands_of(signature);
    Call call{kernels_in_use()->find(f, type), inputs, operands, {}, Access::cached};
    for (int k = 0; k < operands; ++k) call.operand[k] = {args[k], steps[k], item_size(type)};
    if (const Kernel of_number = kernels_in_use()->find_of_number(f, type); of_number && steps[1] == 0) {
        call.kernel = of_number;
        call.operand[1].number = true;
    }
    if (signature == Signature::ordered) call.operand[0].size = sizeof(std::int64_t);
    if (n == 1) return call.run(0, n);

    bool apart = true, aligned = true;  // no input shares memory with an output; or only element by element
    for (int k = 0; k < inputs; ++k)
        for (int o = inputs; o < operands; ++o) {
            const Operand &in = call.operand[k], &out = call.operand[o];
            if (!Span(in, n).overlaps(Span(out, n))) continue;
            if (!read_ahead(in, out)) return call.run_one_by_one(n);
            apart = false;
            aligned &= in.data == out.data && in.step == out.step;
        }
    if (n < 2 * grain) return call.run(0, n);
    const std::size_t bytes = (operands - !apart) * n * item_size(type);
    if (bytes >= prefetches_from) call.access = Access::prefetched;
    if (bytes >= streams_from() && apart) call.access = Access::streamed;
    if (!aligned) threads = 1;  // overlap other than in place needs the order of one thread
    share({n, grain, 1, paces[static_cast<int>(f)][static_cast<int>(type)], is_x87(type)}, threads,
          [&call](std::ptrdiff_t begin, std::ptrdiff_t end) { call.run(begin, end); });
}

// Whether so many arrays of the size of the layer are better streamed.
static bool are_streamed(const Layer &layer, Type type, std::size_t arrays) {
    return arrays * layer.rows * layer.columns * item_size(type) >=
           std::min(last_level_cache(), streams_from());
}

static void share_layer(const Layer &layer, Type type, LayerKernel kernel, bool backwards, int threads) {
    const std::size_t blocks = (layer.rows + layer_block - 1) / layer_block;
    Pace &pace = layer_paces[backwards][static_cast<int>(type)];
    share({static_cast<std::ptrdiff_t>(blocks), 1, static_cast<double>(layer_block * layer.columns), pace,
           false},
          threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
              kernel(layer, static_cast<std::size_t>(begin), static_cast<std::size_t>(end));
          });
}

void apply_layer(Type type, Layer layer, int threads) {
    layer.streamed = are_streamed(layer, type, 2);
    share_layer(layer, type, kernels_in_use()->layer[static_cast<int>(type)], false, threads);
}

bool apply_layer_gradient(Type type, Layer layer, double *sums, int threads) {
    const std::size_t blocks = (layer.rows + layer_block - 1) / layer_block, columns = layer.columns;
    const bool wide = type == Type::float64;
    std::unique_ptr<void, void (*)(void *)> parts(
        std::calloc(blocks * 3 * columns + 1, wide ? sizeof(double) : sizeof(float)), std::free);
    if (!parts) return false;
    layer.sums = parts.get();
    layer.streamed = are_streamed(layer, type, 3);
    share_layer(layer, type, kernels_in_use()->layer_gradient[static_cast<int>(type)], true, threads);
    std::fill(sums, sums + 2 * columns + 1, 0.0);
    auto sum = [&](auto *part) {
        for (std::size_t block = 0; block < blocks; ++block, part += 3 * columns) {
            for (std::size_t k = 0; k < 2 * columns; ++k) sums[k] += part[k];
            for (std::size_t k = 2 * columns; k < 3 * columns; ++k) sums[2 * columns] += part[k];
        }
    };
    wide ? sum(static_cast<const double *>(layer.sums)) : sum(static_cast<const float *>(layer.sums));
    return true;
}

}  // namespace softsign
