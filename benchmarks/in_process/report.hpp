// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_REPORT_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_REPORT_HPP
/// \file
/// Findings as Markdown tables, beside what they are compared with.

#include "entrant.hpp"
#include "run.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct table_name {
  char const* workload;
  char const* kind;
  char const* title;
  char const* kind_title;
  std::size_t capacity;
};

/// `100,000`
[[nodiscard]] std::string grouped(std::size_t n);
/// With so many decimals.
[[nodiscard]] std::string decimal(double x, int decimals);
/// A heading and an empty line.
void heading(std::string const& text);

/// Prints one table, and adds its figures to the run's findings.
void print_throughput(run& r, table_name const& name, std::vector<entrant> const& entrants,
                      std::vector<measured> const& columns, bool show_hits);

}  // namespace bench

#endif
