// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/random.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <set>

using kcache::random_source;
using kcache::seeded_random;
using kcache::system_random;

namespace {

/// Exactly what the concept asks for.
struct archetype {
  std::uint64_t next() { return 4; }
};
struct narrow {
  std::uint32_t next() { return 4; }
};
struct not_copyable {
  not_copyable() = default;
  not_copyable(not_copyable const&) = delete;
  std::uint64_t next() { return 4; }
};
struct called_otherwise {
  std::uint64_t operator()() { return 4; }
};

}  // namespace

TEST_CASE("random sources model their concept", "[random]") {
  STATIC_REQUIRE(random_source<system_random>);
  STATIC_REQUIRE(random_source<seeded_random>);
  STATIC_REQUIRE(random_source<archetype>);
  STATIC_REQUIRE_FALSE(random_source<narrow>);
  STATIC_REQUIRE_FALSE(random_source<not_copyable>);
  STATIC_REQUIRE_FALSE(random_source<called_otherwise>);
}

TEST_CASE("a seed is a sequence", "[random]") {
  // The reference implementation's first numbers for seed 1234567.
  seeded_random r{1234567};
  CHECK(r.next() == 6457827717110365317U);
  CHECK(r.next() == 3203168211198807973U);
  CHECK(r.next() == 9817491932198370423U);

  seeded_random copy = r;
  CHECK(copy.next() == r.next());
  CHECK(seeded_random{1}.next() != seeded_random{2}.next());
  CHECK(seeded_random{}.next() == seeded_random{0}.next());
}

TEST_CASE("the system's numbers differ, in all of their bits", "[random]") {
  system_random r;
  std::set<std::uint64_t> seen;
  std::uint64_t ones = 0;
  std::uint64_t zeros = 0;
  for (int i = 0; i != 100; ++i) {
    auto const n = r.next();
    seen.insert(n);
    ones |= n;
    zeros |= ~n;
  }
  CHECK(seen.size() == 100);
  CHECK(ones == ~std::uint64_t{0});
  CHECK(zeros == ~std::uint64_t{0});
}
