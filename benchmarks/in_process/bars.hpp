// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_BARS_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_BARS_HPP
/// \file
/// The bars that were set for the engine before it was built. The best policy is to reach each, the
/// default `lru` to reach 55 % of each.

#include <algorithm>
#include <string_view>

namespace bench {

/// How many times as fast as the 64 shards, and as the seed; 0: no matter.
struct bar {
  std::string_view workload;
  std::string_view kind;
  unsigned threads;
  double over_baseline;
  double over_seed;
};

inline constexpr double share_of_lru = 0.55;

inline constexpr bar bars[] = {
    {"hits", "u64", 1, 2.6, 5},
    {"hits", "u64", 2, 9, 0},
    {"writes", "u64", 1, 2.3, 0},
    {"writes", "u64", 2, 6, 0},
    {"hits", "text", 1, 1.9, 0},
    {"hits", "text", 2, 4.5, 0},
    {"hits", "general", 1, 1, 0},
    {"hits", "general", 2, 2, 0},
    {"read-through", "u64", 1, 1.2, 0},
    {"read-through", "u64", 2, 3, 0},
    {"read-through", "text", 1, 1.6, 0},
    {"read-through", "text", 2, 3, 0},
    {"evict", "u64", 1, 1, 0},
    {"evict", "u64", 2, 2, 0},
    {"evict", "text", 1, 1.4, 0},
    {"evict", "text", 2, 2, 0},
    {"hot-key", "text", 1, 0, 1.5},
    {"hot-key", "text", 2, 0, 5},
};

inline constexpr double most_p999_us = 5;       ///< of a hit, with two threads
inline constexpr double most_bytes_u64 = 42;    ///< of an entry, of a million
inline constexpr double most_bytes_text = 170;  ///< of an entry, of a million

[[nodiscard]] inline bar const* bar_of(std::string_view workload, std::string_view kind,
                                       unsigned threads) {
  for (auto const& b : bars)
    if (b.workload == workload && b.kind == kind && b.threads == threads) return &b;
  return nullptr;
}

/// What part of the bar is reached: 1 is the bar.
[[nodiscard]] inline double reached(bar const& b, double ours, double baseline, double seed) {
  double share = 1e9;
  if (b.over_baseline > 0) share = std::min(share, ours / baseline / b.over_baseline);
  if (b.over_seed > 0) share = std::min(share, ours / seed / b.over_seed);
  return share;
}

}  // namespace bench

#endif
