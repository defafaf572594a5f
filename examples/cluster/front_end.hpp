// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_EXAMPLES_CLUSTER_FRONT_END_HPP
#define KCACHE_EXAMPLES_CLUSTER_FRONT_END_HPP
/// \file
/// What the outside world asks: `/api`, `/owner` and `/stats`, without a word on sockets.

#include <kcache/cluster/transport.hpp>
#include <kcache/group.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace demo {

using score_group = kcache::group<std::string, std::string>;

/// Everything that an HTTP server needs of a node.
///
/// | target | answer |
/// |---|---|
/// | `/api?key=Tom` | 200 `630`, application/octet-stream |
/// | | 404 no such key, 400 no key, 502 the source fails, 504 too late, 503 too busy |
/// | `/owner?key=Tom` | 200 the address of the node that owns the key |
/// | `/stats` | 200 JSON, see stats.hpp |
///
/// All but values and JSON is a line of text. Thread safe; never blocks.
class front_end {
 public:
  using text_function = std::function<std::string()>;
  using owner_function = std::function<std::string(std::string_view key)>;

  front_end(score_group& scores, owner_function owner, text_function stats)
      : scores_{scores}, owner_{std::move(owner)}, stats_{std::move(stats)} {}

  void serve(kcache::wire_request_view request, kcache::wire_responder respond);
  /// `/stats` alone, as peers' ports serve it.
  void serve_stats(kcache::wire_request_view request, kcache::wire_responder respond);

 private:
  void serve_value(std::string_view query, kcache::wire_responder respond);
  void serve_owner(std::string_view query, kcache::wire_responder respond);

  score_group& scores_;
  owner_function owner_;
  text_function stats_;
};

/// The value of `name` in the query of a form: `+` is a space, `%XX` a byte.
struct form_field {
  enum class state { absent, malformed, present };
  state found = state::absent;
  std::string value = {};
};
[[nodiscard]] form_field find_field(std::string_view query, std::string_view name);

}  // namespace demo

#endif
