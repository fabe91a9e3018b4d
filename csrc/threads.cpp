#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <strings.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>

namespace softsign {
namespace {

using Time = std::int64_t;  // nanoseconds
constexpr Time us = 1000;

Time now() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

constexpr Time least = 4 * us;               // of work that pays a thread which is awake
constexpr Time awake = 50 * us;              // how long threads look out for each other before they sleep
constexpr Time late = 100 * us;              // a thread that is away for so long shares its core
constexpr int risk = 8;                      // times what was lost has to pass before it is risked again
constexpr std::ptrdiff_t largest = 1 << 16;  // elements in a piece of several chunks

bool passive() {  // OpenMP's word for threads that wait asleep
    const char *policy = std::getenv("OMP_WAIT_POLICY");
    return policy && strcasecmp(policy, "passive") == 0;
}
const Time spin = passive() ? 0 : awake;

std::atomic<int> thread_count{0};  // 0 until it is asked for or set

// The pool's threads do not survive a fork: a child computes serially.
std::atomic<bool> forked{false};
const int fork_handler = pthread_atfork(nullptr, nullptr, [] { forked = true; });

// The floating-point environment of the caller, for its helpers. All types but long double live in MXCSR, and
// the x87 unit's own takes 0.25 us to hand over.
class Environment {
    std::fenv_t all{};
    unsigned mxcsr = 0;
    bool x87 = true;

  public:
    void save(bool with_x87) {
#if defined(__x86_64__)
        x87 = with_x87, mxcsr = _mm_getcsr();
#else
        (void)with_x87;
#endif
        if (x87) std::fegetenv(&all);
    }
    void enter() const {
#if defined(__x86_64__)
        if (!x87) return _mm_setcsr(mxcsr & ~_MM_EXCEPT_MASK);
#endif
        std::fesetenv(&all);
        std::feclearexcept(FE_ALL_EXCEPT);
    }
    int raised() const {
#if defined(__x86_64__)
        if (!x87) return _mm_getcsr() & FE_ALL_EXCEPT;  // what x87 has from calls before is not theirs
#endif
        return std::fetestexcept(FE_ALL_EXCEPT);
    }
};

int current_cpu() {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

// Moves this thread from a CPU to another one. Kernels wake a thread on the CPU of who wakes it more often than
// is good for both, and may leave it there while another is idle: 64 Ki took 35 us instead of 13.
bool leave(int cpu) {
#if defined(__linux__)
    cpu_set_t all, others;
    if (sched_getaffinity(0, sizeof all, &all) != 0) return false;
    others = all;
    CPU_CLR(cpu, &others);
    if (sched_setaffinity(0, sizeof others, &others) != 0) return false;  // there is no other
    sched_setaffinity(0, sizeof all, &all);
    return true;
#else
    return cpu < 0;
#endif
}

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

struct Piece {
    int begin, end;  // chunks

    int count() const { return end - begin; }
};

// The chunks that nobody has taken yet, those from front to back, and how many helpers may still join.
struct Rest {
    std::uint64_t word;
    static constexpr std::uint64_t back_unit = 1, front_unit = 1 << 24, seat_unit = std::uint64_t{1} << 48;

    int back() const { return word & 0xffffff; }
    int front() const { return word >> 24 & 0xffffff; }
    int seats() const { return static_cast<int>(word >> 48); }
    bool any() const { return front() < back(); }
};

// The caller takes pieces from the front and helpers from the back, so that each core finds in its caches what
// it had there in the call before. The pieces are long at first and become shorter, so that all end at about the
// same time: 256 Ki took 0.61 of the time of one thread with pieces of one length, an eighth, and now 0.56. The
// caller waits for pieces that a helper has begun, and never for a helper to begin.
//
// A helper that has had work looks out for more for `awake` and then sleeps: calls one after the other find it
// at hand, and nobody pays for it in between. To wake it costs the caller `wake_cost`. So a call that comes
// while helpers sleep runs alone, unless it is long, or the last of a series that would have had twice that
// cost from their help.
//
// Beside other processes help can cost more than it brings: a helper that is woken in vain, or that loses its
// core within a piece. Then calls run alone for `risk` times what was lost before they try again.
class Pool {
    std::mutex turn;  // held by the call that uses the pool, which alone touches these:
    int size = 0;
    Time last = 0;             // when the last call ended
    Time credit = 0;           // what sleeping helpers would have saved in calls since they sleep
    Time wake_cost = 10 * us;  // of late
    Time woken_at = 0;         // and nobody has been seen at work since; or 0
    Time debt = 0;             // for how long calls run alone
    int losses = 0;            // in a row

    // The call. Who has taken a piece may read these.
    const Work *work = nullptr;
    std::ptrdiff_t units = 0, chunk = 0;
    Environment environment;

    alignas(64) std::atomic<std::uint64_t> rest{0};
    // Threads that may take part, and chunks in a piece: those of another call do no harm.
    std::atomic<int> threads{1}, most{1};
    std::atomic<int> home{-1};             // the caller's CPU
    alignas(64) std::atomic<int> done{0};  // chunks that helpers have done
    std::atomic<int> raised{0};            // flags, by them
    std::atomic<int> wanted{0};            // helpers that are to be woken
    std::atomic<bool> waiting{false};      // the caller, asleep
    std::atomic<Time> away{0};             // how long a helper was kept from its core

    std::mutex mutex;  // of what follows
    std::condition_variable wake, finished;
    std::atomic<int> asleep{0};
    int calls = 0;  // of sleeping helpers

    int share(Rest r) const {
        const int part = (r.back() - r.front()) / (2 * threads.load(std::memory_order_relaxed));
        return std::max(std::min(part, most.load(std::memory_order_relaxed)), 1);
    }
    Piece take_first() {
        for (Rest r{rest}; r.any();) {
            const int n = share(r);
            if (rest.compare_exchange_weak(r.word, r.word + n * Rest::front_unit))
                return {r.front(), r.front() + n};
        }
        return {};
    }
    Piece take_last(std::uint64_t seat) {
        for (Rest r{rest}; r.any() && (!seat || r.seats() > 0);) {
            const int n = share(r);
            if (rest.compare_exchange_weak(r.word, r.word - n * Rest::back_unit - seat))
                return {r.back() - n, r.back()};
        }
        return {};
    }
    void run_piece(Piece p) const { (*work)(p.begin *chunk, std::min(units, p.end * chunk)); }

    bool join() {
        Piece p = take_last(Rest::seat_unit);
        if (!p.count()) return false;
        wake_one();
        wake_one();
        environment.enter();
        int count = 0;
        for (; p.count(); p = take_last(0)) run_piece(p), count += p.count();
        raised |= environment.raised();
        done += count;
        if (waiting) {
            std::lock_guard<std::mutex> guard(mutex);
            finished.notify_one();
        }
        return true;
    }

    // Each helper that joins wakes two more, while the caller works.
    void wake_one() {
        if (wanted <= 0 || --wanted < 0) return;
        {
            std::lock_guard<std::mutex> guard(mutex);
            if (asleep == 0) return;
            --asleep, ++calls;
        }
        wake.notify_one();
    }

    // Work that comes as a helper goes to sleep is seen by it or, with the helper asleep, by the caller.
    void sleep(bool whatever_comes) {
        std::unique_lock<std::mutex> lock(mutex);
        ++asleep;
        const Rest r{rest};
        if (!whatever_comes && r.any() && r.seats() > 0) {
            --asleep;
            return;
        }
        wake.wait(lock, [this] { return calls > 0; });
        --calls;
    }

    void help() {
#if defined(__linux__)
        pthread_setname_np(pthread_self(), "softsign");  // what top and debuggers show
#endif
        for (Time since = now(), before = since;;) {
            const int cpu = home;
            const bool taken = current_cpu() == cpu && !leave(cpu);
            const Time time = now();
            const bool shared = time - before > late;
            if (shared) away += time - before;
            if (!taken && join()) {
                since = before = now();
            } else if (taken || shared || time - since > spin) {
                sleep(taken);
                since = before = now();
            } else {
                before = time;
                for (int i = 0; i < 8; ++i) relax();
            }
        }
    }

    // Signals stay with the program's own threads.
    void grow(int wanted_size) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            for (; size < wanted_size; ++size) std::thread([this] { help(); }).detach();
        } catch (const std::system_error &) {  // the system allows no more: fewer threads do the same work
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    void lose(Time time) {
        debt = risk * time << losses;
        losses = std::min(losses + 1, 6);
    }

    // Whether to wake those that sleep, for a call that takes so long alone.
    bool pays(Time expected, int at_hand, int seats, Time start) {
        if (at_hand >= seats) return false;
        if (start - last > spin) credit = 0;
        credit += expected / (1 + at_hand) - expected / (1 + seats);
        if (credit < 2 * wake_cost) return false;
        credit = 0;
        return true;
    }

    Time wake_up(int seats) {
        const Time begin = now();
        if (size < seats) grow(seats);
        wanted = asleep.load();
        wake_one();
        const Time end = now();
        wake_cost = std::clamp(std::clamp(end - begin, wake_cost / 2, 2 * wake_cost), 2 * us, late);
        woken_at = end;
        return end;
    }

    // A helper that has just begun its last piece takes `usual` for it.
    void wait_for(int taken, Time usual) {
        const Time begin = now();
        while (done != taken && now() - begin < awake) relax();
        if (done != taken) {
            waiting = true;
            std::unique_lock<std::mutex> lock(mutex);
            finished.wait(lock, [&] { return done == taken; });
            waiting = false;
        }
        if (const Time waited = now() - begin; waited > late + 2 * usual) lose(waited);
    }

  public:
    // False if another call has the pool: then the cores are at work already.
    bool run(const Load &load, int seats, Time expected, Time start, const Work &what) {
        std::unique_lock<std::mutex> lock(turn, std::try_to_lock);
        if (!lock) return false;
        if (woken_at && start - woken_at > late) lose(wake_cost), woken_at = 0;
        if (away) lose(away.exchange(0));
        const int at_hand = std::min(size - asleep, seats);
        const bool waking = debt <= 0 && pays(expected, at_hand, seats, start);
        if (debt > 0 || (at_hand == 0 && !waking)) {
            what(0, load.units);
            last = now();
            debt = std::max<Time>(debt - (last - start), 0);
            load.pace.learn(last - start, load.units * load.elements);
            return true;
        }
        work = &what, units = load.units, threads = seats + 1;
        const auto longest = static_cast<std::ptrdiff_t>(largest / load.elements);
        chunk = std::min(units / (16 * threads), longest);
        chunk = std::max({chunk / load.grain, units / load.grain >> 23, std::ptrdiff_t{1}}) * load.grain;
        most = static_cast<int>(std::max<std::ptrdiff_t>(longest / chunk, 1));
        const int chunks = static_cast<int>((units + chunk - 1) / chunk);
        environment.save(load.x87);
        raised = done = 0;
        home = current_cpu();
        rest = seats * Rest::seat_unit + chunks;
        const Time begin = waking ? wake_up(seats) : start;
        int own = 0;
        for (Piece p; (p = take_first()).count(); own += p.count()) run_piece(p);
        wanted = 0;
        if (own) load.pace.learn(now() - begin, std::min(own * chunk, units) * load.elements);
        if (const int taken = chunks - own) {
            woken_at = 0;
            const int before = losses;
            wait_for(taken,
                     static_cast<Time>(load.pace.of(std::min(units / 2, most * chunk) * load.elements)));
            if (losses == before) losses = 0;
        }
        last = now();
        if (const int flags = raised & ~std::fetestexcept(FE_ALL_EXCEPT)) std::feraiseexcept(flags);
        return true;
    }
};

Pool &pool() {
    static Pool *const forever = new Pool;  // not destroyed at exit, when its threads still wait on it
    return *forever;
}

int default_num_threads() {
    const char *openmp = std::getenv("OMP_NUM_THREADS");  // by custom the limit for every library
    int n = openmp ? std::atoi(openmp) : 0;
    if (n < 1) n = static_cast<int>(std::thread::hardware_concurrency());  // the CPUs this process may use
    return std::clamp(n, 1, max_threads);
}

}  // namespace

int get_num_threads() {
    if (thread_count == 0) thread_count = default_num_threads();
    return thread_count;
}
void set_num_threads(int n) { thread_count = n; }

double Pace::of(double elements) const {
    const float each = learnt.load(std::memory_order_relaxed);
    return elements * (each > 0 ? each : 0.2f);
}
// At most half or twice what was known: a call may have been interrupted, or have met memory for the first time.
void Pace::learn(double nanoseconds, double elements) {
    const float each = static_cast<float>(nanoseconds / elements), known = learnt;
    learnt = known > 0 ? std::clamp(each, known / 2, known * 2) : each;
}

void share(const Load &load, int threads, const Work &work) {
    const double elements = load.units * load.elements;
    const Time expected = static_cast<Time>(load.pace.of(elements));
    if (threads < 2 || forked || (load.pace.known() && expected < least)) return work(0, load.units);
    const Time start = now();
    const std::ptrdiff_t most = std::min<std::ptrdiff_t>(expected / least, load.units / load.grain);
    const int seats = static_cast<int>(std::min<std::ptrdiff_t>(threads, most)) - 1;
    if (seats > 0 && pool().run(load, seats, expected, start, work)) return;
    work(0, load.units);
    load.pace.learn(now() - start, elements);
}

}  // namespace softsign
