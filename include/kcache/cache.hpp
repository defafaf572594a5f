// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CACHE_HPP
#define KCACHE_CACHE_HPP
/// \file
/// Floor 2. `cache`: a bounded, concurrent map whose entries may expire.
///
/// # Shards and locks
/// The cache is a row of shards. The high bits of a key's hash choose its shard, and each shard
/// has its own mutex, hash table, eviction queue and heap of expiry instants, so calls for keys of
/// different shards do not meet. A call takes one lock once. Under it run the key's `==`, the
/// eviction policy, the stats recorder and a `put_if`'s guard; they must not call the cache. The
/// hash, the weigher, the expiry policy, constructors, destructors and the removal listener run
/// outside the locks.
///
/// # Bounds
/// The capacity is divided exactly among the shards, and no shard exceeds its share at any
/// instant: room is made before an entry enters. So the whole never exceeds the capacity, but a
/// shard may evict while another has room; eviction order, too, holds per shard. Small caches
/// (below 2,048 entries) have one shard and are exact. An entry heavier than its shard's share is
/// refused and evicts nothing, though a previous value of its key goes (`replaced`): once `put`
/// returned, the old value is not served. A cache with a weigher has one shard unless
/// `max_entry_weight` is given, see `cache_options`.
///
/// # Expiry
/// An entry's time counts from its write. From the instant of its expiry on, to the resolution of
/// the clock, it is not served. An expired entry goes before any live one of its shard is
/// evicted: the heap yields the first to expire. Each put also takes up to four expired entries
/// with it, so that they do not pile up; until it is met, an expired entry counts in `size()` and
/// `weight()`, never beyond the capacity.
///
/// # Cost
/// One allocation per entry: key, value, links and count together. `get`, `peek`, `contains` and
/// `erase` of a live entry that never expires are O(1) on average, as is `put`; leaving the expiry
/// heap adds O(log n), entering it O(1) if entries have one TTL and O(log n) at worst, n being the
/// entries of the shard that expire. A put that grows the table moves its shard's links, O(n).

#include <kcache/cache_options.hpp>
#include <kcache/config.hpp>
#include <kcache/detail/fixed_array.hpp>
#include <kcache/detail/shard.hpp>
#include <kcache/detail/shard_plan.hpp>
#include <kcache/error.hpp>
#include <kcache/fwd.hpp>
#include <kcache/handle.hpp>
#include <kcache/policies.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace kcache {

/// What became of a put.
template <class Value>
struct put_result {
  /// True if the value is in the cache. False if it was too heavy for its shard, or its time to
  /// live was over at once (in both cases the key now has no value), or the guard of `put_if` said
  /// no (then nothing changed).
  bool stored = false;
  /// The value, stored or not. Never empty.
  handle<Value> entry;
};

/// A cache of `Value`s by `Key`.
///
///     kcache::cache<std::string, int> scores{{.capacity = 10'000, .ttl = 5min}};
///     scores.put("Tom", 630);
///     if (auto h = scores.get("Tom")) use(*h);
///
/// `Key` needs `==`, a hash (see policies/hash.hpp) and a move constructor, `Value` a move
/// constructor; destructors must not throw. Neither needs to be copied or default constructed.
/// Keys are looked up by `key_view`: `std::string_view` for strings (no allocation), `Key const&`
/// otherwise.
///
/// Thread safety: all members may be called from several threads at once. Calls for one key are
/// ordered by its shard's lock. No reference into the cache is ever returned: values are read
/// through handles, which outlive their entries and the cache.
///
/// Exceptions: what a user's type or policy throws, `std::bad_alloc`, and nothing else. Then the
/// cache is as it was: nothing stored, lost or locked.
template <class Key, class Value, class Policies>
class cache {
  static_assert(cache_policies<Policies>,
                "kcache: cache<K, V, P>: P must derive from kcache::default_policies, and its "
                "clock, random, eviction and stats must model their concepts, see policies.hpp");
  static_assert(std::same_as<Key, std::remove_cvref_t<Key>> && std::move_constructible<Key> &&
                    std::equality_comparable<Key>,
                "kcache: cache<K, V>: K must be an object type that can be moved and compared");
  static_assert(std::same_as<Value, std::remove_cvref_t<Value>> && std::move_constructible<Value>,
                "kcache: cache<K, V>: V must be an object type that can be moved");
  static_assert(key_hash<typename Policies::hash, Key>,
                "kcache: cache<K, V, P>: the hash policy does not take K: specialise std::hash or "
                "use with_hash, see policies/hash.hpp");
  static_assert(kcache::weigher<typename Policies::weigher, Key, Value>,
                "kcache: cache<K, V, P>: the weigher does not take (key, value), see "
                "policies/weigher.hpp");
  static_assert(kcache::expiry<typename Policies::expiry, Key, Value>,
                "kcache: cache<K, V, P>: the expiry policy does not fit K and V, see "
                "policies/expiry.hpp");
  static_assert(kcache::removal_listener<typename Policies::removal_listener, Key, Value>,
                "kcache: cache<K, V, P>: the listener does not take (key, value, cause), see "
                "policies/removal.hpp");

 public:
  using key_type = Key;
  using mapped_type = Value;
  using policies_type = Policies;
  using options_type = cache_options<Policies>;
  using handle_type = handle<Value>;
  using put_result_type = put_result<Value>;
  /// What keys are looked up by.
  using key_view = typename storage_traits<Key>::view_type;

  using clock_type = typename Policies::clock;
  using random_type = typename Policies::random;
  using hash_type = typename Policies::hash;
  using weigher_type = typename Policies::weigher;
  using expiry_type = typename Policies::expiry;
  using eviction_type = typename Policies::eviction;
  using stats_type = typename Policies::stats;
  using removal_listener_type = typename Policies::removal_listener;

  /// \throws failure with errc::invalid_options if the options contradict each other or are out of
  /// range; what the random source throws; std::bad_alloc.
  explicit cache(options_type options);
  cache(cache const&) = delete;
  cache& operator=(cache const&) = delete;
  /// Releases the entries without telling the listener; handles keep theirs. No other call may be
  /// under way.
  ~cache() = default;

  /// The live entry of `key`, or an empty handle. Counts a hit or a miss and tells the eviction
  /// policy of a hit. An expired entry is a miss, and is removed.
  [[nodiscard]] handle_type get(key_view key);
  /// As `get`, but leaves no trace: counts nothing, moves nothing, removes nothing.
  [[nodiscard]] handle_type peek(key_view key) const;
  /// True if there is a live entry; leaves no trace.
  [[nodiscard]] bool contains(key_view key) const { return static_cast<bool>(peek(key)); }

  /// Stores `value` under `key`, in place of any other, for `time_to_live` (by default the
  /// cache's), and evicts what must go for it. Once it returned, no call yields the old value,
  /// though handles to it remain valid.
  put_result_type put(Key key, Value value, kcache::ttl time_to_live = {});
  /// As `put`, if `guard()`, which returns `bool`, says so. It is called at most once, under the
  /// lock that orders all reads and erases of this key: an `erase` of `key` that began after the
  /// guard did takes place after the store. It must not call the cache; if it throws, nothing
  /// changes.
  template <std::predicate Guard>
  put_result_type put_if(Key key, Value value, Guard guard, kcache::ttl time_to_live = {});
  /// A handle to a value that is in no cache. May throw std::bad_alloc, and what a move throws.
  [[nodiscard]] static handle_type detached(Value value, time_point expires_at = never);

  /// Removes the entry of `key`. True if there was a live one.
  bool erase(key_view key);
  /// Removes every entry that is there when the call begins, shard by shard, each O(entries)
  /// under its lock; what others put meanwhile may stay.
  void clear();
  /// Removes every expired entry, at most 64 per locking, and returns how many. Never needed for
  /// correctness: it frees the memory of a cache that nobody puts into.
  std::size_t remove_expired();

  /// Entries; O(shards). Expired ones that were not met yet are included, here and below.
  [[nodiscard]] std::size_t size() const;
  /// The sum of the entries' weights, never more than `capacity()`; O(shards).
  [[nodiscard]] std::uint64_t weight() const;
  [[nodiscard]] std::uint64_t capacity() const noexcept { return plan_.capacity(); }
  [[nodiscard]] std::size_t shard_count() const noexcept { return plan_.shards(); }
  /// O(shards).
  [[nodiscard]] cache_stats stats() const;

  [[nodiscard]] clock_type const& clock() const noexcept { return clock_; }
  [[nodiscard]] kcache::ttl default_ttl() const noexcept { return default_ttl_; }
  /// The recorder of what belongs to no shard: a group tells it of loads.
  [[nodiscard]] stats_type& recorder() noexcept { return load_stats_; }

 private:
  using shard_type = detail::shard<Key, Value, Policies>;
  using entry_type = typename shard_type::entry_type;
  using removed_type = typename shard_type::removed_type;

  static detail::shard_plan plan(options_type const& options);
  [[nodiscard]] std::uint64_t hash_of(key_view key) const {
    return detail::hash_of(hash_, key);
  }
  [[nodiscard]] shard_type& shard_of(std::uint64_t hash) const noexcept {
    return shards_[plan_.shard_of(hash)];
  }

  [[no_unique_address]] clock_type clock_;
  [[no_unique_address]] hash_type hash_;
  [[no_unique_address]] weigher_type weigher_;
  [[no_unique_address]] expiry_type expiry_;
  [[no_unique_address]] removal_listener_type on_removal_;
  kcache::ttl default_ttl_;
  detail::shard_plan plan_;
  detail::fixed_array<shard_type> shards_;
  stats_type load_stats_;
};

}  // namespace kcache

#include <kcache/impl/cache.hpp>

#endif
