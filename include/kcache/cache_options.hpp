// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CACHE_OPTIONS_HPP
#define KCACHE_CACHE_OPTIONS_HPP
/// \file
/// Floor 2. `cache_options`: the numbers and the policy objects of a cache.

#include <kcache/fwd.hpp>
#include <kcache/policies.hpp>
#include <kcache/time.hpp>

#include <cstddef>
#include <cstdint>

namespace kcache {

/// A flat aggregate for designated initialisers, in this order:
///
///     {.capacity = 10'000, .ttl = 60s}
///
/// The cache's constructor refuses contradictions with `errc::invalid_options`. Objects of
/// policies that cannot be default constructed must be given.
template <class Policies>
struct cache_options {
  /// The most that is kept: entries, or weight if the policies have a weigher. At least 1; must
  /// be said.
  std::uint64_t capacity = 0;

  /// How long an entry lives if its put does not say; counted from the write. Zero is refused:
  /// such a cache would keep nothing.
  kcache::ttl ttl = kcache::ttl::never();

  /// Independent parts, each with a lock and an equal share of the capacity: a power of two, or 0
  /// for automatic. Automatic leaves each at least 1,024 entries, so it is 1 below a capacity of
  /// 2,048, and is 64 until shares would exceed 65,536 entries, then up to 256; a weighed cache has
  /// 1, unless `max_entry_weight` tells that more shards leave each room for eight of the heaviest.
  std::size_t shards = 0;

  /// With a weigher: heavier entries are refused. 0: an entry may weigh a shard's whole share.
  std::uint64_t max_entry_weight = 0;

  typename Policies::clock clock{};
  /// Asked once, at construction, for the keys of the hash.
  typename Policies::random random{};
  typename Policies::hash hash{};
  typename Policies::weigher weigher{};
  typename Policies::expiry expiry{};
  /// The prototype of the recorders; see policies/stats.hpp.
  typename Policies::stats stats{};
  /// Told of every removal; see policies/removal.hpp.
  typename Policies::removal_listener on_removal{};
};

}  // namespace kcache

#endif
