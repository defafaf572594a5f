// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_ENTRANT_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_ENTRANT_HPP
/// \file
/// Who takes part in a table: a name, and something to measure.

#include "../bench.hpp"
#include "contestants/contestant.hpp"

#include <cstddef>
#include <functional>
#include <vector>

namespace bench {

inline constexpr unsigned most_threads = 4;

/// Does the operation `n` times on thread `t`.
using operation = std::function<void(unsigned t, std::size_t n)>;

struct entrant {
  char const* name;
  role part;
  operation run;
  /// The share of hits since `forget` was called.
  std::function<double()> hit_ratio;
  std::function<void()> forget;
  /// With fewer hits the table would show something else than it says.
  double least_hits = 0;
};

/// One figure for each entrant, and its share of hits.
struct measured {
  std::vector<figure> rates;
  std::vector<double> hit_ratios;
};

}  // namespace bench

#endif
