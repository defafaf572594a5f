// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SPIN_LOCK_HPP
#define KCACHE_DETAIL_SPIN_LOCK_HPP
/// \file
/// Floor 2. A lock of four bytes for sections of some dozen nanoseconds.

#include <atomic>
#include <cstdint>

#include <sched.h>

namespace kcache::detail {

/// Tells the processor that this is a waiting loop.
inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Lets others have the processor.
inline void give_way() noexcept { static_cast<void>(::sched_yield()); }

/// Spins a while, then gives the processor to others between looks, so that a holder that lost
/// its processor can go on. Not fair, not recursive.
class spin_lock {
 public:
  void lock() noexcept {
    while (!try_lock()) {
      for (int looks = 0; locked_.load(std::memory_order_relaxed); ++looks) {
        looks < 128 ? pause() : give_way();
      }
    }
  }
  [[nodiscard]] bool try_lock() noexcept {
    return !locked_.load(std::memory_order_relaxed) &&
           !locked_.exchange(true, std::memory_order_acquire);
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_{false};
};

/// Holds it while it lives: `std::lock_guard`, without the rest of <mutex>.
class spin_guard {
 public:
  explicit spin_guard(spin_lock& lock) noexcept : lock_{lock} { lock_.lock(); }
  spin_guard(spin_guard const&) = delete;
  spin_guard& operator=(spin_guard const&) = delete;
  ~spin_guard() { lock_.unlock(); }

 private:
  spin_lock& lock_;
};

}  // namespace kcache::detail

#endif
