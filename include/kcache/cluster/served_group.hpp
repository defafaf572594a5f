// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_SERVED_GROUP_HPP
#define KCACHE_CLUSTER_SERVED_GROUP_HPP
/// \file
/// Floor 4. `served_group`: a group as the cluster sees it, without its key and value types.

#include <kcache/bytes.hpp>
#include <kcache/detail/unique_function.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <optional>
#include <string_view>

namespace kcache {

/// A value on its way to a peer.
struct served_value {
  shared_bytes bytes;
  ttl remaining = ttl::never();
};

/// A peer's question to a group.
struct serve_request {
  byte_view key;        ///< valid during the call only
  time_point deadline;  ///< on the executor's timeline
  bool store = true;    ///< false: answer, but keep nothing (a foreign peer asks for another's key)
};

/// What the cluster serves through, found by name. Keys and values are bytes, in the encoding of
/// `wire_traits`. Thread safe.
class served_group {
 public:
  served_group() = default;
  served_group(served_group const&) = delete;
  served_group& operator=(served_group const&) = delete;
  virtual ~served_group() = default;

  [[nodiscard]] virtual std::string_view name() const noexcept = 0;

  /// The value if it is cached here: the common case, without a closure. Counts a hit or a miss.
  [[nodiscard]] virtual std::optional<served_value> cached(byte_view key) = 0;

  /// What to do after `cached` had nothing: asks this node's own loader, never another node. `done`
  /// is called exactly once, perhaps before `serve` returns. A key that is no key of this group is
  /// `bad_message`.
  virtual void serve(serve_request request, unique_function<void(result<served_value>)> done) = 0;
};

}  // namespace kcache

#endif
