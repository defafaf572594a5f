// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_FRESHNESS_HPP
#define KCACHE_DETAIL_FRESHNESS_HPP
/// \file
/// Floor 3. `freshness`: the expiry policy of a group's cache: what the user's policy says, with
/// jitter, a grace, and the instant of a refresh ahead.
///
/// # Three instants
/// An entry is *fresh* until the user's policy says that it expires, jitter included; that is when
/// others would drop it. It stays in the cache for the group's *grace* beyond, a constant, so that
/// it may be served stale while it is loaded again or while the source is down. And some time
/// before it ceases to be fresh a reader should have it loaded anew, so that nobody has to wait.
///
/// # When to refresh
/// XFetch (Vattani, Chierichetti, Lowenstein, "Optimal probabilistic cache stampede prevention",
/// VLDB 2015): a load time times beta times -ln(u) before the expiry, u uniform. The paper draws u
/// at every read; one draw at the store suits us better: a read compares two numbers, and the
/// first that comes after the instant refreshes, for all. But of the draws of many readers the
/// largest decides, so that a hot key is refreshed well ahead, and one draw is often too small for
/// the load to end in time. So ours begins at one load time and beta more, which the draw is added
/// to: load time * (1 + beta * (1 - ln u)). The more a value costs to load, the earlier. Never
/// before half the value's life, and not at all where the load took no time.

#include <kcache/policies/expiry.hpp>
#include <kcache/time.hpp>

#include <cstdint>
#include <utility>

namespace kcache::detail {

struct freshness_options {
  double jitter;         ///< fraction of the time to live, from 0 to 1
  double refresh_ahead;  ///< beta; 0: none
  duration grace;        ///< kept for so long after it ceased to be fresh
};

template <class Base>
class freshness {
 public:
  freshness(Base base, freshness_options o)
      : fresh_{o.jitter, std::move(base)}, refresh_ahead_{o.refresh_ahead}, grace_{o.grace} {}

  template <class Key, class Value>
  [[nodiscard]] time_point expires_at(Key const& key, Value const& value,
                                      write_time const& w) const {
    time_point const t = fresh_.expires_at(key, value, w);
    return t <= w.now ? t : kept_until(t);
  }
  [[nodiscard]] entry_dates dates(write_time const& w, time_point expires_at) const noexcept {
    return {w.now, refresh_at(w, fresh_until(expires_at))};
  }
  [[nodiscard]] duration idle() const noexcept
    requires requires(Base const& b) { b.idle(); }
  {
    return fresh_.idle();
  }

  /// From when on an entry that expires then is stale.
  [[nodiscard]] time_point fresh_until(time_point expires_at) const noexcept {
    return expires_at == never ? never : expires_at - grace_;
  }
  /// The other way round: when what is stale from then on expires.
  [[nodiscard]] time_point kept_until(time_point stale_from) const noexcept {
    return after(stale_from, grace_);
  }

 private:
  /// (Spelled without <cmath>, which costs every includer 5,000 lines.)
  [[nodiscard]] static double log_of(double u) noexcept { return __builtin_log(u); }
  [[nodiscard]] time_point refresh_at(write_time const& w, time_point stale) const noexcept {
    if (stale == never || stale <= w.now) return stale;
    if (refresh_ahead_ <= 0 || w.load_time <= duration::zero()) return stale;
    // From 1 down to 2^-32, by bits that the jitter did not look at first.
    double const u = (static_cast<double>(w.draw & 0xffffffffU) + 1) * 0x1p-32;
    double const ahead =
        static_cast<double>(w.load_time.count()) * (1 + refresh_ahead_ * (1 - log_of(u)));
    duration const most = (stale - w.now) / 2;
    if (ahead >= static_cast<double>(most.count())) return stale - most;
    return stale - duration{static_cast<std::int64_t>(ahead)};
  }

  jittered<Base> fresh_;
  double refresh_ahead_;
  duration grace_;
};

}  // namespace kcache::detail

#endif
