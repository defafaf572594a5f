// SPDX-License-Identifier: BSL-1.0
// Loads that everybody has left, and that somebody joins again.
#include <kcache/group.hpp>

#include "support/catch.hpp"

#include <kcache/testing/manual_executor.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;

struct policies : kcache::default_policies {
  using executor = kcache::testing::manual_executor;
};
using strings = kcache::group<std::string, std::string, policies>;

/// A group whose loads end when the test says so.
struct fixture {
  kcache::testing::manual_executor work;
  int loads = 0;
  std::optional<kcache::load_context> context;
  std::optional<kcache::load_completion<std::string>> done;
  strings group{{.name = "abandoned", .capacity = 10, .executor = work},
                [this](std::string const&, kcache::load_context c,
                       kcache::load_completion<std::string> d) {
                  ++loads;
                  context.emplace(std::move(c));
                  done.emplace(std::move(d));
                }};

  void answer(kcache::result<std::string> r) {
    auto d = std::move(*done);
    done.reset();
    d(std::move(r));
  }
};

TEST_CASE("a load that everybody left is told, and one that somebody joins again is untold") {
  fixture f;
  CHECK(f.group.get("Tom", 10ms).error() == kcache::errc::deadline);
  CHECK(f.context->cancelled());
  std::optional<strings::answer> later;
  f.group.async_get("Tom", [&](strings::answer a) { later = std::move(a); });
  CHECK_FALSE(f.context->cancelled());
  f.answer("630");
  REQUIRE(later);
  CHECK(***later == "630");
  CHECK(f.loads == 1);
  CHECK(f.group.flights() == 0);
}

TEST_CASE("a load that gave up when nobody waited is made again for whoever came meanwhile") {
  fixture f;
  CHECK(f.group.get("Tom", 10ms).error() == kcache::errc::deadline);
  std::optional<strings::answer> later;
  f.group.async_get("Tom", [&](strings::answer a) { later = std::move(a); });
  f.answer(kcache::errc::cancelled);
  f.work.run_ready();
  CHECK_FALSE(later);
  CHECK(f.loads == 2);
  f.answer("630");
  REQUIRE(later);
  CHECK(***later == "630");
  CHECK(f.group.flights() == 0);
}

TEST_CASE("a load that gave up with nobody waiting leaves nothing behind, and is no failure") {
  fixture f;
  CHECK(f.group.get("Tom", 10ms).error() == kcache::errc::deadline);
  f.answer(kcache::errc::cancelled);
  CHECK(f.group.flights() == 0);
  CHECK(f.group.stats().load_failures == 0);
}

TEST_CASE("a load that gives up though somebody waits is not repeated for ever") {
  fixture f;
  std::optional<strings::answer> a;
  f.group.async_get("Tom", [&](strings::answer r) { a = std::move(r); });
  f.work.run_ready();
  f.answer(kcache::errc::cancelled);
  f.work.run_ready();
  REQUIRE(a);
  CHECK(a->error() == kcache::errc::cancelled);
  CHECK(f.loads == 1);
}

}  // namespace
