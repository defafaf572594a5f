// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_HPP
#define KCACHE_POLICIES_HPP
/// \file
/// Floor 1. The bundle of policies: the defaults, and how to change one of them.
///
/// Every cache and group takes one struct of policies that derives from `default_policies` and
/// restates only what it changes:
///
///     kcache::cache<int, page, kcache::with_eviction<kcache::fifo>> a{{.capacity = 512}};
///
///     struct mine : kcache::default_policies {
///       using clock = kcache::steady_clock;
///       using eviction = kcache::fifo;
///     };
///     kcache::cache<int, page, mine> b{{.capacity = 512}};
///
/// Policies are types here; their objects, if they have state, go into the options.

#include <kcache/fwd.hpp>
#include <kcache/policies/clock.hpp>
#include <kcache/policies/eviction.hpp>
#include <kcache/policies/expiry.hpp>
#include <kcache/policies/faults.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/hash.hpp>
#include <kcache/policies/lru.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/policies/removal.hpp>
#include <kcache/policies/stats.hpp>
#include <kcache/policies/weigher.hpp>

#include <concepts>

namespace kcache {

/// What you get if you say nothing. Members added later have defaults here and break nobody.
struct default_policies {
  /// What time it is, for expiry (policies/clock.hpp).
  using clock = coarse_clock;
  /// Where loads run and callers wait (policies/executor.hpp); groups only. Incomplete here:
  /// a cache alone does not pay for it.
  using executor = thread_pool;
  /// Where hash keys and jitter come from (policies/random.hpp).
  using random = system_random;
  /// (policies/hash.hpp)
  using hash = keyed_hash;
  /// The unit of the capacity (policies/weigher.hpp).
  using weigher = unit_weigher;
  /// Until when an entry is served (policies/expiry.hpp).
  using expiry = expire_after_write;
  /// Who goes when a shard is full (policies/eviction.hpp).
  using eviction = lru;
  /// What is counted (policies/stats.hpp).
  using stats = counting_stats;
  /// Who is told of removals (policies/removal.hpp).
  using removal_listener = no_removal_listener;
  /// Which guards a test has left out (policies/faults.hpp); groups only.
  using faults = no_faults;
};

/// A bundle whose parts model their concepts, as far as that can be said without a key and a
/// value; the cache checks hash, weigher, expiry and listener against its own, the group the
/// executor.
template <class P>
concept cache_policies =
    std::derived_from<P, default_policies> && clock<typename P::clock> &&
    random_source<typename P::random> && eviction<typename P::eviction> &&
    stats_recorder<typename P::stats>;

template <class Clock, class Base = default_policies>
struct with_clock : Base {
  static_assert(kcache::clock<Clock>,
                "kcache: with_clock<C>: C is no clock, see policies/clock.hpp");
  using clock = Clock;
};

template <class Executor, class Base = default_policies>
struct with_executor : Base {
  using executor = Executor;
};

template <class Random, class Base = default_policies>
struct with_random : Base {
  static_assert(random_source<Random>,
                "kcache: with_random<R>: R is no random_source, see policies/random.hpp");
  using random = Random;
};

template <class Hash, class Base = default_policies>
struct with_hash : Base {
  using hash = Hash;
};

template <class Weigher, class Base = default_policies>
struct with_weigher : Base {
  using weigher = Weigher;
};

template <class Expiry, class Base = default_policies>
struct with_expiry : Base {
  using expiry = Expiry;
};

template <class Eviction, class Base = default_policies>
struct with_eviction : Base {
  static_assert(kcache::eviction<Eviction>,
                "kcache: with_eviction<E>: E is no eviction policy, see policies/eviction.hpp");
  using eviction = Eviction;
};

template <class Stats, class Base = default_policies>
struct with_stats : Base {
  static_assert(stats_recorder<Stats>,
                "kcache: with_stats<S>: S is no stats_recorder, see policies/stats.hpp");
  using stats = Stats;
};

template <class Listener, class Base = default_policies>
struct with_removal_listener : Base {
  using removal_listener = Listener;
};

}  // namespace kcache

#endif
