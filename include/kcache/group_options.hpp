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

  // Freshness.

  /// Times to live are drawn from so much less to so much more, that what was loaded together is
  /// not loaded together again: a fraction of them, from 0 to 1.
  double jitter = 0.1;
  /// A reader has an entry that is read often loaded anew before it expires, behind itself: a load
  /// time ahead, and so many more, times a random number that is 2 on average and at least 1 (after
  /// XFetch; see detail/freshness.hpp). More is earlier; 0: never.
  double refresh_ahead = 1;
  /// For so long after it expired a value is served still, while it is loaded anew. Off by default.
  duration stale_while_revalidate{};
  /// For so long after it expired a value is served still if it cannot be loaded: the answer would
  /// be `loader_failed`, `deadline`, `overloaded` or `unreachable`. Off by default.
  duration stale_if_error{};
  /// After a failed load of a key that has a value to be served still, or a refresh for which there
  /// was no room, the source is not asked for it again for so long; with an `error_ttl`, after a
  /// failed load, for that instead.
  duration retry_after = std::chrono::seconds{1};

  // Absence.

  /// How long it is remembered that the source has no such key; 0: not at all.
  duration negative_ttl = std::chrono::seconds{1};
  /// What `negative_ttl` and `error_ttl` may be at most: who wants more must raise this as well.
  duration max_negative_ttl = std::chrono::seconds{5};
  /// How long a failed load is remembered and is the answer for others; 0, the default: not at all.
  duration error_ttl{};
  /// How many keys at most are remembered in these ways.
  std::size_t max_negative = 10'000;

  // The source.

  /// How many loads may run at once, a `load_many` counting as one. A load that another load waits
  /// for comes on top: it would never be done otherwise; and so do up to `max_fallback_loads`.
  /// (Loaders that block also share the executor's threads, 16 by default.)
  unsigned max_loads = 64;
  /// How many keys a `load_many` is asked for at most; `get_many` makes more calls for more.
  std::size_t max_batch = 1'000;
  /// How many more may wait for their turn; beyond them callers get `overloaded` at once.
  std::size_t max_queued_loads = 10'000;

  /// How long a `get` without a deadline of its own may take.
  duration deadline = std::chrono::seconds{1};
  /// How long a value is kept that this node loaded in place of an owner it could not reach; of
  /// this and the value's own TTL the shorter counts, with jitter.
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
  std::uint64_t refreshes = 0;       ///< of them: of a value that was still being served
  std::uint64_t batches = 0;         ///< calls of `load_many` for `get_many`; keys count in `loads`
  std::uint64_t shed = 0;            ///< loads refused: no room in the queue, or in the executor
  std::uint64_t absent = 0;          ///< answers from what is remembered of absent keys and errors
  std::uint64_t stale = 0;           ///< answers that were stale
  std::uint64_t fetches = 0;         ///< questions to owners
  std::uint64_t fetch_failures = 0;  ///< of them: answered by an error, or not at all
  std::uint64_t served = 0;          ///< questions from peers
};

}  // namespace kcache

#endif
