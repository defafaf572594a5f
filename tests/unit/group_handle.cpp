// SPDX-License-Identifier: BSL-1.0
#include <kcache/group_handle.hpp>

#include "support/catch.hpp"

#include <kcache/cache.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

using namespace std::chrono_literals;
using kcache::group_handle;
using kcache::handle;

TEST_CASE("an empty answer has no age and is not stale") {
  group_handle<std::string> const h;
  CHECK_FALSE(h);
  CHECK(h.age() == 0s);
  CHECK_FALSE(h.is_stale());
}

TEST_CASE("a handle of a cache is an answer that was just made") {
  kcache::cache<int, std::string> c{{.capacity = 8}};
  handle<std::string> const stored = c.put(1, "v").entry;
  group_handle<std::string> const h{stored};
  REQUIRE(h);
  CHECK(*h == "v");
  CHECK(h.age() == 0s);
  CHECK_FALSE(h.is_stale());
  CHECK(h == stored);
  STATIC_REQUIRE(std::is_convertible_v<handle<int>, group_handle<int>>);
}

TEST_CASE("an answer keeps what it says when it is copied, moved and taken for a handle") {
  kcache::cache<int, std::string> c{{.capacity = 8}};
  group_handle<std::string> const h{c.put(1, "v").entry, 3s, true};
  CHECK(h.age() == 3s);
  CHECK(h.is_stale());
  group_handle<std::string> copy = h;
  CHECK(copy.age() == 3s);
  CHECK(copy.is_stale());
  CHECK(*copy == "v");
  group_handle<std::string> const moved = std::move(copy);
  CHECK(moved.age() == 3s);
  handle<std::string> const plain = moved;
  CHECK(*plain == "v");
  c.clear();
  CHECK(*moved == "v");
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<group_handle<std::string>>);
  STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<group_handle<std::string>>);
}

TEST_CASE("small values and such that cannot be copied have answers, too") {
  kcache::cache<int, int> small{{.capacity = 8}};
  group_handle<int> const i{small.put(1, 7).entry, 1ns, false};
  CHECK(*i == 7);
  CHECK(i.age() == 1ns);
  kcache::cache<int, std::unique_ptr<int>> owning{{.capacity = 8}};
  group_handle<std::unique_ptr<int>> const p{owning.put(1, std::make_unique<int>(8)).entry};
  CHECK(**p == 8);
}
