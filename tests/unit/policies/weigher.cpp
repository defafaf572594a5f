// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/weigher.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <string>
#include <string_view>

using kcache::unit_weigher;
using kcache::weigher;

namespace {

struct archetype {
  unsigned operator()(std::string_view, int const&) const { return 1; }
};
struct is_signed {
  int operator()(std::string_view, int const&) const { return 1; }
};
struct real {
  double operator()(std::string_view, int const&) const { return 1; }
};
struct not_const {
  unsigned operator()(std::string_view, int const&) { return 1; }
};
struct value_only {
  unsigned operator()(int const&) const { return 1; }
};
struct not_copyable : archetype {
  not_copyable() = default;
  not_copyable(not_copyable const&) = delete;
};

}  // namespace

TEST_CASE("weighers model their concept", "[weigher]") {
  STATIC_REQUIRE(weigher<unit_weigher, std::string, int>);
  STATIC_REQUIRE(weigher<archetype, std::string, int>);
  auto const by_size = [](auto key, auto const&) { return key.size(); };
  STATIC_REQUIRE(weigher<decltype(by_size), std::string, int>);
  STATIC_REQUIRE_FALSE(weigher<archetype, int, int>);
  STATIC_REQUIRE_FALSE(weigher<is_signed, std::string, int>);
  STATIC_REQUIRE_FALSE(weigher<real, std::string, int>);
  STATIC_REQUIRE_FALSE(weigher<not_const, std::string, int>);
  STATIC_REQUIRE_FALSE(weigher<value_only, std::string, int>);
  STATIC_REQUIRE_FALSE(weigher<not_copyable, std::string, int>);
}

TEST_CASE("the unit weigher weighs 1", "[weigher]") {
  STATIC_REQUIRE(unit_weigher{}(1, 2) == 1);
  CHECK(unit_weigher{}(std::string_view{"x"}, std::string_view{"a long value"}) == 1);
}
