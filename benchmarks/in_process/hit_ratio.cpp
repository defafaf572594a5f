// SPDX-License-Identifier: BSL-1.0
// The hits of the real cache, under each policy, on request traces: every request is a get, and a
// put if that misses. Held against what reference programs counted.
#include "contestants/kcache.hpp"
#include "report.hpp"
#include "run.hpp"
#include "traces.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

namespace {

using requests = std::vector<std::uint64_t>;

/// `shards`: 0 for as many as a user gets.
template <class Eviction>
std::uint64_t hits_of(requests const& trace, std::size_t capacity, std::size_t shards) {
  struct policies : kcache::with_eviction<Eviction> {};
  kcache::cache<std::uint64_t, std::uint64_t, policies> c{{.capacity = capacity, .shards = shards}};
  std::uint64_t hits = 0;
  for (auto const key : trace)
    if (auto const h = c.get(key)) ++hits;
    else c.put(key, key);
  return hits;
}

/// The policy's name in reference.csv; empty where no program counted the same.
std::string reference_name(std::string_view policy) {
  static std::map<std::string_view, char const*> const names{{"lru", "lru"},
                                                             {"fifo", "fifo"},
                                                             {"clock_hand", "clock"},
                                                             {"sieve", "sieve"},
                                                             {"s3_fifo", "s3fifo"}};
  auto const at = names.find(policy);
  return at == names.end() ? "" : at->second;
}

constexpr double near_caffeine = 1.5;   // percentage points
constexpr double near_exact_lru = 0.5;  // percentage points
constexpr std::size_t least_of_shards = 1'000;
std::set<std::string> const recency_traces{"arc_oltp", "c2k_web07", "c2k_orm_busy_1m",
                                           "cloudphysics_io", "corda"};

/// How many figures were as they should be.
struct score {
  std::size_t right = 0;
  std::size_t of = 0;
  void count(bool good) {
    right += good ? 1 : 0;
    ++of;
  }
};

struct scores {
  score exact, tinylfu, sharded;
};

std::vector<std::string> line(std::string const& name, requests const& trace, std::size_t size,
                              std::map<std::string, std::uint64_t> const& known, scores& s) {
  auto const percent = [&](std::uint64_t hits) {
    return 100 * static_cast<double>(hits) / static_cast<double>(trace.size());
  };
  std::vector<std::string> cells{name, grouped(size), decimal(percent(known.at("belady")), 2),
                                 decimal(percent(known.at("caffeine-3.2.4")), 2)};
  auto const sharded = percent(hits_of<kcache::lru>(trace, size, 0));
  each_policy([&]<class Entry>() {
    auto const hits = hits_of<typename Entry::eviction>(trace, size, 1);
    std::string cell = decimal(percent(hits), 2);
    if (auto const reference = reference_name(Entry::policy); !reference.empty()) {
      bool const same = hits == known.at(reference);
      s.exact.count(same);
      if (!same) cell += " (!" + decimal(percent(known.at(reference)), 2) + ')';
    } else {
      bool const near =
          std::abs(percent(hits) - percent(known.at("caffeine-3.2.4"))) <= near_caffeine;
      s.tinylfu.count(near);
      if (!near) cell += " (!)";
    }
    cells.push_back(cell);
    if (Entry::policy != std::string_view{"lru"}) return;
    cell = decimal(sharded, 2);
    if (recency_traces.contains(name) && size >= least_of_shards) {
      bool const near = std::abs(sharded - percent(known.at("lru"))) <= near_exact_lru;
      s.sharded.count(near);
      if (!near) cell += " (!)";
    }
    cells.push_back(cell);
  });
  return cells;
}

void print(score const& s, char const* what) {
  if (s.of != 0) std::printf("- %s: %zu of %zu\n", what, s.right, s.of);
}

}  // namespace

void hit_ratio_table(run& r) {
  if (!r.wants("hit-ratio")) return;
  auto const known = reference::read(r.traces);
  if (known.hits.empty()) {
    std::puts("\n**SKIPPED**: hit ratios: no traces (`--traces FOLDER`)");
    std::fputs("benchmark: SKIPPED: hit ratios: no traces (--traces FOLDER)\n", stderr);
    return;
  }
  heading("hit ratios on traces, %");
  std::vector<std::string> titles{"trace", "capacity", "Belady", "Caffeine 3.2.4"};
  each_policy([&]<class Entry>() {
    titles.emplace_back(Entry::policy);
    if (Entry::policy == std::string_view{"lru"}) titles.emplace_back("lru, shards by default");
  });
  header(titles);
  scores s;
  for (auto const& [name, sizes] : known.hits) {
    if (r.quick && name != "lirs_cs" && name != "lirs_gli") continue;
    auto const trace = read_trace(r.traces, name);
    std::size_t n = 0;
    for (auto const& [size, hits] : sizes) {
      bool const shown = n == 0 || n == sizes.size() / 2 || n + 1 == sizes.size();
      ++n;
      if (shown || r.all_sizes) row(line(name, trace, size, hits, s));
    }
  }
  std::puts("");
  print(s.exact, "lru, fifo, clock_hand, sieve and s3_fifo with one shard, equal to the reference");
  print(s.tinylfu, "w_tinylfu within 1.5 points of Caffeine 3.2.4");
  print(s.sharded,
        "lru, shards by default, within 0.5 points of the exact figure (five traces, from 1,000)");
}

}  // namespace bench
