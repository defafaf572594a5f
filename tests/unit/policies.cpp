// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies.hpp>

#include "support/catch.hpp"

#include <kcache/cache.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <concepts>
#include <cstdint>

using kcache::cache_policies;
using kcache::default_policies;

namespace {

struct stranger {
  using clock = kcache::coarse_clock;
  using random = kcache::system_random;
  using hash = kcache::keyed_hash;
  using weigher = kcache::unit_weigher;
  using expiry = kcache::expire_after_write;
  using eviction = kcache::lru;
  using stats = kcache::counting_stats;
  using removal_listener = kcache::no_removal_listener;
};
struct bad_clock : default_policies {
  using clock = int;
};
struct bad_random : default_policies {
  using random = int;
};
struct bad_eviction : default_policies {
  using eviction = int;
};
struct bad_stats : default_policies {
  using stats = int;
};

struct heavy {
  std::uint64_t operator()(int, int) const { return 2; }
};
struct quiet {
  void operator()(int, int, kcache::removal_cause) const {}
};
struct identity {
  std::uint64_t operator()(int k) const { return static_cast<std::uint64_t>(k); }
};
struct forever {
  kcache::time_point expires_at(int, int, kcache::write_time const&) const {
    return kcache::never;
  }
};
struct my_executor;

struct several : kcache::with_clock<kcache::steady_clock, kcache::with_eviction<kcache::fifo>> {
  using stats = kcache::no_stats;
};

template <class P>
using cache = kcache::cache<int, int, P>;

}  // namespace

TEST_CASE("a bundle derives from the defaults and its parts fit", "[policies]") {
  STATIC_REQUIRE(cache_policies<default_policies>);
  STATIC_REQUIRE(cache_policies<several>);
  STATIC_REQUIRE_FALSE(cache_policies<stranger>);
  STATIC_REQUIRE_FALSE(cache_policies<bad_clock>);
  STATIC_REQUIRE_FALSE(cache_policies<bad_random>);
  STATIC_REQUIRE_FALSE(cache_policies<bad_eviction>);
  STATIC_REQUIRE_FALSE(cache_policies<bad_stats>);
}

TEST_CASE("a modifier changes one part and keeps the rest", "[policies]") {
  using namespace kcache;
  using t = testing::manual_clock;
  STATIC_REQUIRE(std::same_as<::cache<with_clock<t>>::clock_type, t>);
  STATIC_REQUIRE(std::same_as<::cache<with_clock<t>>::eviction_type, lru>);
  STATIC_REQUIRE(std::same_as<::cache<with_random<seeded_random>>::random_type, seeded_random>);
  STATIC_REQUIRE(std::same_as<::cache<with_hash<identity>>::hash_type, identity>);
  STATIC_REQUIRE(std::same_as<::cache<with_weigher<heavy>>::weigher_type, heavy>);
  STATIC_REQUIRE(std::same_as<::cache<with_expiry<forever>>::expiry_type, forever>);
  STATIC_REQUIRE(std::same_as<::cache<with_eviction<fifo>>::eviction_type, fifo>);
  STATIC_REQUIRE(std::same_as<::cache<with_stats<no_stats>>::stats_type, no_stats>);
  STATIC_REQUIRE(std::same_as<::cache<with_removal_listener<quiet>>::removal_listener_type, quiet>);
  STATIC_REQUIRE(std::same_as<with_executor<my_executor>::executor, my_executor>);
}

TEST_CASE("modifiers nest", "[policies]") {
  STATIC_REQUIRE(std::same_as<cache<several>::clock_type, kcache::steady_clock>);
  STATIC_REQUIRE(std::same_as<cache<several>::eviction_type, kcache::fifo>);
  STATIC_REQUIRE(std::same_as<cache<several>::stats_type, kcache::no_stats>);
  STATIC_REQUIRE(std::same_as<cache<several>::hash_type, kcache::keyed_hash>);
}
