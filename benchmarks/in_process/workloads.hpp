// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_WORKLOADS_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_WORKLOADS_HPP
/// \file
/// What is done to a cache while it is measured. Every read is checked, one by one or by the sum of
/// a batch, see kinds.hpp. The loops of reads are `flatten`ed, so that each contestant's get is
/// expanded in them as it would be in a small file; how many others this one measures then has no
/// say.

#include "contestants.hpp"
#include "sequences.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// What the threads have found; each writes to its own.
class tallies {
 public:
  struct alignas(128) tally {
    std::uint64_t reads = 0;
    std::uint64_t hits = 0;
    std::uint64_t faults = 0;
  };
  tally& of(unsigned t) { return each_[t]; }
  void forget() { each_ = {}; }
  /// The share of hits among the reads, of all threads; gives up if a value was wrong.
  [[nodiscard]] double hit_ratio(char const* cache) const {
    tally sum;
    for (auto const& one : each_) {
      sum.reads += one.reads;
      sum.hits += one.hits;
      sum.faults |= one.faults;
    }
    if (sum.faults != 0) give_up(std::string{"wrong values from "} + cache);
    return sum.reads == 0 ? 1 : static_cast<double>(sum.hits) / static_cast<double>(sum.reads);
  }

 private:
  std::array<tally, most_threads> each_;
};

template <class C, class Kind>
class player {
 public:
  using item = typename Kind::item;

  explicit player(std::size_t capacity) : cache{capacity} {}

  void ask_for(std::shared_ptr<std::vector<item> const> items) {
    expected = running_sums(*items, [](item const& k) { return Kind::expected(Kind::arg(k)); });
    keys = std::make_unique<ring<item>>(std::move(items));
  }

  /// All are there: the sum of what they say is checked, not each.
  [[gnu::flatten]] void read(unsigned t, std::size_t n) {
    std::size_t const from = keys->next(t);
    std::uint64_t sum = 0;
    std::uint64_t hits = 0;
    keys->each(t, n, [&](item const& k) {
      hits += cache.read(Kind::arg(k), [&](auto const& v) { sum += Kind::digest(v); });
    });
    add(t, {n, hits, sum ^ sum_of(expected, from, n)});
  }

  /// As `read`; each is handed to `time`, which must call it once.
  template <class Time>
  void time_reads(unsigned t, std::size_t n, Time time) {
    tallies::tally seen{n};
    keys->each(t, n, [&](item const& k) { time([&] { seen.hits += look(k, seen.faults); }); });
    add(t, seen);
  }

  /// Every 20th call is a put of a key that is there.
  void read_and_write(unsigned t, std::size_t n) {
    tallies::tally seen;
    auto& write = writers[t];
    unsigned until = write.until;
    keys->each(t, n, [&](item const& k) {
      if (--until == 0) {
        until = 20;
        cache.put(Kind::arg(k), write.source(Kind::arg(k)));
      } else {
        ++seen.reads;
        seen.hits += look(k, seen.faults);
      }
    });
    write.until = until;
    add(t, seen);
  }

  void read_through(unsigned t, std::size_t n) {
    tallies::tally seen{n};
    auto& source = writers[t].source;
    keys->each(t, n, [&](item const& k) {
      auto const arg = Kind::arg(k);
      seen.hits += bench::read_through<C, Kind>(
          cache, arg, source, [&](auto const& v) { seen.faults |= Kind::fault(arg, v); });
    });
    add(t, seen);
  }

  void put_new(unsigned t, std::size_t n) {
    auto& source = writers[t].source;
    keys->each(t, n, [&](item const& k) { bench::put_new<C, Kind>(cache, Kind::arg(k), source); });
  }

  /// Reads `hot` only.
  [[gnu::flatten]] void read_hot(unsigned t, std::size_t n) {
    std::uint64_t sum = 0;
    std::uint64_t hits = 0;
    auto const arg = Kind::arg(hot);
    for (std::size_t i = 0; i != n; ++i)
      hits += cache.read(arg, [&](auto const& v) { sum += Kind::digest(v); });
    add(t, {n, hits, sum ^ n * Kind::expected(arg)});
  }

  bool look(item const& k, std::uint64_t& faults) {
    auto const arg = Kind::arg(k);
    return cache.read(arg, [&](auto const& v) { faults |= Kind::fault(arg, v); });
  }

  /// Fills the cache with more than it can hold and returns what of it is there, shuffled.
  std::vector<item> fill(std::size_t capacity) {
    auto& source = writers[0].source;
    std::size_t const puts = capacity + capacity / 4;
    for (std::size_t i = 0; i != puts; ++i)
      bench::put_new<C, Kind>(cache, Kind::arg(Kind::make(i)), source);
    std::vector<item> resident;
    if constexpr (writable<C, Kind>) {
      std::uint64_t faults = 0;
      for (std::size_t i = 0; i != puts; ++i)
        if (auto const k = Kind::make(i); look(k, faults)) resident.push_back(k);
      expect(faults == 0, "a wrong value");
    } else {  // an exact LRU, which would load what it is asked for
      for (std::size_t i = puts - capacity; i != puts; ++i) resident.push_back(Kind::make(i));
    }
    shuffle(resident);
    return resident;
  }

  C cache;
  tallies total;
  std::unique_ptr<ring<item>> keys;
  std::vector<std::uint64_t> expected;
  item hot{};

 private:
  struct alignas(128) writer {
    typename Kind::value_source source;
    unsigned until = 20;
  };
  void add(unsigned t, tallies::tally const& more) {
    auto& mine = total.of(t);
    mine.reads += more.reads;
    mine.hits += more.hits;
    mine.faults |= more.faults;
  }

  std::array<writer, most_threads> writers;
};

/// Shows that a contestant does what is measured: keeps what it is given, replaces, yields the
/// right values, holds no more than its capacity, evicts.
template <class C, class Kind>
void validate() {
  constexpr std::size_t capacity = 2'048;
  constexpr std::size_t puts = 3 * capacity;
  auto const p = std::make_unique<player<C, Kind>>(capacity);
  typename Kind::value_source source;
  std::uint64_t faults = 0;
  std::string const who = std::string{C::name} + ", " + Kind::name + ": ";
  auto const check = [&](bool holds, char const* what) {
    if (!holds) give_up(who + what);
  };
  for (std::size_t i = 0; i != puts; ++i) {
    put_new<C, Kind>(p->cache, Kind::arg(Kind::make(i)), source);
    if (i % 64 == 0) check(p->cache.size() <= capacity, "more entries than its capacity");
  }
  std::size_t found = 0;
  std::size_t last_found = 0;
  if constexpr (writable<C, Kind>) {
    for (std::size_t i = 0; i != puts; ++i)
      if (p->look(Kind::make(i), faults)) ++found, last_found = i;
    check(found <= capacity && found >= capacity * 8 / 10, "does not hold what it can");
    auto const k = Kind::make(last_found);
    auto const other = Kind::make(puts + 1);  // whose value is not that of k
    p->cache.put(Kind::arg(k), source(Kind::arg(other)));
    std::uint64_t wrong = 0;
    if (p->look(k, wrong)) check(wrong != 0, "a put does not replace the value");
    p->cache.put(Kind::arg(k), source(Kind::arg(k)));
    check(p->look(k, faults), "a key just put is missing");
  } else {
    for (std::size_t i = puts - capacity; i != puts; ++i)
      if (p->look(Kind::make(i), faults)) ++found;
    check(found == capacity, "does not hold what it can");
    check(!p->look(Kind::make(0), faults), "does not evict");
  }
  check(faults == 0, "wrong values");
}

/// All contestants of a kind, once in a run.
template <class Kind>
void validate_all() {
  static bool done = false;
  if (std::exchange(done, true)) return;
  each_contestant<Kind>([]<class C>() { validate<C, Kind>(); });
}

}  // namespace bench

#endif
