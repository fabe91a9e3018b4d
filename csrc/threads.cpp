#include "threads.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>

namespace softsign {
namespace {

std::atomic<int> thread_count{0};  // 0 until it is asked for or set

// The pool's threads do not survive a fork: a child computes serially.
std::atomic<bool> forked{false};
const int fork_handler = pthread_atfork(nullptr, nullptr, [] { forked = true; });

struct Job {
    const Work &work;
    std::ptrdiff_t n, piece;
    int seats;  // helpers that may still join
    std::fenv_t environment{};
    std::atomic<std::ptrdiff_t> next{0};
    std::atomic<int> raised{0};
    int helpers = 0;  // at work

    void run() {
        for (std::ptrdiff_t begin; (begin = next.fetch_add(piece)) < n;)
            work(begin, std::min(n, begin + piece));
    }
};

// Helpers wait asleep and take pieces of the posted job as they wake. The caller does not wait for them to
// wake: it works through the pieces itself and waits for those that a helper has begun. So a call is never
// slower than on one thread by more than one piece, however busy the machine. (OpenMP's barrier waits,
// spinning, for every thread of the team: with one other process running on two cores a call on 1 Mi float32
// took 20 to 37 times as long as np.copyto, with this 1 to 2.)
class Pool {
    std::mutex turn;   // held by the call that uses the pool
    std::mutex mutex;  // of what follows
    std::condition_variable posted, left;
    Job *job = nullptr;
    int size = 0;

    void help() {
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            posted.wait(lock, [this] { return job && job->seats > 0; });
            Job &mine = *job;
            --mine.seats, ++mine.helpers;
            lock.unlock();
            std::fesetenv(&mine.environment);
            std::feclearexcept(FE_ALL_EXCEPT);
            mine.run();
            mine.raised |= std::fetestexcept(FE_ALL_EXCEPT);
            lock.lock();
            mine.seats = 0;  // nothing is left to take
            if (--mine.helpers == 0) left.notify_one();
        }
    }

    // Signals stay with the program's own threads.
    void grow(int wanted) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            for (; size < wanted; ++size) std::thread([this] { help(); }).detach();
        } catch (const std::system_error &) {  // the system allows no more: fewer threads do the same work
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

  public:
    // False if another call has the pool: then the cores are at work already.
    bool run(Job &mine) {
        std::unique_lock<std::mutex> lock(turn, std::try_to_lock);
        if (!lock) return false;
        grow(mine.seats);
        {
            std::lock_guard<std::mutex> guard(mutex);
            job = &mine;
        }
        posted.notify_all();
        mine.run();
        std::unique_lock<std::mutex> guard(mutex);
        job = nullptr;
        left.wait(guard, [&mine] { return mine.helpers == 0; });
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

void share(std::ptrdiff_t n, std::ptrdiff_t piece, int threads, const Work &work) {
    if (threads < 2 || forked) return work(0, n);
    Job job{work, n, piece, threads - 1};
    std::fegetenv(&job.environment);
    if (!pool().run(job)) return work(0, n);
    std::feraiseexcept(job.raised);
}

}  // namespace softsign
