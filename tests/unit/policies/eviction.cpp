// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/eviction.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <type_traits>

using kcache::eviction;
using kcache::slot;

namespace {

/// Gives exactly what the concept asks for.
struct archetype {
  struct hook {};
  template <class Entries>
  struct queue {
    queue(Entries const&, std::uint64_t) {}
    queue(queue const&) = delete;
    queue& operator=(queue const&) = delete;
    void insert(slot) noexcept {}
    void erase(slot) noexcept {}
    slot evict() noexcept { return kcache::no_slot; }
  };
};

/// Is told of reads.
struct touched {
  using hook = archetype::hook;
  template <class Entries>
  struct queue : archetype::queue<Entries> {
    using archetype::queue<Entries>::queue;
    void touch(slot) noexcept {}
  };
};
/// Lets readers mark entries.
struct marked : archetype {
  static void mark(hook&) noexcept {}
};
struct touched_and_marked : touched {
  static void mark(hook&) noexcept {}
};

struct without_hook {
  template <class Entries>
  using queue = archetype::queue<Entries>;
};
struct hook_is_no_class {
  using hook = int;
  template <class Entries>
  using queue = archetype::queue<Entries>;
};
struct hook_without_default {
  struct hook {
    explicit hook(int);
  };
  template <class Entries>
  using queue = archetype::queue<Entries>;
};
struct hook_that_throws_when_copied {
  struct hook {
    hook() = default;
    hook(hook const&) noexcept(false) {}
    hook& operator=(hook const&) noexcept = default;
  };
  template <class Entries>
  using queue = archetype::queue<Entries>;
};
struct hook_that_throws_when_assigned {
  struct hook {
    hook() = default;
    hook(hook const&) noexcept = default;
    hook& operator=(hook const&) noexcept(false) { return *this; }
  };
  template <class Entries>
  using queue = archetype::queue<Entries>;
};
struct without_queue {
  struct hook {};
};
/// Hides one member of the archetype's queue at a time.
struct without_capacity {
  struct hook {};
  template <class Entries>
  struct queue : archetype::queue<Entries> {
    explicit queue(Entries const& e) : archetype::queue<Entries>{e, 1} {}
  };
};
struct without_insert {
  struct hook {};
  template <class Entries>
  struct queue : archetype::queue<Entries> {
    using archetype::queue<Entries>::queue;
    void insert() noexcept;
  };
};
struct without_erase {
  struct hook {};
  template <class Entries>
  struct queue : archetype::queue<Entries> {
    using archetype::queue<Entries>::queue;
    void erase() noexcept;
  };
};
struct without_evict {
  struct hook {};
  template <class Entries>
  struct queue : archetype::queue<Entries> {
    using archetype::queue<Entries>::queue;
    void evict() noexcept;
  };
};
struct insert_may_throw {
  struct hook {};
  template <class Entries>
  struct queue : archetype::queue<Entries> {
    using archetype::queue<Entries>::queue;
    void insert(slot) {}
  };
};
struct erase_may_throw {
  struct hook {};
  template <class Entries>
  struct queue : archetype::queue<Entries> {
    using archetype::queue<Entries>::queue;
    void erase(slot) {}
  };
};
struct evict_may_throw {
  struct hook {};
  template <class Entries>
  struct queue : archetype::queue<Entries> {
    using archetype::queue<Entries>::queue;
    slot evict() { return kcache::no_slot; }
  };
};

template <class E>
constexpr bool is_touched = kcache::detail::touched_eviction<E, kcache::detail::probe_queue<E>>;

}  // namespace

// The archetype compiles with nothing but what a queue may expect of its entries.
template struct archetype::queue<kcache::detail::eviction_entries<archetype::hook>>;

TEST_CASE("an eviction policy needs a hook and a queue with three operations", "[eviction]") {
  STATIC_REQUIRE(eviction<archetype>);
  STATIC_REQUIRE_FALSE(eviction<int>);
  STATIC_REQUIRE_FALSE(eviction<without_hook>);
  STATIC_REQUIRE_FALSE(eviction<hook_is_no_class>);
  STATIC_REQUIRE_FALSE(eviction<hook_without_default>);
  STATIC_REQUIRE_FALSE(eviction<hook_that_throws_when_copied>);
  STATIC_REQUIRE_FALSE(eviction<hook_that_throws_when_assigned>);
  STATIC_REQUIRE_FALSE(eviction<without_queue>);
  STATIC_REQUIRE_FALSE(eviction<without_capacity>);
  STATIC_REQUIRE_FALSE(eviction<without_insert>);
  STATIC_REQUIRE_FALSE(eviction<without_erase>);
  STATIC_REQUIRE_FALSE(eviction<without_evict>);
  STATIC_REQUIRE_FALSE(eviction<insert_may_throw>);
  STATIC_REQUIRE_FALSE(eviction<erase_may_throw>);
  STATIC_REQUIRE_FALSE(eviction<evict_may_throw>);
}

TEST_CASE("an eviction policy hears of reads in one way at most", "[eviction]") {
  STATIC_REQUIRE(eviction<touched>);
  STATIC_REQUIRE(is_touched<touched>);
  STATIC_REQUIRE_FALSE(kcache::detail::marked_eviction<touched>);
  STATIC_REQUIRE(eviction<marked>);
  STATIC_REQUIRE_FALSE(is_touched<marked>);
  STATIC_REQUIRE(kcache::detail::marked_eviction<marked>);
  STATIC_REQUIRE_FALSE(is_touched<archetype>);
  STATIC_REQUIRE_FALSE(kcache::detail::marked_eviction<archetype>);
  STATIC_REQUIRE(is_touched<touched_and_marked>);
  STATIC_REQUIRE(kcache::detail::marked_eviction<touched_and_marked>);
  STATIC_REQUIRE_FALSE(eviction<touched_and_marked>);
}

TEST_CASE("a read mark is raised up to a bound, and copied", "[eviction]") {
  STATIC_REQUIRE(sizeof(kcache::read_mark) == 1);
  STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<kcache::read_mark>);
  STATIC_REQUIRE(std::is_nothrow_copy_assignable_v<kcache::read_mark>);
  kcache::read_mark mark;
  CHECK(mark.reads() == 0);
  mark.raise(0);
  CHECK(mark.reads() == 0);
  mark.raise(2);
  CHECK(mark.reads() == 1);
  mark.raise(2);
  mark.raise(2);
  CHECK(mark.reads() == 2);
  kcache::read_mark const copy{mark};
  kcache::read_mark assigned;
  assigned = copy;
  mark.set(7);
  CHECK(copy.reads() == 2);
  CHECK(assigned.reads() == 2);
  CHECK(mark.reads() == 7);
  mark.raise(2);  // never lowers
  CHECK(mark.reads() == 7);
}
