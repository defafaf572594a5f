// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_LATENCY_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_LATENCY_HPP
/// \file
/// How long one hit takes: each is timed alone, between two reads of the processor's time stamp
/// that wait for what came before (elsewhere than on x86: steady_clock). What an empty interval
/// takes, in the median, is the timer's own cost; it is subtracted, and printed.

#include "report.hpp"
#include "run.hpp"
#include "throughput.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {

struct tick_timer {
#if defined(__x86_64__)
  static std::uint64_t begin() {
    _mm_lfence();
    auto const now = __rdtsc();
    _mm_lfence();
    return now;
  }
  static std::uint64_t end() {
    unsigned processor;
    auto const now = __rdtscp(&processor);
    _mm_lfence();
    return now;
  }
  static constexpr char const* name = "the time stamp counter between fences";
#else
  static std::uint64_t begin() {
    return static_cast<std::uint64_t>(clock::now().time_since_epoch().count());
  }
  static std::uint64_t end() { return begin(); }
  static constexpr char const* name = "steady_clock";
#endif

  /// Nanoseconds of a tick, by steady_clock over 50 ms.
  static double period() {
    auto const t0 = clock::now();
    auto const begun = begin();
    while (clock::now() - t0 < std::chrono::milliseconds{50}) {
    }
    auto const ended = end();
    return nanoseconds(clock::now() - t0) / static_cast<double>(ended - begun);
  }
};

/// Counts intervals; 32 classes to each power of two, so that a quantile is right to 3 %.
class histogram {
 public:
  void add(std::uint64_t ticks) { ++counts_[class_of(ticks)]; }
  void add(histogram const& other) {
    for (std::size_t i = 0; i != counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  /// The least that is not below `share` of all.
  [[nodiscard]] double quantile(double share) const {
    std::uint64_t all = 0;
    for (auto const n : counts_) all += n;
    auto left = static_cast<std::uint64_t>(share * static_cast<double>(all));
    for (std::size_t i = 0; i != counts_.size(); ++i) {
      if (counts_[i] > left) return middle(i);
      left -= counts_[i];
    }
    return 0;
  }

 private:
  static constexpr unsigned fine = 5;
  static std::size_t class_of(std::uint64_t ticks) {
    if (ticks < (1U << fine)) return ticks;
    unsigned const shift = static_cast<unsigned>(std::bit_width(ticks)) - 1 - fine;
    return (std::size_t{shift} << fine) + (ticks >> shift);
  }
  static double middle(std::size_t i) {
    if (i < (2U << fine)) return static_cast<double>(i);
    std::size_t const shift = (i >> fine) - 1;
    std::size_t const lowest = ((i & ((1U << fine) - 1)) + (1U << fine)) << shift;
    return static_cast<double>(lowest) + static_cast<double>(std::size_t{1} << shift) / 2;
  }
  std::array<std::uint64_t, 60U << fine> counts_{};
};

/// The time of an empty interval, in ticks.
[[nodiscard]] inline double timer_cost() {
  histogram h;
  for (int i = 0; i != 100'000; ++i) {
    auto const begun = tick_timer::begin();
    h.add(tick_timer::end() - begun);
  }
  return h.quantile(0.5);
}

/// An entrant whose hits are timed, and what they took on each thread.
struct timed_entrant {
  entrant who;
  std::shared_ptr<std::array<histogram, most_threads>> took;
};

template <class C, class Kind>
setup timed_setup(std::size_t capacity, std::vector<timed_entrant>& out) {
  auto const p = std::make_shared<player<C, Kind>>(capacity);
  auto const took = std::make_shared<std::array<histogram, most_threads>>();
  auto const resident = std::make_shared<std::vector<typename Kind::item>>(p->fill(capacity));
  entrant const who{C::name,
                    C::part,
                    [p, took](unsigned t, std::size_t n) {
                      auto& mine = (*took)[t];
                      p->time_reads(t, n, [&](auto const& read) {
                        auto const begun = tick_timer::begin();
                        read();
                        mine.add(tick_timer::end() - begun);
                      });
                    },
                    [p] { return p->total.hit_ratio(C::name); },
                    [p, took] {
                      p->total.forget();
                      *took = {};
                    },
                    1};
  out.push_back({who, took});
  return {who, resident->size(), asker<C, Kind>(p, resident)};
}

struct quantile_column {
  char const* title;
  double share;
};
inline constexpr quantile_column quantile_columns[] = {
    {"p50, ns", 0.50}, {"p99, ns", 0.99}, {"p99.9, us", 0.999}};

inline void print_latency(run& r, table_name const& name, std::vector<timed_entrant> const& all) {
  double const period = tick_timer::period();
  double const own = timer_cost();
  heading(std::string{"latency of a hit, "} + name.kind_title + ", capacity " +
          grouped(name.capacity));
  std::vector<std::string> titles{"cache"};
  std::vector<std::vector<std::string>> rows;
  for (auto const& e : all) rows.push_back({e.who.name});
  for (unsigned const threads : {1U, 2U}) {
    for (auto const& column : quantile_columns)
      titles.push_back(std::to_string(threads) + (threads == 1 ? " thread, " : " threads, ") +
                       column.title);
    std::vector<std::array<std::vector<double>, 3>> found(all.size());
    for (auto const& e : all) static_cast<void>(sample(e.who.run, threads, r.sample_ms / 2));
    for (std::size_t n = 0; n != r.rounds; ++n) {
      r.others.quietly([&] {
        for (auto const& e : all) {
          e.who.forget();
          static_cast<void>(sample(e.who.run, threads, r.sample_ms));
        }
      });
      for (std::size_t i = 0; i != all.size(); ++i) {
        histogram sum;
        for (auto const& one : *all[i].took) sum.add(one);
        for (std::size_t q = 0; q != 3; ++q)
          found[i][q].push_back(std::max(0.0, sum.quantile(quantile_columns[q].share) - own) *
                                period / (q == 2 ? 1e3 : 1));
        expect(all[i].who.hit_ratio() >= 1, "not all were hits");
      }
    }
    for (std::size_t i = 0; i != all.size(); ++i)
      for (std::size_t q = 0; q != 3; ++q) {
        auto const f = figure::of(std::move(found[i][q]));
        rows[i].push_back(text(f));
        static constexpr char const* units[] = {"ns p50", "ns p99", "us p99.9"};
        r.findings.push_back({"latency", name.kind, name.capacity, threads, all[i].who.name,
                              all[i].who.part, units[q], f});
      }
  }
  header(titles);
  for (auto const& cells : rows) row(cells);
  std::printf("\n(By %s; an empty interval takes %.1f ns, which is subtracted.)\n",
              tick_timer::name, own * period);
}

template <class Kind>
void latency_table(run& r) {
  if (!r.wants(std::string{"latency-"} + Kind::name)) return;
  validate_all<Kind>();
  for (std::size_t const capacity : r.capacities) {
    std::vector<timed_entrant> timed;
    auto const all = all_setups<Kind>(r, [&]<class C>(std::vector<setup>& out) {
      out.push_back(timed_setup<C, Kind>(capacity, timed));
    });
    draw_for(all);
    print_latency(r, {"latency", Kind::name, "", Kind::title, capacity}, timed);
  }
}

}  // namespace bench

#endif
