// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_THREADS_HPP
#define KCACHE_TESTS_SUPPORT_THREADS_HPP
/// \file
/// Threads that start together, and threads of which one runs at a time.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <semaphore>
#include <thread>
#include <vector>

namespace test {

/// Calls `work(i)` in `n` threads that wait for each other before they begin; returns when all have
/// ended.
template <class Work>
void in_parallel(std::size_t n, Work const& work) {
  std::atomic<std::size_t> ready{0};
  std::vector<std::thread> all;
  for (std::size_t i = 0; i != n; ++i) {
    all.emplace_back([&, i] {
      ++ready;
      while (ready.load() != n) std::this_thread::yield();
      work(i);
    });
  }
  for (auto& t : all) t.join();
}

/// How a turn is handed over. All three order what was done in one turn before the next.
enum class handover { atomic, mutex, semaphore };

class turns {
 public:
  turns(handover by, std::size_t threads) : by_{by} {
    for (std::size_t i = 0; i != threads; ++i) {
      wakes_.push_back(std::make_unique<std::counting_semaphore<>>(0));
    }
  }
  void wait_for(std::uint64_t turn, std::size_t me) {
    switch (by_) {
      case handover::atomic:
        for (int looks = 0; turn_.load(std::memory_order_acquire) != turn; ++looks) {
          if (looks % 256 == 255) std::this_thread::yield();
        }
        return;
      case handover::mutex:
        for (;; std::this_thread::yield()) {
          std::lock_guard const lock{mutex_};
          if (guarded_ == turn) return;
        }
      case handover::semaphore:
        if (turn != 0) wakes_[me]->acquire();
        return;
    }
  }
  void pass(std::uint64_t next, std::size_t to) {
    switch (by_) {
      case handover::atomic: turn_.store(next, std::memory_order_release); return;
      case handover::mutex: {
        std::lock_guard const lock{mutex_};
        guarded_ = next;
        return;
      }
      case handover::semaphore: wakes_[to]->release(); return;
    }
  }

 private:
  handover by_;
  std::atomic<std::uint64_t> turn_{0};
  std::mutex mutex_;
  std::uint64_t guarded_ = 0;
  std::vector<std::unique_ptr<std::counting_semaphore<>>> wakes_;
};

/// Calls `work(thread, turn)` for each turn in order, in the thread `who(turn)` of `n`, one after
/// the other.
template <class Who, class Work>
void in_turns(handover by, std::size_t n, std::uint64_t count, Who const& who, Work const& work) {
  turns all{by, n};
  in_parallel(n, [&](std::size_t me) {
    for (std::uint64_t turn = 0; turn != count; ++turn) {
      if (who(turn) != me) continue;
      all.wait_for(turn, me);
      work(me, turn);
      if (turn + 1 != count) all.pass(turn + 1, who(turn + 1));
    }
  });
}

}  // namespace test

#endif
