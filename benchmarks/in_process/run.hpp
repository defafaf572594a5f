// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_RUN_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_RUN_HPP
/// \file
/// What one run of the program was asked for, and what it has found.

#include "../bench.hpp"
#include "contestants/contestant.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// One figure of the tables. `workload`, `kind`, `capacity`, `threads` and `cache` name it.
struct finding {
  std::string workload;
  std::string kind;
  std::size_t capacity;
  unsigned threads;
  std::string cache;
  role part;
  std::string unit;
  figure value;
};

struct run {
  std::size_t rounds = 5;
  double sample_ms = 150;
  std::vector<std::size_t> capacities{100'000, 1'000'000};
  std::vector<unsigned> threads{1, 2, 4};
  std::vector<std::string> only;   ///< names of tables; empty: all
  std::vector<std::string> cache;  ///< parts of names; empty: all
  std::string traces;
  bool all_sizes = false;  ///< hit ratios at each size that the reference has
  bool quick = false;
  bool list = false;

  neighbours others{plan{}, {CLOCK_PROCESS_CPUTIME_ID}};
  std::vector<finding> findings;
  std::vector<std::string> tables;  ///< that were offered

  /// Is the table wanted?
  [[nodiscard]] bool wants(std::string const& table) {
    tables.push_back(table);
    if (list) return false;
    return only.empty() || std::any_of(only.begin(), only.end(),
                                       [&](std::string const& name) { return names(name, table); });
  }
  /// A table is named by itself, or with others by the first part of their names.
  [[nodiscard]] static bool names(std::string const& name, std::string const& table) {
    return table == name || table.starts_with(name + '-');
  }
  /// Those that ratios are to always take part.
  [[nodiscard]] bool admits(std::string_view name, role part) const {
    if (cache.empty() || part == role::seed || part == role::baseline) return true;
    for (auto const& some : cache)
      if (name.find(some) != name.npos) return true;
    return false;
  }
};

// The tables, each in a file of its own; those of a kind are instantiated in the files of kinds.
template <class Kind>
void throughput_tables(run&);
template <class Kind>
void hot_key_table(run&);
template <class Kind>
void latency_table(run&);
template <class Kind>
void memory_table(run&);
void hit_ratio_table(run&);
/// What the figures amount to, held against the bars that were set for them.
void verdict_table(run const&);
void write_csv(run const&, std::string const& file);

}  // namespace bench

#endif
