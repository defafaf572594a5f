// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_GROUP_OPTIONS_HPP
#define KCACHE_GROUP_OPTIONS_HPP
/// \file
/// Floor 3. `group_options` and `group_stats`.

#include <kcache/cache_options.hpp>
#include <kcache/fwd.hpp>
#include <kcache/policies.hpp>
#include <kcache/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace kcache {

/// What a group is told at run time. The first three are those of the original's
/// `NewGroup(name, capacity, ttl, getter)`; the rest have defaults that suit most.
template <class Policies>
struct group_options {
  /// The group's name; peers find it by this. Not empty, at most 64 bytes in a cluster.
  std::string name;
  /// The cache's bound: entries, or weight with a weigher. At least 1.
  std::uint64_t capacity = 0;
  /// How long a value lives, unless its loader says otherwise.
  kcache::ttl ttl = kcache::ttl::never();

  /// How long a `get` without a deadline of its own may take.
  duration deadline = std::chrono::seconds{1};
  /// How long a value is kept that this node loaded in place of an owner it could not reach; never
  /// longer than the value's own TTL.
  duration fallback_ttl = std::chrono::seconds{1};
  /// How many such loads may run at once; beyond them callers get `overloaded`.
  unsigned max_fallback_loads = 64;
  /// How many callers may wait for one key at once; beyond them callers get `overloaded`.
  std::size_t max_waiters = 10'000;
  /// How long the destructor waits for running loads.
  duration drain = std::chrono::seconds{1};

  // As in cache_options.
  std::size_t shards = 0;
  std::uint64_t max_entry_weight = 0;
  typename Policies::clock clock{};
  typename Policies::random random{};
  typename Policies::hash hash{};
  typename Policies::weigher weigher{};
  typename Policies::expiry expiry{};
  typename Policies::stats stats{};
  typename Policies::removal_listener on_removal{};

  /// Where loads and completions run.
  typename Policies::executor executor{};
};

/// Counts since the group was made; a snapshot, each count exact, not all of one instant.
struct group_stats {
  cache_stats cache;
  std::uint64_t loads = 0;           ///< calls of the loader, those under way included
  std::uint64_t load_failures = 0;   ///< of them: threw or returned a failure
  std::uint64_t not_found = 0;       ///< of them: the source has no such key
  std::uint64_t fallback_loads = 0;  ///< of them: in place of an owner that was out of reach
  std::uint64_t fetches = 0;         ///< questions to owners
  std::uint64_t fetch_failures = 0;  ///< of them: answered by an error, or not at all
  std::uint64_t served = 0;          ///< questions from peers
};

}  // namespace kcache

#endif
