// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_EXAMPLES_CLUSTER_OPTIONS_HPP
#define KCACHE_EXAMPLES_CLUSTER_OPTIONS_HPP
/// \file
/// The command line of `node`.

#include <kcache/cluster/dialect.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace demo {

struct options {
  std::uint16_t port = 8001;         ///< for peers; 0: any free one
  std::optional<std::uint16_t> api;  ///< of the front end; none: no front end
  std::vector<std::string> peers;    ///< all nodes, this one among them; empty: alone
  std::string db = "scores.sqlite";
  std::chrono::milliseconds ttl{5'000};
  std::uint64_t capacity = 10'000;
  kcache::dialect dialect = kcache::dialect::native;
  std::chrono::milliseconds loader_delay{0};
  std::string listen = "127.0.0.1";
  std::string self;  ///< where the other nodes find this one
  bool insecure = false;
};

/// What was asked for; or the status to exit with, all having been said.
[[nodiscard]] std::variant<options, int> parse(int argc, char const* const* argv);

/// A whole number and a unit, `ms`, `s`, `m` or `h`, and nothing else; at most 10,000 hours.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace demo

#endif
