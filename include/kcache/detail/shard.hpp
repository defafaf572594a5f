// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SHARD_HPP
#define KCACHE_DETAIL_SHARD_HPP
/// \file
/// Floor 2. `shard`: one independent part of a cache, with a lock of its own.

#include <kcache/config.hpp>
#include <kcache/detail/entry.hpp>
#include <kcache/detail/expiry_heap.hpp>
#include <kcache/detail/hash_chains.hpp>
#include <kcache/detail/removed_entries.hpp>
#include <kcache/handle.hpp>
#include <kcache/policies/removal.hpp>
#include <kcache/policies/stats.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace kcache::detail {

/// A table for finding, a heap for expiry, and the policy's queue for eviction, over one set of
/// entries. Each call takes the lock once. Nothing is destroyed and no listener called under it:
/// what leaves goes to the caller's `removed`. Under the lock runs the user's `==` on keys, the
/// eviction queue, the recorder and a put's guard.
///
/// Every change first does what may throw (making room in the tables, comparing keys, the guard)
/// and then what may not: that is the strong guarantee.
template <class Key, class Value, class Policies>
class alignas(64) shard {
 public:
  using entry_type = entry<Key, Value, Policies>;
  using key_view = typename storage_traits<Key>::view_type;
  using stats_type = typename Policies::stats;
  using removed_type =
      removed_entries<entry_type, Value, typename Policies::removal_listener>;

  /// A put takes so many expired entries with it, so that they do not pile up unseen.
  static constexpr int reclaimed_per_put = 4;

  /// `capacity` is this shard's share; it stores no entry heavier than `heaviest`.
  shard(std::uint64_t capacity, std::uint64_t heaviest, stats_type const& prototype)
      : queue_{capacity}, capacity_{capacity}, heaviest_{heaviest}, stats_{prototype} {}
  shard(shard const&) = delete;
  shard& operator=(shard const&) = delete;
  ~shard() {
    std::size_t walk = 0;
    while (entry_type* e = table_.any(walk)) {
      unlink(*e);
      e->release();
    }
  }

  [[nodiscard]] handle<Value> get(key_view key, std::uint64_t hash, time_point now,
                                  removed_type& removed) {
    std::lock_guard const lock{mutex_};
    entry_type* e = find(key, hash);
    if (e && e->expires_at() <= now) {
      take_out(*e, removal_cause::expired, removed);
      e = nullptr;
    }
    if (!e) {
      stats_.on_miss();
      return {};
    }
    stats_.on_hit();
    queue_.touch(*e);
    return handle_access::share<Value>(*e);
  }

  [[nodiscard]] handle<Value> peek(key_view key, std::uint64_t hash, time_point now) const {
    std::lock_guard const lock{mutex_};
    entry_type* e = find(key, hash);
    return e && e->expires_at() > now ? handle_access::share<Value>(*e) : handle<Value>{};
  }

  /// Stores `fresh`, taking a share of its own, or returns false: the guard said no, or it had
  /// expired already, or it is too heavy.
  template <class Guard>
  [[nodiscard]] bool put(entry_type& fresh, time_point now, Guard& guard, removed_type& removed) {
    std::lock_guard const lock{mutex_};
    bool const expires = fresh.expires_at() != never;
    entry_type* old = find(fresh.key(), fresh.hash());
    if (!old) table_.reserve(std::min<std::uint64_t>(table_.size() + 1, capacity_));
    if (expires) schedule_.reserve(std::min<std::uint64_t>(schedule_.size() + 1, capacity_));
    if (!guard()) return false;

    if (old) take_out(*old, cause_of(*old, now, removal_cause::replaced), removed);
    if (fresh.expires_at() <= now) return false;
    if (fresh.weight() > heaviest_) {
      stats_.on_refusal();
      return false;
    }
    for (int i = 0; i != reclaimed_per_put && take_expired(now, removed); ++i) {
    }
    while (capacity_ - weight_ < fresh.weight()) {
      if (take_expired(now, removed)) continue;
      entry_type* victim = queue_.victim();
      KCACHE_ASSERT(victim);
      take_out(*victim, removal_cause::size, removed);
    }
    fresh.retain();
    table_.insert(fresh);
    if (expires) schedule_.insert(fresh);
    queue_.insert(fresh);
    weight_ += fresh.weight();
    bytes_ += fresh.bytes();
    return true;
  }

  bool erase(key_view key, std::uint64_t hash, time_point now, removed_type& removed) {
    std::lock_guard const lock{mutex_};
    entry_type* e = find(key, hash);
    if (!e) return false;
    auto const cause = cause_of(*e, now, removal_cause::erased);
    take_out(*e, cause, removed);
    return cause == removal_cause::erased;
  }

  void clear(time_point now, removed_type& removed) noexcept {
    std::lock_guard const lock{mutex_};
    std::size_t walk = 0;
    while (entry_type* e = table_.any(walk)) {
      take_out(*e, cause_of(*e, now, removal_cause::erased), removed);
    }
  }

  /// Takes out expired entries, `most` at most, and returns how many.
  std::size_t remove_expired(time_point now, std::size_t most, removed_type& removed) {
    std::lock_guard const lock{mutex_};
    std::size_t n = 0;
    while (n != most && take_expired(now, removed)) ++n;
    return n;
  }

  [[nodiscard]] std::size_t size() const {
    std::lock_guard const lock{mutex_};
    return table_.size();
  }
  [[nodiscard]] std::uint64_t weight() const {
    std::lock_guard const lock{mutex_};
    return weight_;
  }
  void add_to(cache_stats& total) const {
    std::lock_guard const lock{mutex_};
    stats_.add_to(total);
    total.entries += table_.size();
    total.weight += weight_;
    total.bytes += bytes_ + table_.bytes() + schedule_.bytes();
  }

 private:
  [[nodiscard]] entry_type* find(key_view key, std::uint64_t hash) const {
    return table_.find(hash, [&](entry_type const& e) { return e.key() == key; });
  }
  static removal_cause cause_of(entry_type const& e, time_point now, removal_cause live) noexcept {
    return e.expires_at() <= now ? removal_cause::expired : live;
  }
  bool take_expired(time_point now, removed_type& removed) noexcept {
    entry_type* e = schedule_.expired(now);
    if (e) take_out(*e, removal_cause::expired, removed);
    return e != nullptr;
  }
  void take_out(entry_type& e, removal_cause cause, removed_type& removed) noexcept {
    unlink(e);
    stats_.on_removal(cause);
    removed.add(e, cause);
  }
  void unlink(entry_type& e) noexcept {
    table_.erase(e);
    if (e.heap_position != entry_type::not_scheduled) schedule_.erase(e);
    queue_.erase(e);
    weight_ -= e.weight();
    bytes_ -= e.bytes();
  }

  mutable std::mutex mutex_;
  hash_chains<entry_type> table_;
  expiry_heap<entry_type> schedule_;
  [[no_unique_address]] typename Policies::eviction::template queue<entry_type> queue_;
  std::uint64_t capacity_;
  std::uint64_t heaviest_;
  std::uint64_t weight_ = 0;
  std::uint64_t bytes_ = 0;
  [[no_unique_address]] stats_type stats_;
};

}  // namespace kcache::detail

#endif
