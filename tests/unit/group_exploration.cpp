// SPDX-License-Identifier: BSL-1.0
// Schedules of all that can befall a group, by the hundred thousand, and the faults that they find.
#include <kcache/group.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/group_explorer.hpp"
#include "support/sanitized.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

using test::exploration;

namespace {

// Sanitizers take ten times as long to run all this, and to compile a group for every mutant: they
// look at a tenth of the seeds, and at the group as it is.
#if KCACHE_TESTS_SANITIZED
constexpr std::uint64_t usual = 10'000, in_full = 100'000;
#else
constexpr std::uint64_t usual = 100'000, in_full = 1'000'000;
#endif

template <class Faults = kcache::no_faults>
exploration explore(std::uint64_t seed) {
  return test::group_explorer<test::explored_policies<Faults>>{seed}.run();
}

}  // namespace

TEST_CASE("no schedule breaks a promise of the group's") {
  exploration all;
  for (std::uint64_t seed = 1, most = test::effort(usual, in_full); seed <= most; ++seed) {
    auto const e = explore(seed);
    if (e.wrong) {
      CAPTURE(seed);
      FAIL(e.wrong);
    }
    for (std::size_t i = 0; i != all.counts.size(); ++i) all.counts[i] += e.counts[i];
  }
  // None of it would say much of what never happened.
  for (std::size_t what = 0; what != all.counts.size(); ++what) {
    CAPTURE(what);
    CHECK(all.counts[what] >= 100);
  }
}

TEST_CASE("one seed is one schedule") {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    CAPTURE(seed);
    REQUIRE(explore(seed).trace == explore(seed).trace);
  }
}

#if !KCACHE_TESTS_SANITIZED

namespace {

// Groups that have one guard less.
struct stores_unchecked : kcache::no_faults {
  static constexpr bool store_unchecked = true;
};
struct joins_detached : kcache::no_faults {
  static constexpr bool join_detached = true;
};
struct looks_once : kcache::no_faults {
  static constexpr bool no_second_look = true;
};
struct refreshes_unchecked : kcache::no_faults {
  static constexpr bool refresh_unchecked = true;
};

/// The first seed, up to `most`, whose schedule breaks that promise; 0: none.
template <class Faults>
std::uint64_t first_broken(std::string const& promise, std::uint64_t most) {
  for (std::uint64_t seed = 1; seed <= most; ++seed)
    if (auto const e = explore<Faults>(seed); e.wrong && e.wrong == promise) return seed;
  return 0;
}

}  // namespace

TEST_CASE("a group that has one guard less is found out") {
  std::uint64_t seed = 0;
  auto const* const old = test::group_promises::no_old_value;
  auto const* const needless = test::group_promises::no_needless_load;
  SECTION("a load that began before an invalidation is stored") {
    seed = first_broken<stores_unchecked>(old, 1'000);
  }
  SECTION("such a load is joined by a get that begins after it") {
    seed = first_broken<joins_detached>(old, 1'000);
  }
  SECTION("who leads does not look at the cache once more") {
    seed = first_broken<looks_once>(needless, 1'000);
  }
  SECTION("a refresh that began before an invalidation is stored") {
    seed = first_broken<refreshes_unchecked>(old, 1'000);
  }
  UNSCOPED_INFO("first found by seed " << seed);
  CHECK(seed != 0);
}

#endif
