// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/removal.hpp>

#include "support/catch.hpp"

#include <functional>
#include <set>
#include <string>
#include <string_view>

using kcache::no_removal_listener;
using kcache::removal_cause;
using kcache::removal_listener;

namespace {

struct archetype {
  void operator()(std::string_view, int const&, removal_cause) const {}
};
struct not_const {
  void operator()(std::string_view, int const&, removal_cause) {}
};
struct without_cause {
  void operator()(std::string_view, int const&) const {}
};
struct takes_the_value {
  void operator()(std::string_view, int&, removal_cause) const {}
};
struct not_copyable : archetype {
  not_copyable() = default;
  not_copyable(not_copyable const&) = delete;
};

}  // namespace

TEST_CASE("listeners model their concept", "[removal]") {
  STATIC_REQUIRE(removal_listener<no_removal_listener, std::string, int>);
  STATIC_REQUIRE(removal_listener<archetype, std::string, int>);
  using function = std::function<void(std::string_view, int const&, removal_cause)>;
  STATIC_REQUIRE(removal_listener<function, std::string, int>);
  STATIC_REQUIRE(
      removal_listener<void (*)(std::string_view, int const&, removal_cause), std::string, int>);
  STATIC_REQUIRE_FALSE(removal_listener<archetype, int, int>);
  STATIC_REQUIRE_FALSE(removal_listener<not_const, std::string, int>);
  STATIC_REQUIRE_FALSE(removal_listener<without_cause, std::string, int>);
  STATIC_REQUIRE_FALSE(removal_listener<takes_the_value, std::string, int>);
  STATIC_REQUIRE_FALSE(removal_listener<not_copyable, std::string, int>);
}

TEST_CASE("causes have names", "[removal]") {
  std::set<std::string> const names{name(removal_cause::expired), name(removal_cause::size),
                                    name(removal_cause::replaced), name(removal_cause::erased)};
  CHECK(names == std::set<std::string>{"expired", "size", "replaced", "erased"});
  CHECK(std::string{name(static_cast<removal_cause>(9))} == "unknown cause");
}
