// SPDX-License-Identifier: BSL-1.0
#include <kcache/loader.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::load_completion;
using kcache::load_context;
using kcache::loaded;
using kcache::loader;
using kcache::result;
using kcache::ttl;

namespace {

/// What a load yields: `V/TTL in ms`, `V/default`, or the error's text; and how often it answered.
template <class F>
std::string run(F f) {
  loader<std::string, std::string> l{std::move(f)};
  std::string told;
  int answers = 0;
  l("k", {}, load_completion<std::string>{[&](result<loaded<std::string>> r) {
      ++answers;
      if (!r) {
        told = std::string{name(r.error().code())} + ": " + std::string{r.error().message()};
      } else {
        told = r->value + '/';
        told += r->expires.is_default() ? "default"
                                        : std::to_string(r->expires.length().count() / 1'000'000);
      }
    }});
  CHECK(answers == 1);
  return told;
}

using key = std::string const&;
using value_loaded = loaded<std::string>;

}  // namespace

TEST_CASE("every form of a loader") {
  CHECK(run([](key k) { return k + "v"; }) == "kv/default");
  CHECK(run([](key) { return "literal"; }) == "literal/default");
  CHECK(run([](std::string_view k) { return std::string{k}; }) == "k/default");
  CHECK(run([](key k) { return std::optional{k}; }) == "k/default");
  CHECK(run([](key) -> std::optional<std::string> { return std::nullopt; }) ==
        "not_found: not_found");
  CHECK(run([](key k) { return value_loaded{k, 5ms}; }) == "k/5");
  CHECK(run([](key k) -> result<std::string> { return k; }) == "k/default");
  CHECK(run([](key) -> result<std::string> { return errc::not_found; }) == "not_found: not_found");
  CHECK(run([](key) -> result<std::string> { return kcache::error{errc::loader_failed, "boo"}; }) ==
        "loader_failed: boo");
  CHECK(run([](key k) -> result<value_loaded> { return value_loaded{k, 7ms}; }) == "k/7");
  CHECK(run([](key) -> result<value_loaded> { return errc::overloaded; }) ==
        "overloaded: overloaded");
  CHECK(run([](key k, load_context const&) { return k; }) == "k/default");
  CHECK(run([](key k, load_context) { return std::optional{k}; }) == "k/default");
  CHECK(run([](key k, load_context, load_completion<std::string> done) {
          done(value_loaded{k, 9ms});
        }) == "k/9");
  CHECK(run([](key k, load_context, load_completion<std::string> done) {
          done(result<std::string>{k});
        }) == "k/default");
  CHECK(run([](key, load_context, load_completion<std::string> done) {
          done(result<std::string>{errc::not_found});
        }) == "not_found: not_found");
}

TEST_CASE("a loader may hold what cannot be copied, and may be a function") {
  CHECK(run([p = std::make_unique<std::string>("held")](key) { return *p; }) == "held/default");
  std::function<std::string(key)> const f = [](key k) { return k; };
  CHECK(run(f) == "k/default");
  CHECK(run(+[](key k) { return k; }) == "k/default");
}

TEST_CASE("whatever a loader throws becomes a failure with its words") {
  CHECK(run([](key) -> std::string { throw std::runtime_error{"boo"}; }) == "loader_failed: boo");
  CHECK(run([](key) -> std::string { throw kcache::failure{errc::not_found}; }).find("not_found") ==
        0);
  CHECK(run([](key) -> std::string {
          throw 42;
        }) == "loader_failed: the loader threw something that is no std::exception");
  CHECK(run([](key, load_context const&) -> std::string { throw std::runtime_error{"boo"}; }) ==
        "loader_failed: boo");
}

TEST_CASE("an asynchronous loader always answers once") {
  CHECK(run([](key, load_context, load_completion<std::string>) {}) == "loader_failed: no answer");
  CHECK(run([](key, load_context, load_completion<std::string>) {
          throw std::runtime_error{"boo"};
        }) == "loader_failed: no answer");
  CHECK(run([](key, load_context, load_completion<std::string> done) {
          auto const moved = std::make_unique<load_completion<std::string>>(std::move(done));
        }) == "loader_failed: no answer");
  CHECK(run([](key, load_context, load_completion<std::string> done) {
          done(value_loaded{"v", {}});
          throw std::runtime_error{"boo"};
        }) == "v/default");
}

TEST_CASE("inside a loader its load is known to the thread, outside it is not") {
  struct state final : kcache::detail::load_state {};
  auto const s = std::make_shared<state>();
  kcache::detail::load_node* seen = nullptr;
  loader<int, int> l{[&](int n) {
    seen = kcache::detail::current_load;
    return n;
  }};
  l(1, load_context{s}, load_completion<int>{[](auto const&) {}});
  CHECK(seen == s.get());
  CHECK(kcache::detail::current_load == nullptr);
}

TEST_CASE("a context knows whether anybody waits, and may know of no load") {
  struct state final : kcache::detail::load_state {};
  auto const s = std::make_shared<state>();
  load_context const c{s};
  CHECK_FALSE(c.cancelled());
  s->abandoned = true;
  CHECK(c.cancelled());
  CHECK_FALSE(load_context{}.cancelled());
}

TEST_CASE("what is no loader is told apart") {
  STATIC_REQUIRE(kcache::loader_for<int (*)(int), int, int>);
  STATIC_REQUIRE(kcache::loader_for<char (*)(int), int, int>);  // convertible
  STATIC_REQUIRE_FALSE(kcache::loader_for<int (*)(), int, int>);
  STATIC_REQUIRE_FALSE(kcache::loader_for<void (*)(int), int, int>);
  STATIC_REQUIRE_FALSE(kcache::loader_for<int (*)(std::string), int, int>);
  STATIC_REQUIRE_FALSE(kcache::loader_for<std::string (*)(int), int, int>);
  STATIC_REQUIRE_FALSE(kcache::loader_for<int, int, int>);
  STATIC_REQUIRE(kcache::loader_for<void (*)(int, load_context, load_completion<int>), int, int>);
  STATIC_REQUIRE_FALSE(
      kcache::loader_for<void (*)(int, load_context, load_completion<std::string>), int, int>);
}
