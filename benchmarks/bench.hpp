// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_BENCH_HPP
#define KCACHE_BENCHMARKS_BENCH_HPP
/// \file
/// What the benchmarks share. Everything that is to be compared is measured in turns: one sample of
/// each, then the next of each, so that a slow moment of the machine falls on all alike. Samples in
/// which others used the processors are taken again, as long as the patience lasts.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <time.h>
#include <unistd.h>

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

/// How long to measure. `--quick` only shows that everything runs; `--patience S` says how many
/// seconds may go by in waiting for a quiet machine and in samples that were disturbed.
struct plan {
  std::size_t repetitions = 7;
  double sample_ms = 60;
  double patience_s = 20;

  [[nodiscard]] bool quick() const { return repetitions == 1; }

  static plan of(int argc, char** argv) {
    plan p;
    if (argc == 1) return p;
    std::string_view const what{argv[1]};
    if (argc == 2 && what == "--quick") return {1, 1, 0};
    if (argc == 3 && what == "--patience") {
      char* end = nullptr;
      p.patience_s = std::strtod(argv[2], &end);
      if (end != argv[2] && *end == 0 && p.patience_s >= 0) return p;
    }
    give_up(std::string{"usage: "} + argv[0] + " [--quick | --patience SECONDS]");
  }
};

/// Processor time, in seconds, by that clock: of this process, or of another.
[[nodiscard]] inline double cpu_seconds(clockid_t id) {
  timespec t{};
  expect(::clock_gettime(id, &t) == 0, "no clock of processor time");
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

/// Tells whether others use the processors (on Linux; elsewhere nobody ever does).
class neighbours {
 public:
  /// `ours`: the clocks of the processes that are measured.
  neighbours(plan const& p, std::vector<clockid_t> ours)
      : patience_s_{p.patience_s}, ours_{std::move(ours)} {}

  /// Waits for a quiet moment and does `round`; once more if it was disturbed and there is patience
  /// left.
  template <class Round>
  void quietly(Round round) {
    ++rounds_;
    for (;;) {
      auto const begun = clock::now();
      await_quiet();
      auto const before = now();
      round();
      if (!disturbed(before, now())) return;
      patience_s_ -= seconds_since(begun);
      if (patience_s_ > 0) continue;
      ++disturbed_;
      return;
    }
  }

  /// A line on rounds that had to be taken as they were; nothing if there is nothing to say.
  void report() const {
    if (disturbed_ != 0)
      std::printf("\n(Others disturbed %zu of %zu rounds of samples.)\n", disturbed_, rounds_);
  }

 private:
  struct moment {
    clock::time_point at;
    double idle_s = 0;
    double ours_s = 0;
  };

  static double seconds_since(clock::time_point t) { return nanoseconds(clock::now() - t) / 1e9; }

  [[nodiscard]] moment now() const {
    moment m{clock::now()};
    if (std::FILE* const f = std::fopen("/proc/stat", "r")) {
      unsigned long idle = 0;
      unsigned long wait = 0;
      if (std::fscanf(f, "cpu %*u %*u %*u %lu %lu", &idle, &wait) == 2)
        m.idle_s = static_cast<double>(idle + wait) / static_cast<double>(::sysconf(_SC_CLK_TCK));
      std::fclose(f);
    }
    for (auto const id : ours_) m.ours_s += cpu_seconds(id);
    return m;
  }

  /// By more than a twentieth of a processor, and by more than the kernel's figures are coarse.
  [[nodiscard]] static bool disturbed(moment const& a, moment const& b) {
    double const wall = nanoseconds(b.at - a.at) / 1e9;
    double const all = wall * static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
    double const others = all - (b.idle_s - a.idle_s) - (b.ours_s - a.ours_s);
    return b.idle_s > 0 && others > 0.02 + 0.05 * wall;
  }

  void await_quiet() {
    auto const begun = clock::now();
    while (seconds_since(begun) < patience_s_) {
      auto const before = now();
      std::this_thread::sleep_for(std::chrono::milliseconds{150});
      if (!disturbed(before, now())) return;
    }
  }

  double patience_s_;
  std::vector<clockid_t> ours_;
  std::size_t rounds_ = 0;
  std::size_t disturbed_ = 0;
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
