// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_STATS_HPP
#define KCACHE_POLICIES_STATS_HPP
/// \file
/// Floor 1. The stats policy: what a cache counts.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `S s;` `S t{s};` | | the cache keeps a copy of the options' object |
/// | `s.on_hit()` `s.on_miss()` | | a `get` found a live entry, or none |
/// | `s.on_load()` `s.on_load_failure()` | | a group's loader answered (value or not found), or failed |
/// | `s.on_removal(cause)` | | an entry left; `cause` is a `removal_cause` |
/// | `s.on_refusal()` | | a value was too heavy to be stored |
/// | `s.add_to(total)` on a const object | | adds what this copy counted to a `cache_stats` |
///
/// And, both optional:
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `s.on_key_hit(hash)` | | said beside `on_hit()`: the key's hash (`std::uint64_t`) |
/// | `s.key_hits(hash)` on a const object | `std::uint64_t` | how often that was said; `cache::hits_of` tells it |
///
/// All are thread safe and `noexcept`, cost O(1), and must not call the cache: some run under a
/// lock.
///
/// Models, cheapest first: `no_stats`, `counting_stats` (the default), `key_counting_stats`
/// (policies/key_counting_stats.hpp).
///
///     kcache::cache<int, page, kcache::with_stats<kcache::no_stats>> c{{.capacity = 512}};

#include <kcache/config.hpp>
#include <kcache/detail/reader.hpp>
#include <kcache/policies/removal.hpp>

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace kcache {

/// A cache's figures, taken shard by shard: each is right, though other threads may have worked
/// between them. Counters count from the construction of the cache.
struct cache_stats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  /// Loads that ended with a value or with "not found".
  std::uint64_t loads = 0;
  std::uint64_t load_failures = 0;
  /// Values too heavy to be stored.
  std::uint64_t refused = 0;
  /// Entries that left, by `removal_cause`.
  std::uint64_t expired = 0;
  std::uint64_t evicted = 0;
  std::uint64_t replaced = 0;
  std::uint64_t erased = 0;
  /// Entries now, expired ones that were not yet met included.
  std::uint64_t entries = 0;
  /// Their weight; equals `entries` without a weigher.
  std::uint64_t weight = 0;
  /// What `cache::memory_usage()` says.
  std::uint64_t bytes = 0;

  /// Hits among all gets, 0 to 1; 0 before the first.
  [[nodiscard]] constexpr double hit_ratio() const noexcept {
    auto const gets = hits + misses;
    return gets == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(gets);
  }
  friend constexpr bool operator==(cache_stats const&, cache_stats const&) noexcept = default;
};

template <class S>
concept stats_recorder =
    std::copy_constructible<S> &&
    requires(S& s, S const& c, removal_cause cause, cache_stats& total) {
      { s.on_hit() } noexcept;
      { s.on_miss() } noexcept;
      { s.on_load() } noexcept;
      { s.on_load_failure() } noexcept;
      { s.on_removal(cause) } noexcept;
      { s.on_refusal() } noexcept;
      { c.add_to(total) } noexcept;
    };

/// Counts nothing; the figures stay 0, but for `entries`, `weight` and `bytes`, which the cache
/// knows anyway.
struct no_stats {
  constexpr void on_hit() noexcept {}
  constexpr void on_miss() noexcept {}
  constexpr void on_load() noexcept {}
  constexpr void on_load_failure() noexcept {}
  constexpr void on_removal(removal_cause) noexcept {}
  constexpr void on_refusal() noexcept {}
  constexpr void add_to(cache_stats&) const noexcept {}
};

/// Counts exactly, without one thread waiting for another: each of the first 31 threads of the
/// process that are alive has counters of its own, which it alone writes; later ones share some
/// and add atomically. 4 KB per cache; a count costs about 1 ns, reading them all about 1 us.
class counting_stats {
 public:
  counting_stats() noexcept = default;
  /// The copy begins with what the other has counted.
  counting_stats(counting_stats const& other) noexcept {
    for (std::size_t i = 0; i != events; ++i) {
      stripes_[shared].counters[i].store(other.read(i), relaxed);
    }
  }
  counting_stats& operator=(counting_stats const&) = delete;

  void on_hit() noexcept { count(hit); }
  void on_miss() noexcept { count(miss); }
  /// The same, by the thread whose reader this is.
  KCACHE_INLINE void on_hit(detail::reader const& r) noexcept { count(hit, r); }
  KCACHE_INLINE void on_miss(detail::reader const& r) noexcept { count(miss, r); }
  void on_load() noexcept { count(load); }
  void on_load_failure() noexcept { count(load_failure); }
  void on_removal(removal_cause cause) noexcept {
    count(removal + static_cast<std::size_t>(cause));
  }
  void on_refusal() noexcept { count(refusal); }

  void add_to(cache_stats& total) const noexcept {
    auto const removed = [&](removal_cause cause) {
      return read(removal + static_cast<std::size_t>(cause));
    };
    total.hits += read(hit);
    total.misses += read(miss);
    total.loads += read(load);
    total.load_failures += read(load_failure);
    total.refused += read(refusal);
    total.expired += removed(removal_cause::expired);
    total.evicted += removed(removal_cause::size);
    total.replaced += removed(removal_cause::replaced);
    total.erased += removed(removal_cause::erased);
  }

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;
  /// Positions of the counters; four for removals come last.
  enum counter : std::size_t { hit, miss, load, load_failure, refusal, removal, events = 9 };
  static constexpr std::size_t shared = 31;

  struct alignas(detail::apart) stripe {
    std::array<std::atomic<std::uint64_t>, events> counters{};
  };

  KCACHE_INLINE void count(std::size_t i) noexcept {
    detail::reader const* const r = detail::this_reader();
    r ? count(i, *r) : count_shared(i);
  }
  KCACHE_INLINE void count(std::size_t i, detail::reader const& r) noexcept {
    if (r.number >= shared) [[unlikely]] return count_shared(i);
    std::atomic<std::uint64_t>& c = stripes_[r.number].counters[i];
    c.store(c.load(relaxed) + 1, relaxed);
  }
  [[gnu::noinline]] void count_shared(std::size_t i) noexcept {
    stripes_[shared].counters[i].fetch_add(1, relaxed);
  }
  [[nodiscard]] std::uint64_t read(std::size_t i) const noexcept {
    std::uint64_t sum = 0;
    for (stripe const& s : stripes_) sum += s.counters[i].load(relaxed);
    return sum;
  }

  std::array<stripe, shared + 1> stripes_{};
};

static_assert(stats_recorder<no_stats> && stats_recorder<counting_stats>);

}  // namespace kcache

#endif
