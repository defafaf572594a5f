// SPDX-License-Identifier: BSL-1.0
// kcache in one process, beside other caches of C++. Prints Markdown tables.
#include "kinds.hpp"
#include "run.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace bench {
namespace {

constexpr char usage[] =
    "usage: bench_in_process [--quick] [--list] [--only TABLE]... [--cache PART]...\n"
    "                        [--threads N]... [--capacity N]... [--rounds N] [--sample-ms N]\n"
    "                        [--patience SECONDS] [--traces FOLDER] [--all-sizes] [--csv FILE]\n";

struct parsed {
  run r;
  std::string csv;
};

double number(char const* text) {
  char* end = nullptr;
  double const n = std::strtod(text, &end);
  if (end == text || *end != 0 || !(n >= 0) || n > 1e9) give_up(std::string{"no number: "} + text);
  return n;
}

std::size_t whole(char const* text) {
  auto const n = static_cast<std::size_t>(number(text));
  if (n == 0) give_up(std::string{"not at least 1: "} + text);
  return n;
}

void parse(parsed& p, int argc, char** argv) {
  run& r = p.r;
  plan patience;
  std::vector<std::size_t> capacities;
  std::vector<unsigned> threads;
  for (int i = 1; i < argc; ++i) {
    std::string_view const option{argv[i]};
    auto const argument = [&] {
      if (++i == argc) give_up(std::string{option} + " wants an argument\n" + usage);
      return argv[i];
    };
    if (option == "--quick") {
      r.quick = true;
      r.rounds = 1;
      r.sample_ms = 5;
      r.capacities = {10'000};
      patience.patience_s = 0;
    } else if (option == "--list") {
      r.list = true;
    } else if (option == "--only") {
      r.only.emplace_back(argument());
    } else if (option == "--cache") {
      r.cache.emplace_back(argument());
    } else if (option == "--threads") {
      auto const n = whole(argument());
      if (n > 4) give_up("at most 4 threads");
      threads.push_back(static_cast<unsigned>(n));
    } else if (option == "--capacity") {
      capacities.push_back(whole(argument()));
    } else if (option == "--rounds") {
      r.rounds = whole(argument());
    } else if (option == "--sample-ms") {
      r.sample_ms = number(argument());
    } else if (option == "--patience") {
      patience.patience_s = number(argument());
    } else if (option == "--traces") {
      r.traces = argument();
    } else if (option == "--all-sizes") {
      r.all_sizes = true;
    } else if (option == "--csv") {
      p.csv = argument();
    } else if (option == "--help") {
      std::fputs(usage, stdout);
      std::exit(0);
    } else {
      give_up("unknown: " + std::string{option} + '\n' + usage);
    }
  }
  if (!capacities.empty()) r.capacities = capacities;
  if (!threads.empty()) r.threads = threads;
  r.others = neighbours{patience, {CLOCK_PROCESS_CPUTIME_ID}};
}

void say_who_is_missing() {
#ifndef BENCH_WITH_TBB
  std::puts("Without oneTBB: the build did not find it (libtbb-dev).");
#endif
#ifndef BENCH_WITH_ROCKSDB
  std::puts("Without RocksDB: the build did not find it (librocksdb-dev).");
#endif
}

/// With `list` the tables only say that they are there.
void all_tables(run& r) {
  throughput_tables<u64_kind>(r);
  throughput_tables<text_kind>(r);
  throughput_tables<general_kind>(r);
  hot_key_table<text_kind>(r);
  latency_table<u64_kind>(r);
  latency_table<text_kind>(r);
  memory_table<u64_kind>(r);
  memory_table<text_kind>(r);
  hit_ratio_table(r);
}

void measure(parsed& p) {
  run& r = p.r;
  bool const wanted = !r.list;
  r.list = true;
  all_tables(r);
  for (auto const& name : r.only)
    if (std::none_of(r.tables.begin(), r.tables.end(),
                     [&](std::string const& table) { return run::names(name, table); }))
      give_up("no such table: " + name + " (--list names them)");
  if (!wanted) {
    for (auto const& table : r.tables) std::puts(table.c_str());
    return;
  }
  r.list = false;
  say_who_is_missing();
  all_tables(r);
  verdict_table(r);
  r.others.report();
  if (!p.csv.empty()) write_csv(r, p.csv);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  bench::parsed p;
  bench::parse(p, argc, argv);
  bench::measure(p);
}
