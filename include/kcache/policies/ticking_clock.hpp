// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_TICKING_CLOCK_HPP
#define KCACHE_POLICIES_TICKING_CLOCK_HPP
/// \file
/// Floor 1. `ticking_clock`: the time as a number in memory, which a thread keeps up to date.

#include <kcache/policies/clock.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace kcache {

namespace detail {

/// The thread and its number; one of them for all clocks of a process.
class ticker {
 public:
  static constexpr std::chrono::milliseconds period{1};

  /// The one that is running, or a new one. May throw std::system_error.
  [[nodiscard]] static std::shared_ptr<ticker const> get() {
    static std::mutex mutex;
    static std::weak_ptr<ticker const> running;
    std::lock_guard const lock{mutex};
    auto t = running.lock();
    if (!t) running = t = std::make_shared<ticker const>();
    return t;
  }

  ticker() : thread_{[this](std::stop_token stop) { run(stop); }} {}

  [[nodiscard]] time_point now() const noexcept {
    return time_point{duration{now_.load(std::memory_order_acquire)}};
  }

 private:
  void run(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock{mutex};
    while (!stop.stop_requested()) {
      wake.wait_for(lock, stop, period, [] { return false; });
      now_.store(read(), std::memory_order_release);
    }
  }
  static std::int64_t read() noexcept { return steady_clock{}.now().time_since_epoch().count(); }

  alignas(64) std::atomic<std::int64_t> now_{read()};
  std::jthread thread_;
};

}  // namespace detail

/// A clock of one load: about 0.5 ns a call, where `coarse_clock` takes some 6, a fifth of a hit of
/// a small pair. The price is a thread for all such clocks of the process, from the first of them
/// to the last, which wakes a thousand times a second. Its instants are `steady_clock`'s, late by
/// a millisecond, or for as long as that thread is kept from running: an entry is then served so
/// much longer. After a fork the child's clock stands still. Copies share the ticker.
///
///     kcache::cache<int, page, kcache::with_clock<kcache::ticking_clock>> c{{.capacity = 512}};
class ticking_clock {
 public:
  /// Starts the thread if there is none. \throws std::system_error if it cannot.
  ticking_clock() : ticker_{detail::ticker::get()} {}

  [[nodiscard]] time_point now() const noexcept { return ticker_->now(); }

 private:
  std::shared_ptr<detail::ticker const> ticker_;
};

static_assert(clock<ticking_clock>);

}  // namespace kcache

#endif
