// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_TRACES_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_TRACES_HPP
/// \file
/// Request traces that lie beside the project, and what other programs found on them.

#include "../bench.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// Hits by trace, cache size and policy, and the requests of each trace: `reference.csv`.
struct reference {
  using sizes = std::map<std::size_t, std::map<std::string, std::uint64_t>>;
  std::map<std::string, sizes> hits;

  /// Empty if there is no such file.
  static reference read(std::string const& folder) {
    reference out;
    std::ifstream in{folder + "/reference.csv"};
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
      std::istringstream fields{line};
      std::string trace, size, policy, requests, hits;
      for (auto* const field : {&trace, &size, &policy, &requests, &hits})
        std::getline(fields, *field, ',');
      out.hits[trace][std::stoull(size)][policy] = std::stoull(hits);
    }
    return out;
  }
};

/// The requests of a trace, which is a file or, where it is derived, several in a row.
[[nodiscard]] inline std::vector<std::uint64_t> read_trace(std::string const& folder,
                                                           std::string const& name) {
  if (name == "stress_corda_loop5_corda") {
    auto out = read_trace(folder, "corda");
    auto const corda = out;
    auto const loop = read_trace(folder, "lirs_loop");
    for (int i = 0; i != 5; ++i) out.insert(out.end(), loop.begin(), loop.end());
    out.insert(out.end(), corda.begin(), corda.end());
    return out;
  }
  std::string command = "gzip -dc '";
  for (char const c : folder + '/' + name + ".u64.gz")
    command += c == '\'' ? std::string{"'\\''"} : std::string(1, c);
  std::FILE* const pipe = ::popen((command + '\'').c_str(), "r");
  if (pipe == nullptr) give_up("cannot run gzip");
  std::vector<std::uint64_t> out;
  for (unsigned char bytes[8]; std::fread(bytes, 1, sizeof bytes, pipe) == sizeof bytes;) {
    std::uint64_t key = 0;
    for (unsigned i = 8; i-- != 0;) key = key << 8U | bytes[i];
    out.push_back(key);
  }
  if (::pclose(pipe) != 0 || out.empty()) give_up("cannot read the trace " + name);
  return out;
}

}  // namespace bench

#endif
