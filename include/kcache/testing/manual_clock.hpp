// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_MANUAL_CLOCK_HPP
#define KCACHE_TESTING_MANUAL_CLOCK_HPP
/// \file
/// Floor 1. `testing::manual_clock`: time that passes when a test says so.

#include <kcache/policies/clock.hpp>

#include <atomic>
#include <cstdint>
#include <memory>

namespace kcache::testing {

/// A clock moved by hand. Copies share one time, so a test keeps one and gives a copy away:
///
///     kcache::testing::manual_clock t;
///     kcache::cache<int, int, kcache::with_clock<decltype(t)>> c{{.capacity = 8, .clock = t}};
///     t.advance(5s);
///
/// Starts one second after the epoch. Thread safe; `advance` by a negative duration is ignored.
class manual_clock {
 public:
  manual_clock() : now_{std::make_shared<std::atomic<std::int64_t>>(1'000'000'000)} {}

  [[nodiscard]] time_point now() const noexcept {
    return time_point{duration{now_->load(std::memory_order_acquire)}};
  }
  void advance(duration d) noexcept {
    if (d > duration::zero()) now_->fetch_add(d.count(), std::memory_order_acq_rel);
  }
  /// Moves on to `t`; an instant that has passed changes nothing.
  void advance_to(time_point t) noexcept {
    if (time_point const n = now(); t > n) advance(t - n);
  }

 private:
  std::shared_ptr<std::atomic<std::int64_t>> now_;
};

static_assert(clock<manual_clock>);

}  // namespace kcache::testing

#endif
