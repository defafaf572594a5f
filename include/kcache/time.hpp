// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TIME_HPP
#define KCACHE_TIME_HPP
/// \file
/// Floor 0. The one timeline that clocks, executors and deadlines share, and `ttl`.

#include <chrono>
#include <cstdint>
#include <ratio>

namespace kcache {

using duration = std::chrono::nanoseconds;

/// The tag of kcache's timeline: monotonic, its epoch unspecified, its unit the nanosecond. It has
/// no `now()`: time enters through a clock policy (for expiry) or an executor (for deadlines).
struct timeline {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = kcache::duration;
  using time_point = std::chrono::time_point<timeline, kcache::duration>;
  static constexpr bool is_steady = true;
};

/// An instant of the timeline. Instants of two clocks compare only if the clocks share an epoch,
/// as `steady_clock`, `coarse_clock` and the default executor do.
using time_point = timeline::time_point;

/// Later than every instant: an entry that never expires, a wait without a deadline.
inline constexpr time_point never = time_point::max();

/// `start + d`, with `never` in place of an overflow. A negative `d` yields `start`.
[[nodiscard]] constexpr time_point after(time_point start, duration d) noexcept {
  if (d <= duration::zero()) return start;
  if (start.time_since_epoch() > duration::max() - d) return never;
  return start + d;
}

/// How long an entry may live, counted from its write: the cache's default, never, or a duration.
///
///     c.put(k, v);                                // the default of the cache
///     c.put(k, v, 5s);                            // five seconds
///     c.put(k, v, kcache::ttl::never());          // no expiry, even where there is a default
///
/// A duration of zero or less means: expired at once.
class ttl {
 public:
  /// The default of the cache that the entry goes into.
  constexpr ttl() noexcept = default;
  /// Exactly `d` from the write.
  template <class Rep, class Period>
  constexpr ttl(std::chrono::duration<Rep, Period> d) noexcept
      : kind_{kind::fixed}, length_{saturate(d)} {}

  [[nodiscard]] static constexpr ttl use_default() noexcept { return {}; }
  [[nodiscard]] static constexpr ttl never() noexcept {
    ttl t;
    t.kind_ = kind::infinite;
    return t;
  }

  [[nodiscard]] constexpr bool is_default() const noexcept { return kind_ == kind::use_default; }
  [[nodiscard]] constexpr bool is_never() const noexcept { return kind_ == kind::infinite; }
  /// The duration; meaningful only if neither `is_default()` nor `is_never()`.
  [[nodiscard]] constexpr duration length() const noexcept { return length_; }

  /// This, or `fallback` where this says "the default".
  [[nodiscard]] constexpr ttl value_or(ttl fallback) const noexcept {
    return is_default() ? fallback : *this;
  }
  /// The instant of expiry of an entry written at `now`. A `ttl` that still says "the default"
  /// never expires.
  [[nodiscard]] constexpr time_point expires_at(time_point now) const noexcept {
    return kind_ == kind::fixed ? after(now, length_) : kcache::never;
  }
  /// The shorter of the two; "never" and "default" are longer than every duration.
  [[nodiscard]] static constexpr ttl shorter(ttl a, ttl b) noexcept {
    if (a.kind_ != kind::fixed) return b.kind_ == kind::fixed ? b : a;
    if (b.kind_ != kind::fixed) return a;
    return a.length_ < b.length_ ? a : b;
  }

  friend constexpr bool operator==(ttl const&, ttl const&) noexcept = default;

 private:
  enum class kind : std::uint8_t { use_default, infinite, fixed };

  template <class Rep, class Period>
  static constexpr duration saturate(std::chrono::duration<Rep, Period> d) noexcept {
    using wide = std::chrono::duration<long double, std::nano>;
    if (wide{d} >= wide{duration::max()}) return duration::max();
    if (wide{d} <= wide{duration::min()}) return duration::min();
    return std::chrono::duration_cast<duration>(d);
  }

  kind kind_ = kind::use_default;
  duration length_{};
};

}  // namespace kcache

#endif
