// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_PEER_HEALTH_HPP
#define KCACHE_CLUSTER_PEER_HEALTH_HPP
/// \file
/// Floor 4. `peer_health`: tells a frozen peer from a slow one. A state machine without I/O.
///
/// ## Frozen is not slow
/// A call that takes long says nothing about its peer: the loader behind it may be slow, and
/// loading the same key here as well would hurt the source just when it suffers. So a peer is never
/// given up because of a slow call; the call only raises the question. It is put to the peer as a
/// probe, which any node answers at once from its I/O thread. No answer within the time-out: the
/// peer is unreachable, its pending calls end, and it is not called again until a later probe is
/// answered.
///
/// ## One timer per peer
/// Calls cost no timer each. While calls are pending one timer per peer is armed; when it fires it
/// looks at the oldest of them.
///
///     up --(a call is older than probe_after, or failed)--> probing --(answer)--> up
///     probing --(no answer)--> down: pending calls fail --(after probe_again, doubling)--> probing
///
/// Feed it events, each with the time; do what the returned action says. Not thread safe.

#include <kcache/time.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace kcache {

/// What is to be done, in this order.
struct health_action {
  bool fail_calls = false;                          ///< end all pending calls as unreachable
  std::optional<std::uint64_t> probe = std::nullopt;  ///< send a probe of this number
  time_point wake = never;                          ///< call `on_wake` then; `never`: no timer
};

class peer_health {
 public:
  struct limits {
    duration probe_after, probe_timeout, probe_again, probe_again_max;
  };

  explicit peer_health(limits l) noexcept : limits_{l}, again_{l.probe_again} {}

  /// Whether the peer may be called. While a lost peer is probed it still may not.
  [[nodiscard]] bool usable() const noexcept { return !lost_; }
  [[nodiscard]] bool probing() const noexcept { return probing_; }

  /// A call was sent.
  [[nodiscard]] health_action on_call(time_point now) noexcept {
    return arm(after(now, limits_.probe_after));
  }

  /// The peer answered something, a refusal perhaps: it lives.
  [[nodiscard]] health_action on_answer(time_point now) noexcept {
    last_sign_ = now;
    if (!lost_) return {};
    found();
    return {};
  }

  /// A call failed for want of a connection, or by a reset.
  [[nodiscard]] health_action on_failure(time_point now) noexcept {
    if (lost_ || probing_) return {};
    return probe(now);
  }

  /// The timer fired. `oldest`: when the oldest pending call was sent, if there is one.
  [[nodiscard]] health_action on_wake(time_point now, std::optional<time_point> oldest) noexcept {
    if (now < armed_) return {};  // an earlier timer, replaced since
    armed_ = never;
    if (probing_) {
      if (now >= probe_ends_) return on_probe(now, number_, false, oldest);
      return arm(probe_ends_);
    }
    if (lost_) return probe(now);
    if (!oldest) return {};
    time_point const due = std::max(after(*oldest, limits_.probe_after),
                                    after(last_probe_, limits_.probe_timeout));
    return now >= due ? probe(now) : arm(due);
  }

  /// The wake asked for last cannot be had (no memory for a timer); the next call asks for another.
  /// A lost peer, which nobody calls, gets the benefit of the doubt: it would stay lost for good.
  void on_no_timer() noexcept {
    armed_ = never;
    if (!probing_) found();  // else the end of the probe goes on from here
  }

  /// The probe of that number was answered (whatever the answer), or could not be.
  [[nodiscard]] health_action on_probe(time_point now, std::uint64_t number, bool answered,
                                       std::optional<time_point> oldest) noexcept {
    if (answered) last_sign_ = now;
    if (!probing_ || number != number_) {
      if (answered) found();  // late, but a sign of life
      return {};
    }
    probing_ = false;
    // Calls answered meanwhile speak louder than a probe that was lost.
    if (answered || last_sign_ > last_probe_) {
      found();
      return oldest ? arm(after(now, limits_.probe_timeout)) : health_action{};
    }
    bool const newly = !lost_;
    lost_ = true;
    armed_ = never;
    health_action a = arm(after(now, again_));
    again_ = std::min(2 * again_, limits_.probe_again_max);
    a.fail_calls = newly;
    return a;
  }

 private:
  health_action arm(time_point t) noexcept {
    if (armed_ <= t) return {};
    armed_ = t;
    return {.fail_calls = false, .probe = std::nullopt, .wake = t};
  }
  health_action probe(time_point now) noexcept {
    probing_ = true;
    last_probe_ = now;
    probe_ends_ = after(now, limits_.probe_timeout);
    armed_ = never;
    health_action a = arm(probe_ends_);
    a.probe = ++number_;
    return a;
  }
  void found() noexcept {
    lost_ = false;
    again_ = limits_.probe_again;
  }

  limits limits_;
  duration again_;
  bool lost_ = false;
  bool probing_ = false;
  std::uint64_t number_ = 0;
  time_point armed_ = never;
  time_point probe_ends_ = never;
  time_point last_probe_ = time_point::min();
  time_point last_sign_ = time_point::min();
};

}  // namespace kcache

#endif
