// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_SAMPLING_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_SAMPLING_HPP
/// \file
/// Samples of all contestants of a table, in turns.

#include "../bench.hpp"
#include "entrant.hpp"
#include "run.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace bench {

/// Has the calling thread run on one of the process's processors, the next for the next `t` (on
/// Linux; elsewhere where the system likes). Two threads that share one do not contend.
inline void stay_on_processor(unsigned t) {
#if defined(__linux__)
  static cpu_set_t const all = [] {
    cpu_set_t set;
    expect(::sched_getaffinity(0, sizeof set, &set) == 0, "no processors to be told of");
    return set;
  }();
  auto nth = t % static_cast<unsigned>(CPU_COUNT(&all));
  for (unsigned processor = 0; processor != CPU_SETSIZE; ++processor)
    if (CPU_ISSET(processor, &all) && nth-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(processor, &one);
      expect(::sched_setaffinity(0, sizeof one, &one) == 0, "cannot stay on a processor");
      return;
    }
#endif
}

/// Threads that stay, since caches keep things for each thread that they meet, and each on its
/// processor. The caller's thread is one of them.
class crew {
 public:
  crew() {
    stay_on_processor(0);
    for (unsigned t = 1; t != most_threads; ++t)
      threads_.emplace_back([this, t] {
        stay_on_processor(t);
        serve(t);
      });
  }
  ~crew() {
    call(0);
    for (auto& thread : threads_) thread.join();
  }
  crew(crew const&) = delete;
  crew& operator=(crew const&) = delete;

  /// Calls `work(t)` for each t below `threads`, for 0 on the caller's thread.
  void run(unsigned threads, std::function<void(unsigned)> const& work) {
    work_ = &work;
    left_ = threads - 1;
    call(threads);
    work(0);
    for (auto left = left_.load(); left != 0; left = left_.load()) left_.wait(left);
  }

 private:
  // The low bits say how many take part, 0 to go home; the others make each call a new one.
  void call(unsigned threads) {
    calls_ += 8;
    call_ = calls_ | threads;
    call_.notify_all();
  }
  void serve(unsigned t) {
    for (unsigned seen = 0;;) {
      call_.wait(seen);
      seen = call_.load();
      unsigned const threads = seen & 7U;
      if (threads == 0) return;
      if (t >= threads) continue;
      (*work_)(t);
      if (left_.fetch_sub(1) == 1) left_.notify_one();
    }
  }

  std::function<void(unsigned)> const* work_ = nullptr;
  unsigned calls_ = 0;
  std::atomic<unsigned> call_{0};
  std::atomic<unsigned> left_{0};
  std::vector<std::thread> threads_;
};

/// Has every thread do its operations from one moment to another, `ms` later. Returns the millions
/// of operations per second of all threads together.
[[nodiscard]] inline double sample(operation const& body, unsigned threads, double ms) {
  static crew workers;
  constexpr std::size_t batch = 256;
  auto const length =
      std::chrono::duration_cast<clock::duration>(std::chrono::duration<double, std::milli>{ms});
  std::atomic<std::size_t> done{0};
  std::atomic<unsigned> ready{0};
  std::atomic<clock::time_point> until{clock::time_point{}};
  workers.run(threads, [&](unsigned t) {
    if (ready.fetch_add(1) + 1 == threads) until = clock::now() + length;
    while (until.load() == clock::time_point{}) std::this_thread::yield();
    std::size_t mine = 0;
    for (auto const end = until.load(); clock::now() < end; mine += batch) body(t, batch);
    done += mine;
  });
  return static_cast<double>(done.load()) * 1e3 / nanoseconds(length);
}

[[nodiscard]] inline measured compare(run& r, unsigned threads,
                                      std::vector<entrant> const& entrants) {
  measured out;
  for (auto const& e : entrants) {  // caches, branches and pages warm
    static_cast<void>(sample(e.run, threads, r.sample_ms / 2));
    e.forget();
  }
  std::vector<std::vector<double>> samples(entrants.size());
  std::vector<double> round(entrants.size());
  for (std::size_t n = 0; n != r.rounds; ++n) {
    r.others.quietly([&] {
      for (std::size_t i = 0; i != entrants.size(); ++i) {
        // The others have had the processor's caches since its last turn.
        static_cast<void>(sample(entrants[i].run, threads, r.sample_ms / 6));
        round[i] = sample(entrants[i].run, threads, r.sample_ms);
      }
    });
    for (std::size_t i = 0; i != entrants.size(); ++i) samples[i].push_back(round[i]);
  }
  for (std::size_t i = 0; i != entrants.size(); ++i) {
    out.rates.push_back(figure::of(std::move(samples[i])));
    double const hits = entrants[i].hit_ratio();
    if (hits < entrants[i].least_hits)
      give_up(std::string{entrants[i].name} + ": a hit ratio of " + std::to_string(hits));
    out.hit_ratios.push_back(hits);
  }
  return out;
}

}  // namespace bench

#endif
