// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/eviction.hpp>

#include "support/catch.hpp"

#include <cstdint>

using kcache::eviction;

namespace {

/// Gives exactly what the concept asks for.
struct archetype {
  struct hook {};
  template <class Node>
  struct queue {
    explicit queue(std::uint64_t) {}
    queue(queue const&) = delete;
    queue& operator=(queue const&) = delete;
    void insert(Node&) noexcept {}
    void touch(Node&) noexcept {}
    void erase(Node&) noexcept {}
    Node* victim() noexcept { return nullptr; }
  };
};

struct without_hook {
  template <class Node>
  using queue = archetype::queue<Node>;
};
struct hook_is_no_class {
  using hook = int;
  template <class Node>
  using queue = archetype::queue<Node>;
};
struct hook_without_default {
  struct hook {
    explicit hook(int);
  };
  template <class Node>
  using queue = archetype::queue<Node>;
};
struct without_queue {
  struct hook {};
};
/// Hides one member of the archetype's queue at a time.
struct without_capacity {
  struct hook {};
  template <class Node>
  struct queue : archetype::queue<Node> {
    queue() : archetype::queue<Node>{1} {}
  };
};
struct without_insert {
  struct hook {};
  template <class Node>
  struct queue : archetype::queue<Node> {
    using archetype::queue<Node>::queue;
    void insert() noexcept;
  };
};
struct without_touch {
  struct hook {};
  template <class Node>
  struct queue : archetype::queue<Node> {
    using archetype::queue<Node>::queue;
    void touch() noexcept;
  };
};
struct without_erase {
  struct hook {};
  template <class Node>
  struct queue : archetype::queue<Node> {
    using archetype::queue<Node>::queue;
    void erase() noexcept;
  };
};
struct without_victim {
  struct hook {};
  template <class Node>
  struct queue : archetype::queue<Node> {
    using archetype::queue<Node>::queue;
    void victim() noexcept;
  };
};
struct insert_may_throw {
  struct hook {};
  template <class Node>
  struct queue : archetype::queue<Node> {
    using archetype::queue<Node>::queue;
    void insert(Node&) {}
  };
};
struct victim_may_throw {
  struct hook {};
  template <class Node>
  struct queue : archetype::queue<Node> {
    using archetype::queue<Node>::queue;
    Node* victim() { return nullptr; }
  };
};

}  // namespace

// The archetype compiles with nothing but what a queue may expect of its nodes.
template struct archetype::queue<kcache::detail::eviction_node<archetype::hook>>;

TEST_CASE("an eviction policy needs a hook and a queue with four operations", "[eviction]") {
  STATIC_REQUIRE(eviction<archetype>);
  STATIC_REQUIRE_FALSE(eviction<int>);
  STATIC_REQUIRE_FALSE(eviction<without_hook>);
  STATIC_REQUIRE_FALSE(eviction<hook_is_no_class>);
  STATIC_REQUIRE_FALSE(eviction<hook_without_default>);
  STATIC_REQUIRE_FALSE(eviction<without_queue>);
  STATIC_REQUIRE_FALSE(eviction<without_capacity>);
  STATIC_REQUIRE_FALSE(eviction<without_insert>);
  STATIC_REQUIRE_FALSE(eviction<without_touch>);
  STATIC_REQUIRE_FALSE(eviction<without_erase>);
  STATIC_REQUIRE_FALSE(eviction<without_victim>);
  STATIC_REQUIRE_FALSE(eviction<insert_may_throw>);
  STATIC_REQUIRE_FALSE(eviction<victim_may_throw>);
}
