// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/generations.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <memory>

using kcache::detail::generations;

TEST_CASE("a key's generation is raised by its own invalidations") {
  auto const g = std::make_unique<generations>();
  auto const before = g->of(7);
  CHECK(g->of(7) == before);
  g->raise(7);
  auto const after = g->of(7);
  CHECK(after != before);
  g->raise(7);
  CHECK(g->of(7) != after);
  CHECK(g->of(7) != before);
}

TEST_CASE("hardly any other key's is") {
  auto const g = std::make_unique<generations>();
  std::uint64_t const hash = 0x123456789abcdef0;
  g->raise(hash);
  int same = 0;
  for (std::uint64_t other = 0; other != 4'096; ++other) same += g->of(other) != 0;
  CHECK(same == 1);
}

TEST_CASE("every key's is raised by clearing") {
  auto const g = std::make_unique<generations>();
  g->raise(3);
  auto const of_3 = g->of(3), of_4 = g->of(4);
  g->raise_all();
  CHECK(g->of(3) != of_3);
  CHECK(g->of(4) != of_4);
  // One raised and all raised are two: a load that began between them is told apart from both.
  auto const between = g->of(3);
  g->raise(3);
  CHECK(g->of(3) != between);
  CHECK(g->of(3) != of_3);
}

TEST_CASE("they take what the header says") { STATIC_REQUIRE(sizeof(generations) <= 33'000); }
