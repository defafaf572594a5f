// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_ASKED_NODE_HPP
#define KCACHE_TESTS_SUPPORT_ASKED_NODE_HPP
/// \file
/// One request put to a node by hand, and what came of it.

#include <kcache/cluster/transport.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/time.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace test {

struct answered {
  int status = 0;
  kcache::media type = kcache::media::text;
  std::string body;
  friend bool operator==(answered const&, answered const&) = default;
};

/// Puts a request to `node` (a `basic_cluster`) and runs `work` until it is answered; none if its
/// responder was dropped.
template <class Node, class Executor>
std::optional<answered> ask(Node& node, Executor const& work, kcache::wire_verb verb,
                            std::string target, std::string body = {}) {
  struct waiting {
    std::optional<answered> answer;
    kcache::one_shot_event done;
  };
  auto const w = std::make_shared<waiting>();
  struct ending {  // also when it is dropped
    std::shared_ptr<waiting> w;
    explicit ending(std::shared_ptr<waiting> s) : w{std::move(s)} {}
    ending(ending&&) = default;
    ~ending() {
      if (w) w->done.set();
    }
  };
  {
    // What the request is made of is gone when `handle` has returned.
    auto const t = std::make_unique<std::string>(std::move(target));
    auto const b = std::make_unique<std::string>(std::move(body));
    node.handle({verb, *t, *b}, [e = ending{w}](kcache::wire_response r) {
      e.w->answer = answered{r.status, r.type, r.head + std::string{r.tail.view()}};
      e.w->done.set();
    });
  }
  work.wait_until(w->done, kcache::never);
  return w->answer;
}

inline answered text(int status, std::string body) {
  return {status, kcache::media::text, std::move(body)};
}

}  // namespace test

#endif
