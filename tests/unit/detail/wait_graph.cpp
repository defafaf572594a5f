// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/wait_graph.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <memory>
#include <vector>

using kcache::detail::load_node;
using kcache::detail::wait_graph;

namespace {

struct node : load_node {};

}  // namespace

TEST_CASE("a wait is refused where it would close a circle") {
  node a, b, c;
  CHECK_FALSE(wait_graph::connect(a, a));
  REQUIRE(wait_graph::connect(a, b));
  CHECK_FALSE(wait_graph::connect(b, a));
  REQUIRE(wait_graph::connect(b, c));
  CHECK_FALSE(wait_graph::connect(c, a));
  SECTION("and no longer when a wait of the chain is over") {
    wait_graph::disconnect(a, b);
    CHECK(wait_graph::connect(c, a));
    CHECK_FALSE(wait_graph::connect(a, b));
    wait_graph::disconnect(c, a);
  }
  wait_graph::disconnect(a, b);
  wait_graph::disconnect(b, c);
}

TEST_CASE("two waits of one load for another are taken back one by one") {
  node a, b;
  REQUIRE(wait_graph::connect(a, b));
  REQUIRE(wait_graph::connect(a, b));
  wait_graph::disconnect(a, b);
  CHECK_FALSE(wait_graph::connect(b, a));
  wait_graph::disconnect(a, b);
  CHECK(wait_graph::connect(b, a));
  wait_graph::disconnect(b, a);
}

TEST_CASE("paths that part and meet again are walked once") {
  // As a loader of Fibonacci numbers waits: each for the two before it. There are 2^60 paths.
  std::vector<std::unique_ptr<node>> n;
  for (int i = 0; i != 90; ++i) n.push_back(std::make_unique<node>());
  for (std::size_t i = n.size(); i-- > 2;) {
    REQUIRE(wait_graph::connect(*n[i], *n[i - 1]));
    REQUIRE(wait_graph::connect(*n[i], *n[i - 2]));
  }
  CHECK_FALSE(wait_graph::connect(*n[0], *n[89]));
  node fresh;
  CHECK(wait_graph::connect(fresh, *n[89]));
  wait_graph::disconnect(fresh, *n[89]);
}

TEST_CASE("a chain may be as long as asynchronous loads make it") {
  constexpr std::size_t length = 200'000;
  std::vector<std::unique_ptr<node>> n;
  for (std::size_t i = 0; i != length; ++i) n.push_back(std::make_unique<node>());
  bool all = true;
  for (std::size_t i = 0; i + 1 != length; ++i) all = wait_graph::connect(*n[i], *n[i + 1]) && all;
  CHECK(all);
  CHECK_FALSE(wait_graph::connect(*n[length - 1], *n[0]));
}
