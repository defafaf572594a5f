// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CACHE_HPP
#define KCACHE_CACHE_HPP
/// \file
/// Floor 2. `cache`: a bounded, concurrent map whose entries may expire.
///
/// # How entries are kept
/// Chosen at compile time from the types and policies (detail/slots.hpp):
///
/// | types | kept as | a read |
/// |---|---|---|
/// | small trivially copyable key (16 bytes) and value (32 bytes), no weigher, no listener | a pair in the shard's table | takes no lock, copies |
/// | key as above, or a string; any value | a cell: key and value in one allocation, strings flat | takes no lock; `get` adds to the cell's count |
/// | any other key | a cell | takes the shard's lock |
///
/// Under `lru` and `w_tinylfu`, which hear of reads in order, a read takes the shard's lock once in
/// 64 to 128, to pass on what was read; any read does that meets an expired entry, or moves the
/// deadline of one that expires when idle.
///
/// # Shards and locks
/// The cache is a row of shards. The high bits of a key's hash choose its shard; each shard has
/// its own table, eviction queue and lock, so writes for keys of different shards do not meet.
/// Reads without a lock see an entry that was current at some moment of the call. Under the lock
/// run the key's `==`, the eviction policy, the stats recorder and a `put_if`'s guard; they must
/// not call the cache. The hash, the weigher, the expiry policy, visitors, destructors and the
/// removal listener run outside.
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
/// An entry's time counts from its write, or from its last read too (policies/expiry.hpp). From
/// the instant of its expiry on, to the resolution of the clock, it is not served. An expired
/// entry goes before any live one of its shard is evicted. Each put also takes with it what has
/// expired among sixteen neighbours, if anything has; until it is met, an expired entry counts in
/// `size()` and `weight()`, never beyond the capacity.
///
/// # Cost
/// A put allocates once (a cell) or not at all (a pair), a read never. All calls are O(1) on
/// average; a put of an entry that expires earlier than its neighbours adds O(log n). A put that
/// doubles its shard's table copies its slots, O(n of the shard). Bytes per entry with `lru`: 39
/// for 8 + 8 bytes, 167 for strings of 16 + 100 bytes; an empty shard takes 8 KB, most of it
/// the rings in which reads are noted, and 1 KB where none are (`sieve`).

#include <kcache/cache_options.hpp>
#include <kcache/config.hpp>
#include <kcache/detail/fixed_array.hpp>
#include <kcache/detail/shard.hpp>
#include <kcache/detail/shard_plan.hpp>
#include <kcache/error.hpp>
#include <kcache/fwd.hpp>
#include <kcache/handle.hpp>
#include <kcache/policies.hpp>
#include <kcache/policies/expiry.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace kcache {

/// What became of a put.
template <class Value>
struct put_result {
  /// True if the value is in the cache. False if it was too heavy for its shard, or its time to
  /// live was over at once (in both cases the key now has no value), or the guard of `put_if` said
  /// no or `put_if_absent` found an entry (then nothing changed).
  bool stored = false;
  /// The value, stored or not; where `put_if_absent` found an entry, that one's. Never empty.
  handle<Value> entry;
};

/// A value with the dates of its entry.
template <class Value>
struct dated_handle {
  /// Empty if there was no live entry; then the rest means nothing.
  handle<Value> entry;
  entry_dates dates;
  /// What the clock said when the entry was looked at. It is read once for that, for entries that
  /// never expire too.
  time_point now{};
};

/// What can be put where a `Stored` is kept: for strings, whatever is a view of characters.
template <class T, class Stored>
concept storable_as =
    (detail::is_flat<Stored> &&
     std::convertible_to<T const&, typename storage_traits<Stored>::view_type>) ||
    (!detail::is_flat<Stored> && std::convertible_to<T, Stored>);

/// What can be called with what a read yields. (No pointer to a member: std::invoke costs every
/// includer 7,000 lines.)
template <class F, class View>
concept visitor = requires(F&& f, View view) { static_cast<F&&>(f)(static_cast<View>(view)); };

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
/// Thread safety: all members may be called from several threads at once, and calls for one key
/// are linearizable. No reference into the cache is ever returned: values are read through
/// handles, which outlive their entries and the cache, through visitors, or as copies.
///
/// Exceptions: what a user's type or policy throws, `std::bad_alloc`, `std::length_error` for a
/// string of 2 GiB or more, and nothing else. Then the cache is as it was: nothing stored, lost or
/// locked.
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
  static_assert(!detail::names_dates<typename Policies::expiry> ||
                    dated_expiry<typename Policies::expiry>,
                "kcache: cache<K, V, P>: the expiry policy's dates(w, expires_at) must be const "
                "and yield kcache::entry_dates, see policies/expiry.hpp");
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
  using dated_handle_type = dated_handle<Value>;
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
  /// Releases the entries, and tells the listener only of those that `clear` removed; handles keep
  /// theirs. No other call may be under way.
  ~cache();

  /// The live entry of `key`, or an empty handle. Counts a hit or a miss and tells the eviction
  /// policy of a hit. An expired entry is a miss, and is removed.
  [[nodiscard]] handle_type get(key_view key);
  /// As `get`, with the entry's dates: those of the very write that made the value. Where the
  /// expiry policy has dates.
  [[nodiscard]] dated_handle_type get_dated(key_view key)
    requires dated_expiry<expiry_type>;
  /// The same as what `then(handle, dates, now)` makes of it; of an empty handle, where there is no
  /// entry. Called once, under no lock.
  template <class Then>
  [[nodiscard]] auto get_dated(key_view key, Then const& then)
    requires dated_expiry<expiry_type>;
  /// As `get`, but calls `f(view)`, where view is what `*get(key)` yields, valid during the call.
  /// True if there was a live entry. `f` runs on the value itself, which stays as it is though the
  /// entry may leave (of a small pair on a copy), and under no lock: it may take its time, call the
  /// cache, and throw. The cheapest read of strings: nothing is copied, and nothing counted that
  /// other threads count too.
  template <visitor<typename storage_traits<Value>::view_type> F>
  bool visit(key_view key, F&& f);
  /// As `get`, but yields a copy of the value itself.
  [[nodiscard]] std::optional<Value> get_copy(key_view key)
    requires std::copy_constructible<Value>;
  /// `get` for each key of a range (of what converts to `key_view`), in its order. Memory for
  /// sixteen keys is fetched at once, which pays where the cache does not fit into the processor's.
  template <class Keys>
  [[nodiscard]] std::vector<handle_type> get_many(Keys const& keys);
  /// As `get`, but leaves no trace: counts nothing, moves nothing, removes nothing.
  [[nodiscard]] handle_type peek(key_view key) const;
  /// As `get_dated`, but leaves no trace.
  [[nodiscard]] dated_handle_type peek_dated(key_view key) const
    requires dated_expiry<expiry_type>;
  /// True if there is a live entry; leaves no trace.
  [[nodiscard]] bool contains(key_view key) const { return static_cast<bool>(peek(key)); }

  /// Stores `value` under `key`, in place of any other, for `time_to_live` (by default the
  /// cache's), and evicts what must go for it. Once it returned, no call yields the old value,
  /// though handles to it remain valid. Strings are taken as views: no `std::string` is needed.
  template <storable_as<Key> K = Key, storable_as<Value> V = Value>
  put_result_type put(K&& key, V&& value, kcache::ttl time_to_live = {});
  /// As `put`, if `guard()`, which returns `bool`, says so. It is called at most once, under the
  /// lock that orders all writes and erases of this key: an `erase` of `key` that began after the
  /// guard did takes place after the store. It must not call the cache; if it throws, nothing
  /// changes. `load_time`: how long the source took, for expiry policies that ask.
  template <storable_as<Key> K = Key, storable_as<Value> V = Value, std::predicate Guard>
  put_result_type put_if(K&& key, V&& value, Guard guard, kcache::ttl time_to_live = {},
                         duration load_time = {});
  /// As `put`, if `key` has no live entry: of several threads one stores. Otherwise nothing changes
  /// or is counted, `stored` is false and `entry` the one that is there; `value` may have been
  /// moved from all the same.
  template <storable_as<Key> K = Key, storable_as<Value> V = Value>
  put_result_type put_if_absent(K&& key, V&& value, kcache::ttl time_to_live = {});
  /// The same if `guard()` says so, too: called as that of `put_if`, if there is no entry.
  template <storable_as<Key> K = Key, storable_as<Value> V = Value, std::predicate Guard>
  put_result_type put_if_absent(K&& key, V&& value, kcache::ttl time_to_live, Guard guard);
  /// A handle to a value that is in no cache. May throw std::bad_alloc, and what a move throws.
  [[nodiscard]] static handle_type detached(Value value, time_point expires_at = never);

  /// Removes the entry of `key`. True if there was a live one.
  bool erase(key_view key);
  /// As `erase`, if `guard()` says so: called as that of `put_if`, if the key has an entry.
  template <std::predicate Guard>
  bool erase_if(key_view key, Guard guard);
  /// Removes every entry that is there when the call begins, shard by shard; what others put
  /// meanwhile may stay. O(shards): once it returned, the entries are found by no call and count in
  /// neither `size()` nor `weight()`, but their memory is freed, the listener told and `erased`
  /// counted only as they are taken out: by each put two, or as many as it needs the room of,
  /// before anything that lives is evicted; by `remove_expired()` and the destructor all. Until
  /// then they count towards the capacity. (A shard that uses sixteen slots or fewer is emptied at
  /// once. With an eviction policy of yours without `clear`, O(entries).) Needs no memory.
  void clear();
  /// Removes every expired entry, some 64 per locking, and returns how many; takes out what was
  /// cleared, too. Never needed for correctness: it frees the memory of a cache that nobody puts
  /// into.
  std::size_t remove_expired();

  /// Entries; O(shards). Expired ones that were not met yet are included, here and below.
  [[nodiscard]] std::size_t size() const;
  /// The sum of the entries' weights, never more than `capacity()`; O(shards).
  [[nodiscard]] std::uint64_t weight() const;
  [[nodiscard]] std::uint64_t capacity() const noexcept {
    return capacity_.load(std::memory_order_acquire);
  }
  /// Divides another capacity among the same shards. Where it is less, what is too much has been
  /// evicted when this returns. Tables do not shrink.
  /// \throws failure with errc::invalid_options if it is less than a shard's least: one entry, or
  /// `max_entry_weight`. Then nothing has changed.
  void set_capacity(std::uint64_t capacity);
  [[nodiscard]] std::size_t shard_count() const noexcept { return plan_.shards(); }
  /// Bytes that the cache has from the heap, what its own object takes included: tables, cells
  /// with the allocator's overhead, what `storage_traits<T>::heap_bytes` tells of keys and values,
  /// and cells that have left but that a reader may still see. Values that only handles keep are
  /// not. O(shards).
  [[nodiscard]] std::size_t memory_usage() const;
  /// O(shards).
  [[nodiscard]] cache_stats stats() const;
  /// How often `key` was hit, as far as the stats policy tells: `key_counting_stats` never says too
  /// little. Nothing where the policy does not count by key.
  [[nodiscard]] std::optional<std::uint64_t> hits_of(key_view key) const;

  [[nodiscard]] clock_type const& clock() const noexcept { return clock_; }
  [[nodiscard]] kcache::ttl default_ttl() const noexcept { return default_ttl_; }
  /// The recorder: a group tells it of loads.
  [[nodiscard]] stats_type& recorder() noexcept { return stats_; }

 private:
  using shard_type = detail::shard<Key, Value, Policies>;
  using storage = typename shard_type::plan;
  using removed_type = typename shard_type::removed_type;

  /// So many removals per locking.
  static constexpr std::size_t batch = 64;

  static detail::shard_plan plan(options_type const& options);
  [[nodiscard]] duration idle() const;
  [[nodiscard]] KCACHE_INLINE std::uint64_t hash_of(key_view key) const {
    return detail::hash_of(hash_, key);
  }
  [[nodiscard]] KCACHE_INLINE shard_type& shard_of(std::uint64_t hash) const noexcept {
    return shards_[plan_.shard_of(hash)];
  }
  void remove_cleared();
  /// `here`: made part of its caller, which the compiler would not do where that has more to do.
  template <bool Dated, bool Trace, class Then>
  [[nodiscard]] auto read_handle(key_view key, std::uint64_t hash, Then const& then) const {
    return read_handle_here<Dated, Trace>(key, hash, then);
  }
  template <bool Dated, bool Trace, class Then>
  [[nodiscard]] KCACHE_INLINE auto read_handle_here(key_view key, std::uint64_t hash,
                                                    Then const& then) const;
  static constexpr auto just_entry =
      [](handle_type&& entry, detail::moment_field<false> const&)
          KCACHE_INLINE_LAMBDA { return std::move(entry); };
  [[nodiscard]] KCACHE_INLINE entry_dates dates_of(
      handle_type const& entry, detail::moment_field<true> const& m) const noexcept {
    return entry ? m.value.dates.dates(fresh_until(entry.expires_at())) : entry_dates{};
  }
  [[nodiscard]] KCACHE_INLINE auto with_dates() const noexcept {
    return [this](handle_type&& entry, detail::moment_field<true> const& m)
               KCACHE_INLINE_LAMBDA {
                 entry_dates const dates = dates_of(entry, m);
                 return dated_handle_type{std::move(entry), dates, m.value.now};
               };
  }
  [[nodiscard]] KCACHE_INLINE time_point fresh_until(time_point expires_at) const noexcept {
    if constexpr (requires { expiry_.fresh_until(expires_at); }) {
      return expiry_.fresh_until(expires_at);
    } else {
      return expires_at;
    }
  }
  /// `allows(present)`, under the lock: whether to store. `present()` is the slot of a live entry
  /// of the key, or null.
  template <class K, class V, class Allows>
  void put_where(K&& key, V&& value, Allows allows, kcache::ttl time_to_live, duration load_time,
                 put_result_type& result);
  /// A view of what is kept flat; of what is not, `t` itself if it may be moved from, or an object
  /// made of it.
  template <class Stored, class T>
  static decltype(auto) as_stored(T&& t) {
    if constexpr (detail::is_flat<Stored>) {
      return static_cast<typename storage_traits<Stored>::view_type>(t);
    } else if constexpr (std::same_as<T, Stored>) {
      return static_cast<Stored&&>(t);
    } else {
      return Stored(std::forward<T>(t));
    }
  }
  template <class Stored, class T>
  static typename storage_traits<Stored>::view_type view_of(T const& stored) noexcept {
    if constexpr (detail::is_flat<Stored>) {
      return stored;
    } else {
      return storage_traits<Stored>::view(stored);
    }
  }

  [[no_unique_address]] clock_type clock_;
  [[no_unique_address]] hash_type hash_;
  [[no_unique_address]] weigher_type weigher_;
  [[no_unique_address]] expiry_type expiry_;
  [[no_unique_address]] removal_listener_type on_removal_;
  kcache::ttl default_ttl_;
  std::uint64_t draw_key_;
  detail::shard_plan plan_;
  std::atomic<std::uint64_t> capacity_;
  detail::spin_lock resizing_;
  mutable stats_type stats_;
  detail::fixed_array<shard_type> shards_;
};

}  // namespace kcache

#include <kcache/impl/cache.hpp>
#include <kcache/impl/cache_reading.hpp>

#endif
