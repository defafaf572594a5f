// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/faults.hpp>

#include "support/catch.hpp"

#include <kcache/policies.hpp>

#include <type_traits>

namespace {

struct forgetful : kcache::no_faults {
  static constexpr bool store_unchecked = true;
};
struct unrelated {};

}  // namespace

TEST_CASE("by default every guard stands") {
  using none = kcache::no_faults;
  STATIC_REQUIRE_FALSE(none::store_unchecked);
  STATIC_REQUIRE_FALSE(none::join_detached);
  STATIC_REQUIRE_FALSE(none::no_second_look);
  STATIC_REQUIRE_FALSE(none::refresh_unchecked);
  STATIC_REQUIRE(std::is_same_v<kcache::default_policies::faults, none>);
}

TEST_CASE("a fault is named by what derives from none, and leaves the other guards") {
  STATIC_REQUIRE(kcache::faults<kcache::no_faults>);
  STATIC_REQUIRE(kcache::faults<forgetful>);
  STATIC_REQUIRE(forgetful::store_unchecked);
  STATIC_REQUIRE_FALSE(forgetful::join_detached);
  STATIC_REQUIRE_FALSE(kcache::faults<unrelated>);
}
