// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/ghost_list.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <new>

using kcache::detail::ghost_list;

namespace {

ghost_list with_room(std::size_t room) {
  ghost_list ghosts;
  ghosts.reserve(room);
  ghosts.limit(room);
  return ghosts;
}

}  // namespace

TEST_CASE("ghosts: the oldest is forgotten for a new one", "[ghost_list]") {
  auto ghosts = with_room(3);
  CHECK_FALSE(ghosts.take(1));
  for (std::uint64_t hash = 1; hash != 5; ++hash) ghosts.remember(hash);
  CHECK(ghosts.size() == 3);
  CHECK_FALSE(ghosts.take(1));
  CHECK(ghosts.take(3));
  CHECK_FALSE(ghosts.take(3));
  ghosts.remember(5);  // there is room: 2 stays
  CHECK(ghosts.size() == 3);
  CHECK(ghosts.take(2));
  CHECK(ghosts.take(4));
  CHECK(ghosts.take(5));
  CHECK(ghosts.size() == 0);
}

TEST_CASE("ghosts: no room, no memory", "[ghost_list]") {
  ghost_list none;
  none.limit(10);
  none.remember(1);
  CHECK_FALSE(none.take(1));
  CHECK(none.heap_bytes() == 0);
  auto shut = with_room(10);
  shut.limit(0);
  shut.remember(1);
  CHECK_FALSE(shut.take(1));
  CHECK(shut.heap_bytes() == 200);
}

TEST_CASE("ghosts: a lower limit forgets the oldest, more room keeps all", "[ghost_list]") {
  auto ghosts = with_room(8);
  for (std::uint64_t hash = 0; hash != 8; ++hash) ghosts.remember(hash);
  CHECK(ghosts.take(6));
  ghosts.limit(4);  // 3 4 5 7
  CHECK(ghosts.size() == 4);
  ghosts.reserve(100);
  ghosts.reserve(50);
  CHECK(ghosts.room() == 100);
  ghosts.remember(8);  // the limit is what it was: 4 5 7 8
  CHECK_FALSE(ghosts.take(3));
  for (std::uint64_t const hash : {4U, 5U, 7U, 8U}) CHECK(ghosts.take(hash));
}

TEST_CASE("ghosts: what they do is what a list would do", "[ghost_list]") {
  // Hashes that differ in their lowest, middle or highest bits only.
  auto const shift = GENERATE(0U, 32U, 56U);
  std::size_t limit = 40;
  auto ghosts = with_room(limit);
  std::deque<std::uint64_t> model;
  kcache::seeded_random random{shift};
  for (int step = 0; step != 20'000; ++step) {
    if (step % 500 == 0) {
      limit = 1 + random.next() % 80;
      ghosts.reserve(limit);
      ghosts.limit(limit);
      while (model.size() > limit) model.pop_front();
    }
    std::uint64_t const hash = random.next() % 97 << shift;
    auto const known = std::find(model.begin(), model.end(), hash);
    if (known != model.end()) {
      CHECK(ghosts.take(hash));
      model.erase(known);
    } else {
      CHECK_FALSE(ghosts.take(hash));
      ghosts.remember(hash);
      model.push_back(hash);
      if (model.size() > limit) model.pop_front();
    }
    REQUIRE(ghosts.size() == model.size());
  }
}

TEST_CASE("ghosts: growth that fails changes nothing", "[ghost_list]") {
  auto ghosts = with_room(4);
  for (std::uint64_t hash = 0; hash != 4; ++hash) ghosts.remember(hash);
  for (std::size_t n = 1;; ++n) {
    bool failed = false;
    {
      test::failing_allocation const next{n};
      try {
        ghosts.reserve(64);
      } catch (std::bad_alloc const&) {
        failed = true;
      }
    }
    if (!failed) break;
    CHECK(ghosts.room() == 4);
    CHECK(ghosts.size() == 4);
  }
  CHECK(ghosts.room() == 64);
  for (std::uint64_t hash = 0; hash != 4; ++hash) CHECK(ghosts.take(hash));
}
