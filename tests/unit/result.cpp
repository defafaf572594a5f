// SPDX-License-Identifier: BSL-1.0
#include <kcache/result.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

using kcache::errc;
using kcache::error;
using kcache::failure;
using kcache::result;

static_assert(!std::is_default_constructible_v<result<int>>);
static_assert(std::is_default_constructible_v<result<void>>);
static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<result<std::unique_ptr<int>>>);
static_assert(std::is_constructible_v<result<std::string>, char const*>);
static_assert(!std::is_constructible_v<result<std::string>, std::unique_ptr<int>>);

TEST_CASE("a result holds a value", "[result]") {
  result<std::string> r = "Tom";
  REQUIRE(r);
  CHECK(r.has_value());
  CHECK(*r == "Tom");
  CHECK(r->size() == 3);
  CHECK(r.value() == "Tom");
  *r += "my";
  CHECK(std::as_const(r).value() == "Tommy");
  CHECK(*std::as_const(r) == "Tommy");
  std::string const taken = *std::move(r);
  CHECK(taken == "Tommy");
}

TEST_CASE("a result holds an error", "[result]") {
  result<std::string> r = error{errc::loader_failed, "why"};
  CHECK_FALSE(r);
  CHECK_FALSE(r.has_value());
  CHECK(r.error() == errc::loader_failed);
  CHECK(r.error().message() == "why");
  error const taken = std::move(r).error();
  CHECK(taken.message() == "why");

  result<int> const of_code = errc::deadline;
  CHECK(of_code.error() == errc::deadline);
}

TEST_CASE("value() throws the error", "[result]") {
  result<int> r = error{errc::overloaded, "ten waiters"};
  try {
    static_cast<void>(r.value());
    FAIL("no exception");
  } catch (failure const& f) {
    CHECK(f.kind() == errc::overloaded);
    CHECK(std::string{f.what()}.find("ten waiters") != std::string::npos);
  }
  CHECK_THROWS_AS(std::as_const(r).value(), failure);
  CHECK_THROWS_AS(std::move(r).value(), failure);
}

TEST_CASE("a result of a move-only type", "[result]") {
  result<std::unique_ptr<int>> r = std::make_unique<int>(7);
  result<std::unique_ptr<int>> moved = std::move(r);
  std::unique_ptr<int> const p = std::move(moved).value();
  CHECK(*p == 7);
}

TEST_CASE("a result of nothing", "[result]") {
  result<void> const fine;
  CHECK(fine);
  CHECK_NOTHROW(fine.value());

  result<void> const bad = errc::cancelled;
  CHECK_FALSE(bad.has_value());
  CHECK(bad.error() == errc::cancelled);
  CHECK_THROWS_AS(bad.value(), failure);
}

TEST_CASE("a result is usable in constant expressions", "[result]") {
  constexpr auto held = [] {
    result<int> const r = 3;
    return r.has_value();
  };
  CHECK(held());
}
