// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_DIALECT_HPP
#define KCACHE_CLUSTER_DIALECT_HPP
/// \file
/// Floor 4. `dialect`: the language the nodes of one cluster speak, ring and wire alike.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace kcache {

/// All nodes of a cluster speak one dialect; two in one ring disagree on who owns what.
enum class dialect : std::uint8_t {
  native,      ///< between kcache nodes: typed failures, deadlines that travel, an even ring
  kcache,      ///< joins a ring of the Go program Kcache
  groupcache,  ///< joins a ring of golang/groupcache
};

/// The name of a dialect, as it stands in the enumeration.
[[nodiscard]] constexpr char const* name(dialect d) noexcept {
  switch (d) {
    case dialect::native: return "native";
    case dialect::kcache: return "kcache";
    case dialect::groupcache: return "groupcache";
  }
  return "unknown dialect";
}

/// The dialect of that name; none if there is none.
[[nodiscard]] constexpr std::optional<dialect> dialect_named(std::string_view text) noexcept {
  for (auto const d : {dialect::native, dialect::kcache, dialect::groupcache})
    if (text == name(d)) return d;
  return std::nullopt;
}

}  // namespace kcache

#endif
