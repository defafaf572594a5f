// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_TRACES_HPP
#define KCACHE_TESTS_SUPPORT_TRACES_HPP
/// \file
/// The request traces beside the sources (`../shared/traces`, or `$KCACHE_SHARED/traces`), and the
/// hits that other programs counted on them. Nothing of it is copied into the project:
///
///     if (!test::traces_at_hand()) return;  // says SKIPPED
///     for (auto const& f : test::reference_figures("lru")) ... test::read_trace(f.trace) ...

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/sanitized.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace test {

/// Requests in order. Every object counts as 1; each request is a get, and an insert on a miss.
struct trace {
  /// As the source has them: block numbers, packed ids, hashes.
  std::vector<std::uint64_t> keys;
  /// The same, numbered from 0 in order of first request: for tables without look-ups.
  std::vector<std::uint32_t> numbers;
  std::size_t unique = 0;
};

/// One line of reference.csv.
struct reference_figure {
  std::string trace;
  std::uint64_t capacity = 0;
  std::string policy;
  std::uint64_t requests = 0;
  std::uint64_t hits = 0;
};

/// The folder of the traces; empty if there is none.
inline std::filesystem::path traces_folder() {
  std::vector<std::filesystem::path> places;
  if (auto const* const set = std::getenv("KCACHE_SHARED")) {
    places.emplace_back(set);
  } else {
    // A copy of the sources may lie deeper than they do.
    auto root = std::filesystem::weakly_canonical(KCACHE_SOURCE_DIR);
    for (; root.has_relative_path(); root = root.parent_path()) {
      places.push_back(root.parent_path() / "shared");
    }
  }
  for (auto const& place : places) {
    if (std::filesystem::exists(place / "traces" / "reference.csv")) return place / "traces";
  }
  return {};
}

/// Says so if there are none.
inline bool traces_at_hand() {
  if (!traces_folder().empty()) return true;
  WARN("SKIPPED: no ../shared/traces beside the sources; set KCACHE_SHARED");
  return false;
}

namespace traces_detail {

inline std::vector<std::uint64_t> read_keys(std::string const& name) {
  auto const file = traces_folder() / (name + ".u64.gz");
  if (!std::filesystem::exists(file)) throw std::runtime_error{"no trace " + file.string()};
  std::string command = "gzip -dc '";
  for (char const c : file.string()) command += c == '\'' ? std::string{"'\\''"} : std::string{c};
  std::FILE* const pipe = ::popen((command + '\'').c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error{"cannot run gzip"};
  std::vector<std::uint64_t> keys;
  unsigned char bytes[8];
  while (std::fread(bytes, 1, sizeof bytes, pipe) == sizeof bytes) {
    std::uint64_t key = 0;
    for (unsigned i = 8; i-- != 0;) key = key << 8U | bytes[i];
    keys.push_back(key);
  }
  if (::pclose(pipe) != 0) throw std::runtime_error{"gzip: cannot read " + file.string()};
  return keys;
}

}  // namespace traces_detail

/// Also the one that is made of others, `stress_corda_loop5_corda`.
/// \throws std::runtime_error if there is no such trace, or no gzip.
inline trace read_trace(std::string const& name) {
  trace out;
  if (name == "stress_corda_loop5_corda") {
    auto const corda = traces_detail::read_keys("corda");
    auto const loop = traces_detail::read_keys("lirs_loop");
    out.keys = corda;
    for (int i = 0; i != 5; ++i) out.keys.insert(out.keys.end(), loop.begin(), loop.end());
    out.keys.insert(out.keys.end(), corda.begin(), corda.end());
  } else {
    out.keys = traces_detail::read_keys(name);
  }
  std::unordered_map<std::uint64_t, std::uint32_t> numbers;
  out.numbers.reserve(out.keys.size());
  for (auto const key : out.keys) {
    auto const fresh = static_cast<std::uint32_t>(numbers.size());
    out.numbers.push_back(numbers.try_emplace(key, fresh).first->second);
  }
  out.unique = numbers.size();
  return out;
}

/// How many figures `reference_figures` gives: 12 traces and one made of them, 5 to 7 capacities
/// each. A sanitizer does not look at hits, and takes long: there it is one capacity each.
inline std::size_t const figures_of_a_policy = KCACHE_TESTS_SANITIZED && !full() ? 13 : 78;

/// The figures of a policy (its name in reference.csv, such as `s3fifo` or `caffeine-3.2.4`); by
/// trace, then by capacity.
inline std::vector<reference_figure> reference_figures(std::string_view policy) {
  std::ifstream in{traces_folder() / "reference.csv"};
  std::vector<reference_figure> out;
  std::string line;
  std::getline(in, line);
  if (line.find("trace,cache_size,policy,requests,hits,") != 0) {
    throw std::runtime_error{"reference.csv has other columns: " + line};
  }
  while (std::getline(in, line)) {
    std::istringstream fields{line};
    reference_figure f;
    std::string capacity, requests, hits;
    std::getline(fields, f.trace, ',');
    std::getline(fields, capacity, ',');
    std::getline(fields, f.policy, ',');
    std::getline(fields, requests, ',');
    std::getline(fields, hits, ',');
    if (f.policy != policy) continue;
    f.capacity = std::stoull(capacity);
    f.requests = std::stoull(requests);
    f.hits = std::stoull(hits);
    out.push_back(f);
  }
  std::sort(out.begin(), out.end(), [](auto const& a, auto const& b) {
    return a.trace != b.trace ? a.trace < b.trace : a.capacity < b.capacity;
  });
  if (figures_of_a_policy == 13) {
    auto const again = [](auto const& a, auto const& b) { return a.trace == b.trace; };
    out.erase(std::unique(out.begin(), out.end(), again), out.end());
  }
  return out;
}

}  // namespace test

#endif
