// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_THROUGHPUT_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_THROUGHPUT_HPP
/// \file
/// Operations per second: hits, 5 % writes, read-through, eviction, one hot key.

#include "report.hpp"
#include "run.hpp"
#include "sampling.hpp"
#include "sequences.hpp"
#include "workloads.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace bench {

/// A contestant that is set up in steps, since all must be full before the keys are drawn.
struct setup {
  entrant who;
  std::size_t resident = 0;
  /// Is told the ranks that are asked for; see the workloads.
  std::function<void(std::vector<std::uint32_t> const&)> draw;
};

template <class C, class Kind>
entrant make_entrant(std::shared_ptr<player<C, Kind>> const& p,
                     void (player<C, Kind>::*body)(unsigned, std::size_t), double least_hits) {
  return {C::name,
          C::part,
          [p, body](unsigned t, std::size_t n) { ((*p).*body)(t, n); },
          [p] { return p->total.hit_ratio(C::name); },
          [p] { p->total.forget(); },
          least_hits};
}

/// Makes `p` ask for what of `resident` the ranks name.
template <class C, class Kind>
auto asker(std::shared_ptr<player<C, Kind>> p,
           std::shared_ptr<std::vector<typename Kind::item>> resident) {
  return
      [p = std::move(p), resident = std::move(resident)](std::vector<std::uint32_t> const& ranks) {
        auto const items = std::make_shared<std::vector<typename Kind::item>>();
        items->reserve(ranks.size());
        for (auto const rank : ranks) items->push_back((*resident)[rank]);
        std::vector<typename Kind::item>{}.swap(*resident);
        p->ask_for(items);
      };
}

/// Keys that are all there, drawn by Zipf's law.
template <class C, class Kind>
setup resident_keys(std::size_t capacity, void (player<C, Kind>::*body)(unsigned, std::size_t),
                    double least_hits) {
  auto const p = std::make_shared<player<C, Kind>>(capacity);
  auto const resident = std::make_shared<std::vector<typename Kind::item>>(p->fill(capacity));
  return {make_entrant<C, Kind>(p, body, least_hits), resident->size(),
          asker<C, Kind>(p, resident)};
}

/// As `f` for each contestant that is admitted, and does what the table is about.
template <class Kind, class F>
std::vector<setup> all_setups(run const& r, F f) {
  std::vector<setup> out;
  each_contestant<Kind>([&]<class C>() {
    if (r.admits(C::name, C::part)) f.template operator()<C>(out);
  });
  return out;
}

[[nodiscard]] inline std::vector<entrant> entrants_of(std::vector<setup> const& all) {
  std::vector<entrant> out;
  for (auto const& s : all) out.push_back(s.who);
  return out;
}

/// Draws for all from the same ranks: from the least number of keys that any has.
inline void draw_for(std::vector<setup> const& all) {
  std::size_t least = all.front().resident;
  for (auto const& s : all) least = std::min(least, s.resident);
  auto const ranks = zipf_ranks(least, std::size_t{1} << (least > 200'000 ? 21U : 20U));
  for (auto const& s : all) s.draw(ranks);
}

template <class Kind>
std::vector<entrant> hits_entrants(run const& r, std::size_t capacity) {
  auto const all = all_setups<Kind>(r, [&]<class C>(std::vector<setup>& out) {
    out.push_back(resident_keys<C, Kind>(capacity, &player<C, Kind>::read, 1));
  });
  draw_for(all);
  return entrants_of(all);
}

template <class Kind>
std::vector<entrant> writes_entrants(run const& r, std::size_t capacity) {
  auto const all = all_setups<Kind>(r, [&]<class C>(std::vector<setup>& out) {
    // Less than all: HyperClockCache replaces by an erase and an insert, between which others miss.
    if constexpr (writable<C, Kind>)
      out.push_back(resident_keys<C, Kind>(capacity, &player<C, Kind>::read_and_write, 0.95));
  });
  draw_for(all);
  return entrants_of(all);
}

/// The keys of these numbers.
template <class Kind>
auto items_of(std::vector<std::uint32_t> const& ranks) {
  auto items = std::make_shared<std::vector<typename Kind::item>>();
  items->reserve(ranks.size());
  for (auto const rank : ranks) items->push_back(Kind::make(rank));
  return items;
}

template <class Kind>
std::vector<entrant> read_through_entrants(run const& r, std::size_t capacity) {
  auto const items =
      items_of<Kind>(zipf_ranks(10 * capacity, std::size_t{1} << (capacity > 200'000 ? 23U : 21U)));
  return entrants_of(all_setups<Kind>(r, [&]<class C>(std::vector<setup>& out) {
    auto const p = std::make_shared<player<C, Kind>>(capacity);
    p->ask_for(items);
    p->fill(capacity);
    p->read_through(0, capacity);
    out.push_back({make_entrant<C, Kind>(p, &player<C, Kind>::read_through, 0.2), 0, {}});
  }));
}

/// Each key comes again after so many others that no cache remembers it.
template <class Kind>
std::vector<entrant> eviction_entrants(run const& r, std::size_t capacity) {
  std::vector<std::uint32_t> numbers(std::size_t{1} << (capacity > 200'000 ? 22U : 20U));
  std::iota(numbers.begin(), numbers.end(), 0U);
  auto const items = items_of<Kind>(numbers);
  return entrants_of(all_setups<Kind>(r, [&]<class C>(std::vector<setup>& out) {
    auto const p = std::make_shared<player<C, Kind>>(capacity);
    p->ask_for(items);
    p->put_new(0, capacity + capacity / 4);
    out.push_back({make_entrant<C, Kind>(p, &player<C, Kind>::put_new, 0), 0, {}});
  }));
}

template <class Kind>
using entrants_maker = std::vector<entrant> (*)(run const&, std::size_t capacity);

/// Measures one workload, at one capacity, with each number of threads.
inline void throughput_table(run& r, table_name const& name, std::vector<entrant> const& entrants,
                             bool show_hits) {
  std::vector<measured> columns;
  for (unsigned const threads : r.threads) columns.push_back(compare(r, threads, entrants));
  print_throughput(r, name, entrants, columns, show_hits);
}

template <class Kind>
void throughput_tables(run& r) {
  struct {
    char const* name;
    char const* title;
    entrants_maker<Kind> make;
    bool general;
  } const workloads[] = {
      {"hits", "hits", hits_entrants<Kind>, true},
      {"writes", "5 % writes", writes_entrants<Kind>, false},
      {"read-through", "read-through", read_through_entrants<Kind>, false},
      {"evict", "eviction only", eviction_entrants<Kind>, false},
  };
  for (auto const& w : workloads) {
    if (std::is_same_v<Kind, general_kind> && !w.general) continue;
    if (!r.wants(std::string{w.name} + '-' + Kind::name)) continue;
    validate_all<Kind>();
    for (std::size_t const capacity : r.capacities)
      throughput_table(r, {w.name, Kind::name, w.title, Kind::title, capacity}, w.make(r, capacity),
                       w.make == read_through_entrants<Kind>);
  }
}

/// All threads read one key of many.
template <class Kind>
void hot_key_table(run& r) {
  if (!r.wants(std::string{"hot-key-"} + Kind::name)) return;
  validate_all<Kind>();
  std::size_t const capacity = r.capacities.front();
  std::vector<entrant> entrants;
  auto const add = [&]<class C>() {
    auto const p = std::make_shared<player<C, Kind>>(capacity);
    p->hot = p->fill(capacity).front();
    entrants.push_back(make_entrant<C, Kind>(p, &player<C, Kind>::read_hot, 1));
  };
  each_contestant<Kind>([&]<class C>() {
    if (r.admits(C::name, C::part)) add.template operator()<C>();
  });
  using by_handle = kcache_with<Kind, lru_entry, reading::by_handle>;
  if (r.admits(by_handle::name, by_handle::part)) add.template operator()<by_handle>();
  throughput_table(r, {"hot-key", Kind::name, "one hot key", Kind::title, capacity}, entrants,
                   false);
}

}  // namespace bench

#endif
