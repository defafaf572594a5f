// SPDX-License-Identifier: BSL-1.0
#include "report.hpp"

#include "bars.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

std::string grouped(std::size_t n) {
  std::string digits = std::to_string(n);
  for (auto at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string decimal(double x, int decimals) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, x);
  return buffer;
}

void heading(std::string const& text) { std::printf("\n### %s\n\n", text.c_str()); }

namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

std::string threads_text(unsigned n) {
  return std::to_string(n) + (n == 1 ? " thread" : " threads");
}
std::string ratio_text(double x) { return decimal(x, x < 10 ? 2 : 1); }
std::string percent(double share) { return decimal(100 * share, 0) + " %"; }
bool is_policy(role part) { return part == role::policy || part == role::lru; }

/// The median of whoever plays that part; NaN if nobody does.
double median_of(std::vector<entrant> const& entrants, measured const& m, role part) {
  for (std::size_t i = 0; i != entrants.size(); ++i)
    if (entrants[i].part == part) return m.rates[i].median;
  return none;
}

}  // namespace

void print_throughput(run& r, table_name const& name, std::vector<entrant> const& entrants,
                      std::vector<measured> const& columns, bool show_hits) {
  heading(std::string{name.title} + ", " + name.kind_title + ", capacity " +
          grouped(name.capacity));
  std::vector<std::string> titles{"cache"};
  for (unsigned const threads : r.threads) {
    titles.push_back(threads_text(threads) + ", Mops/s");
    titles.emplace_back("/ 64 shards");
    titles.emplace_back("/ seed");
  }
  if (show_hits) titles.emplace_back("hits");
  titles.emplace_back("of the bar");
  header(titles);
  for (std::size_t i = 0; i != entrants.size(); ++i) {
    auto const& e = entrants[i];
    std::vector<std::string> cells{e.name};
    std::string verdict;
    for (std::size_t c = 0; c != columns.size(); ++c) {
      auto const& m = columns[c];
      double const baseline = median_of(entrants, m, role::baseline);
      double const seed = median_of(entrants, m, role::seed);
      double const ours = m.rates[i].median;
      cells.push_back(text(m.rates[i]));
      cells.push_back(ratio_text(ours / baseline));
      cells.push_back(ratio_text(ours / seed));
      auto const* const bar = bar_of(name.workload, name.kind, r.threads[c]);
      if (bar != nullptr && is_policy(e.part)) {
        if (!verdict.empty()) verdict += ", ";
        verdict += percent(reached(*bar, ours, baseline, seed));
      }
      r.findings.push_back({name.workload, name.kind, name.capacity, r.threads[c], e.name, e.part,
                            "Mops/s", m.rates[i]});
    }
    if (show_hits) cells.push_back(decimal(100 * columns.front().hit_ratios[i], 1) + " %");
    cells.push_back(verdict);
    row(cells);
  }
}

namespace {

struct best {
  finding const* any = nullptr;
  finding const* lru = nullptr;
};

/// `higher`: more is better.
best best_of(run const& r, std::string_view workload, std::string_view kind, std::size_t capacity,
             unsigned threads, std::string_view unit, bool higher) {
  best out;
  for (auto const& f : r.findings) {
    if (f.workload != workload || f.kind != kind || f.capacity != capacity ||
        f.threads != threads || f.unit != unit || !is_policy(f.part))
      continue;
    if (f.part == role::lru) out.lru = &f;
    if (out.any == nullptr || (higher ? f.value.median > out.any->value.median
                                      : f.value.median < out.any->value.median))
      out.any = &f;
  }
  return out;
}

double median_of(run const& r, finding const& like, role part) {
  for (auto const& f : r.findings)
    if (f.workload == like.workload && f.kind == like.kind && f.capacity == like.capacity &&
        f.threads == like.threads && f.unit == like.unit && f.part == part)
      return f.value.median;
  return none;
}

std::string yes_or_no(bool yes) { return yes ? "yes" : "NO"; }

std::string bar_text(bar const& b) {
  std::string out;
  if (b.over_baseline > 0) out += decimal(b.over_baseline, 1) + " x 64 shards";
  if (b.over_seed > 0) out += (out.empty() ? "" : ", ") + decimal(b.over_seed, 1) + " x seed";
  return out;
}

void verdict_of(run const& r, bar const& b, std::size_t capacity) {
  auto const found = best_of(r, b.workload, b.kind, capacity, b.threads, "Mops/s", true);
  if (found.any == nullptr) return;
  auto const share = [&](finding const& f) {
    return reached(b, f.value.median, median_of(r, f, role::baseline),
                   median_of(r, f, role::seed));
  };
  std::vector<std::string> cells{std::string{b.workload} + ", " + std::string{b.kind},
                                 grouped(capacity), std::to_string(b.threads), bar_text(b),
                                 found.any->cache, percent(share(*found.any)),
                                 yes_or_no(share(*found.any) >= 1)};
  if (found.lru != nullptr) {
    cells.push_back(percent(share(*found.lru)));
    cells.push_back(yes_or_no(share(*found.lru) >= share_of_lru));
  } else {
    cells.insert(cells.end(), {"", ""});
  }
  row(cells);
}

/// For what must not be more than `most`.
void verdict_of_most(run const& r, char const* workload, char const* kind, unsigned threads,
                     char const* unit, double most) {
  std::vector<std::size_t> capacities;
  for (auto const& f : r.findings)
    if (f.workload == workload && f.kind == kind && f.unit == unit &&
        std::find(capacities.begin(), capacities.end(), f.capacity) == capacities.end())
      capacities.push_back(f.capacity);
  for (auto const capacity : capacities) {
    auto const found = best_of(r, workload, kind, capacity, threads, unit, false);
    if (found.any == nullptr || found.lru == nullptr) continue;
    auto const one = [&](finding const& f) { return decimal(f.value.median, 1) + ' ' + unit; };
    row({std::string{workload} + ", " + kind, grouped(capacity), std::to_string(threads),
         "at most " + decimal(most, 0) + ' ' + unit, found.any->cache, one(*found.any),
         yes_or_no(found.any->value.median <= most), one(*found.lru),
         yes_or_no(found.lru->value.median <= most)});
  }
}

}  // namespace

void verdict_table(run const& r) {
  if (r.findings.empty()) return;
  heading("What was asked for");
  header({"workload", "capacity", "threads", "the bar", "best policy", "of the bar", "reached",
          "lru, of the bar", "55 % reached"});
  for (auto const& b : bars)
    for (auto const capacity : r.capacities) verdict_of(r, b, capacity);
  for (char const* const kind : {"u64", "text"})
    verdict_of_most(r, "latency", kind, 2, "us p99.9", most_p999_us);
  verdict_of_most(r, "memory", "u64", 1, "bytes", most_bytes_u64);
  verdict_of_most(r, "memory", "text", 1, "bytes", most_bytes_text);
}

void write_csv(run const& r, std::string const& file) {
  std::FILE* const out = std::fopen(file.c_str(), "w");
  if (out == nullptr) give_up("cannot write " + file);
  std::fputs("workload,kind,capacity,threads,cache,unit,median,lowest,highest\n", out);
  for (auto const& f : r.findings)
    std::fprintf(out, "%s,%s,%zu,%u,\"%s\",%s,%.6g,%.6g,%.6g\n", f.workload.c_str(),
                 f.kind.c_str(), f.capacity, f.threads, f.cache.c_str(), f.unit.c_str(),
                 f.value.median, f.value.lowest, f.value.highest);
  if (std::fclose(out) != 0) give_up("cannot write " + file);
}

}  // namespace bench
