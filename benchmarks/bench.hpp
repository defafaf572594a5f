// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_BENCH_HPP
#define KCACHE_BENCHMARKS_BENCH_HPP
/// \file
/// A small runner. Everything that is to be compared is measured in turns: one sample of each, then
/// the next of each, so that a slow moment of the machine falls on all alike.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

using clock = std::chrono::steady_clock;

[[nodiscard]] inline double nanoseconds(clock::duration d) {
  return std::chrono::duration<double, std::nano>{d}.count();
}

/// Keeps the compiler from leaving out what made `value`.
template <class T>
inline void keep(T const& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

[[noreturn]] inline void give_up(std::string const& why) {
  std::fprintf(stderr, "benchmark: %s\n", why.c_str());
  std::exit(1);
}

inline void expect(bool holds, char const* what) {
  if (!holds) give_up(std::string{"unexpected: "} + what);
}

/// How long to measure; `--quick` only shows that everything runs.
struct plan {
  std::size_t repetitions = 7;
  double sample_ms = 60;

  static plan of(int argc, char** argv) {
    if (argc == 1) return {};
    if (argc == 2 && std::string_view{argv[1]} == "--quick") return {1, 1};
    give_up(std::string{"usage: "} + argv[0] + " [--quick]");
  }
};

/// What repeated samples amount to.
struct figure {
  double median;
  double lowest;
  double highest;

  static figure of(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    std::size_t const middle = samples.size() / 2;
    double const median =
        samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
    return {median, samples.front(), samples.back()};
  }
};

/// `12.3 [11.9-13.0]`
[[nodiscard]] inline std::string text(figure const& f) {
  int const digits = f.median < 10 ? 2 : f.median < 100 ? 1 : 0;
  char buffer[96];
  std::snprintf(buffer, sizeof buffer, "%.*f [%.*f-%.*f]", digits, f.median, digits, f.lowest,
                digits, f.highest);
  return buffer;
}

/// Something to measure: does its operation `n` times on thread `t`.
using operation = std::function<void(unsigned t, std::size_t n)>;

/// One sample: every thread does the operation `n` times, all starting together. Returns the time
/// from the first start to the last end, in ns, for each of the `n`; two threads on two idle
/// processors that do not disturb each other take as long as one.
[[nodiscard]] inline double sample(operation const& body, unsigned threads, std::size_t n) {
  std::vector<clock::time_point> begun(threads), ended(threads);
  std::atomic<unsigned> ready{0};
  auto const work = [&](unsigned t) {
    ready.fetch_add(1);
    while (ready.load() != threads) {
    }
    begun[t] = clock::now();
    body(t, n);
    ended[t] = clock::now();
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (auto& other : others) other.join();
  return nanoseconds(*std::max_element(ended.begin(), ended.end()) -
                     *std::min_element(begun.begin(), begun.end())) /
         static_cast<double>(n);
}

/// How many operations a sample takes for it to last `ms`. Also warms up. Believes the best of
/// three, lest a moment in which a thread did not run makes for tiny samples.
[[nodiscard]] inline std::size_t operations_for(operation const& body, unsigned threads,
                                                double ms) {
  constexpr std::size_t least = 1'024;
  for (std::size_t n = least;; n *= 4) {
    double each = sample(body, threads, n);
    for (int again = 0; again != 2; ++again) each = std::min(each, sample(body, threads, n));
    if (each * static_cast<double>(n) / 1e6 >= ms / 8 || n >= (std::size_t{1} << 30))
      return std::max(least, static_cast<std::size_t>(ms * 1e6 / each));
  }
}

/// Measures all bodies in turns; one figure for each, in ns per operation.
[[nodiscard]] inline std::vector<figure> compare(plan const& p, unsigned threads,
                                                 std::vector<operation> const& bodies) {
  std::vector<std::size_t> counts;
  for (auto const& body : bodies) counts.push_back(operations_for(body, threads, p.sample_ms));
  std::vector<std::vector<double>> samples(bodies.size());
  for (std::size_t r = 0; r != p.repetitions; ++r)
    for (std::size_t i = 0; i != bodies.size(); ++i)
      samples[i].push_back(sample(bodies[i], threads, counts[i]));
  std::vector<figure> figures;
  for (auto& s : samples) figures.push_back(figure::of(std::move(s)));
  return figures;
}

/// A line of a Markdown table.
inline void row(std::vector<std::string> const& cells) {
  std::string line = "|";
  for (auto const& cell : cells) line += ' ' + cell + " |";
  std::puts(line.c_str());
  std::fflush(stdout);
}

inline void header(std::vector<std::string> const& cells) {
  row(cells);
  std::string line = "|---|";
  for (std::size_t i = 1; i < cells.size(); ++i) line += "---:|";
  std::puts(line.c_str());
}

/// SplitMix64.
struct random {
  std::uint64_t state;
  std::uint64_t operator()() {
    std::uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
};

}  // namespace bench

#endif
