// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/retired_cells.hpp>

#include "support/catch.hpp"
#include "support/left_cells.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

using kcache::detail::retired_cells;
using test::left;
using cell = test::left_cell;
using strings = test::left_node;

namespace {

constexpr std::size_t overhead = 4096;  // of the queue itself, in these tests

}  // namespace

TEST_CASE("retired cells are kept in bounds where nobody reads", "[retired_cells]") {
  retired_cells<std::string> q;
  CHECK(q.bytes() == 0);
  q.reserve();
  std::size_t const empty = q.bytes();
  CHECK(empty > 0);
  CHECK(empty < overhead);
  for (int i = 0; i != 10'000; ++i) {
    cell& c = left("value");
    q.add(c, strings::bytes(c));
    REQUIRE(q.bytes() < 64 * 100 + overhead);
  }
  // Large ones do not wait for company.
  std::string const large(100'000, 'x');
  for (int i = 0; i != 100; ++i) {
    cell& c = left(large);
    q.add(c, strings::bytes(c));
    REQUIRE(q.bytes() < 5 * large.size());
  }
}

TEST_CASE("as many cells go as come, not many at once", "[retired_cells]") {
  // More than an allocator keeps at hand for a thread (glibc: 7) would go the long way.
  retired_cells<std::string> q;
  q.reserve();
  for (int i = 0; i != 100; ++i) {
    cell& c = left("value");
    q.add(c, strings::bytes(c));
  }
  int in_vain = 0;
  long most = 0;
  long least = 0;
  long waiting = 0;
  for (int i = 0; i != 10'000; ++i) {
    cell& c = left("value");
    auto const bytes = strings::bytes(c);
    std::size_t const before = q.bytes();
    q.add(c, bytes);
    if (q.bytes() > before) ++in_vain;
    waiting += (static_cast<long>(q.bytes()) - static_cast<long>(before)) /
               static_cast<long>(bytes);
    most = std::max(most, waiting);
    least = std::min(least, waiting);
  }
  CHECK(in_vain < 100);
  CHECK(most - least <= 7);
}

TEST_CASE("a cell stays while a reader may see it, however many follow",
          "[retired_cells][concurrent]") {
  retired_cells<std::string> q;
  q.reserve();
  std::string const value(200, 'a');
  for (int round = 0; round != 3; ++round) {
    cell& seen = left(value);
    test::reading r{seen};
    q.add(seen, strings::bytes(seen));
    std::size_t const before = q.bytes();
    for (int i = 0; i != 1000; ++i) {
      cell& c = left(std::string(200, static_cast<char>('b' + i % 20)));
      q.add(c, strings::bytes(c));
    }
    CHECK(q.bytes() >= before + 1000 * 200);
    r.close();
    CHECK_FALSE(r.changed());
    // It catches up, some at a time.
    for (int i = 0; i != 200; ++i) {
      cell& c = left("b");
      q.add(c, strings::bytes(c));
    }
    CHECK(q.bytes() < before + 64 * 300 + 64 * 1024);
  }
}

TEST_CASE("a cell that is held stays, and keeps no other", "[retired_cells][concurrent]") {
  retired_cells<std::string> q;
  q.reserve();
  std::string const value(200, 'a');
  std::size_t bytes = 0;
  for (int round = 0; round != 3; ++round) {
    cell& first = left(value);
    cell& second = left(value);
    test::reading one{first, test::keeping::held};
    test::reading other{second, test::keeping::held};
    for (int i = 0; i != 1000; ++i) {
      cell& c = left(std::string(200, static_cast<char>('b' + i % 20)));
      q.add(c, strings::bytes(c));
      // Among the others, so that it has to be put back from between them.
      if (i == 5) q.add(first, strings::bytes(first));
      if (i == 7) q.add(second, strings::bytes(second));
      // Of the others no more wait than ever.
      REQUIRE(q.bytes() < 66 * 300 + overhead);
    }
    other.close();
    CHECK_FALSE(other.changed());
    for (int i = 0; i != 200; ++i) {
      cell& c = left("value");
      q.add(c, strings::bytes(c));
    }
    CHECK_FALSE(one.changed());
    one.close();
    CHECK_FALSE(one.changed());
    for (int i = 0; i != 300; ++i) {
      cell& c = left("value");
      q.add(c, strings::bytes(c));
    }
    // All of this round have gone: as much is left as after every round.
    if (round == 0) bytes = q.bytes();
    CHECK(q.bytes() == bytes);
  }
}

TEST_CASE("a thread holds four at once", "[retired_cells]") {
  kcache::detail::reader& r = *kcache::detail::this_reader();
  int things[5] = {};
  REQUIRE(kcache::detail::held_places{}.empty());
  for (int i = 0; i != 4; ++i) CHECK(r.hold(&things[i]));
  CHECK_FALSE(r.hold(&things[4]));
  for (int i = 4; i != 0; --i) {
    kcache::detail::held_places const held;
    for (int j = 0; j != 5; ++j) CHECK(held.contains(&things[j]) == (j < i));
    r.let_go();
  }
  CHECK(kcache::detail::held_places{}.empty());
}

TEST_CASE("a handle's share outlives the pin, and the pin the shares", "[retired_cells]") {
  // A reader took a share while the cell left: both orders of going.
  retired_cells<std::string> q;
  q.reserve();
  std::vector<cell*> held;
  for (int i = 0; i != 500; ++i) {
    cell& c = left("value " + std::to_string(i));
    if (i % 3 == 0) {
      c.count().retain();
      held.push_back(&c);
    }
    q.add(c, strings::bytes(c));
    if (i % 3 == 0 && i % 2 == 0) {
      strings::heap::release(c);
      held.pop_back();
    }
  }
  int i = 3;
  for (cell* c : held) {
    CHECK(std::string_view{c->bytes(), c->size()} == "value " + std::to_string(i));
    strings::heap::release(*c);
    i += 6;
  }
}
