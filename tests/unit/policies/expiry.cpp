// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/expiry.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <string>
#include <string_view>

using namespace std::chrono_literals;
using kcache::expire_after_write;
using kcache::expiry;
using kcache::never;
using kcache::time_point;
using kcache::ttl;
using kcache::write_time;

namespace {

struct archetype {
  time_point expires_at(std::string_view, int const&, write_time const& w) const { return w.now; }
};
struct yields_ttl {
  ttl expires_at(std::string_view, int const&, write_time const&) const { return {}; }
};
struct not_const {
  time_point expires_at(std::string_view, int const&, write_time const& w) { return w.now; }
};
struct without_key {
  time_point expires_at(int const&, write_time const& w) const { return w.now; }
};
struct not_copyable : archetype {
  not_copyable() = default;
  not_copyable(not_copyable const&) = delete;
};

}  // namespace

TEST_CASE("expiry policies model their concept", "[expiry]") {
  STATIC_REQUIRE(expiry<expire_after_write, std::string, int>);
  STATIC_REQUIRE(expiry<archetype, std::string, int>);
  STATIC_REQUIRE_FALSE(expiry<archetype, int, int>);
  STATIC_REQUIRE_FALSE(expiry<yields_ttl, std::string, int>);
  STATIC_REQUIRE_FALSE(expiry<not_const, std::string, int>);
  STATIC_REQUIRE_FALSE(expiry<without_key, std::string, int>);
  STATIC_REQUIRE_FALSE(expiry<not_copyable, std::string, int>);
}

TEST_CASE("after write: the requested ttl, or the default", "[expiry]") {
  time_point const now{100s};
  auto const at = [&](ttl requested, ttl fallback) {
    return expire_after_write{}.expires_at(1, 2, write_time{now, requested, fallback});
  };
  CHECK(at({}, 5s) == now + 5s);
  CHECK(at({}, ttl::never()) == never);
  CHECK(at(3s, 5s) == now + 3s);
  CHECK(at(3s, ttl::never()) == now + 3s);
  CHECK(at(ttl::never(), 5s) == never);
  CHECK(at(0s, 5s) == now);
}
