// SPDX-License-Identifier: BSL-1.0
#include <kcache/loader.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

TEST_CASE("a member of some object is a loader") {
  struct database {
    std::string prefix;
    std::string find(key k) const { return prefix + k; }
    result<value_loaded> find_dated(key k, load_context const&) { return value_loaded{k, 5ms}; }
    void start(key k, load_context, load_completion<std::string> done) const {
      done(result<std::string>{prefix + k});
    }
  };
  database db{"from:"};
  CHECK(run(std::bind_front(&database::find, &db)) == "from:k/default");
  CHECK(run(std::bind_front(&database::find_dated, &db)) == "k/5");
  CHECK(run(std::bind_front(&database::start, &db)) == "from:k/default");
  CHECK(run([&db](key k) { return db.find(k); }) == "from:k/default");
}

namespace {

template <class A>
struct many {
  std::vector<A> (*answers)(std::span<std::string const>);
  std::vector<A> load_many(std::span<std::string const> keys) const { return answers(keys); }
};

/// The answers of many, as `run` tells one.
template <class F>
std::vector<std::string> run_many(F f, std::vector<std::string> const& keys) {
  loader<std::string, std::string> l{std::move(f)};
  REQUIRE(l.batches());
  std::vector<std::string> told;
  for (auto const& r : l.load_many(keys)) {
    if (!r)
      told.push_back(std::string{name(r.error().code())} + ": " + std::string{r.error().message()});
    else told.push_back(r->value + (r->expires.is_default() ? "/default" : "/own"));
  }
  return told;
}

using words = std::vector<std::string>;

}  // namespace

TEST_CASE("an object that loads many keys is a loader, whatever form its answers have") {
  using keys = std::span<std::string const>;
  CHECK(run_many(many<std::string>{[](keys k) { return words{k.begin(), k.end()}; }},
                 {"a", "b"}) == words{"a/default", "b/default"});
  CHECK(run_many(many<std::optional<std::string>>{[](keys k) {
                   return std::vector<std::optional<std::string>>{k[0], std::nullopt};
                 }},
                 {"a", "b"}) == words{"a/default", "not_found: not_found"});
  CHECK(run_many(many<value_loaded>{[](keys k) {
                   return std::vector<value_loaded>{{k[0], 1s}, {k[1], {}}};
                 }},
                 {"a", "b"}) == words{"a/own", "b/default"});
  CHECK(run_many(many<result<std::string>>{[](keys k) {
                   return std::vector<result<std::string>>{
                       k[0], kcache::error{errc::loader_failed, "boo"}};
                 }},
                 {"a", "b"}) == words{"a/default", "loader_failed: boo"});
  CHECK(run_many(many<result<value_loaded>>{[](keys k) {
                   return std::vector<result<value_loaded>>{value_loaded{k[0], 1s},
                                                            errc::overloaded};
                 }},
                 {"a", "b"}) == words{"a/own", "overloaded: overloaded"});
  CHECK(run_many(many<char const*>{[](keys k) {
                   return std::vector<char const*>(k.size(), "literal");
                 }},
                 {"a", "b", "c"}) == words(3, "literal/default"));
  CHECK(run_many(many<std::string>{[](keys) { return words{}; }}, {}).empty());
}

TEST_CASE("load_many that throws, or miscounts, answers for each of its keys") {
  using keys = std::span<std::string const>;
  CHECK(run_many(many<std::string>{[](keys) -> words { throw std::runtime_error{"boo"}; }},
                 {"a", "b"}) == words(2, "loader_failed: boo"));
  CHECK(run_many(many<std::string>{[](keys) { return words{"one"}; }}, {"a", "b"}) ==
        words(2, "loader_failed: load_many gave 1 answers to 2 keys"));
}

TEST_CASE("a loader of many keys loads single ones by its own form, or as many of one") {
  struct without {
    words load_many(std::span<std::string const> keys) const {
      return {std::to_string(keys.size()) + keys.front()};
    }
  };
  struct plain : without {
    std::string operator()(key k) const { return "single:" + k; }
  };
  struct with_context : without {
    std::string operator()(key k, load_context const&) const { return "context:" + k; }
  };
  struct asynchronous : without {
    void operator()(key k, load_context, load_completion<std::string> done) const {
      done(result<std::string>{"later:" + k});
    }
  };
  struct move_only : plain {
    std::unique_ptr<int> held = std::make_unique<int>(1);
  };
  CHECK(run(without{}) == "1k/default");
  CHECK(run(plain{}) == "single:k/default");
  CHECK(run(with_context{}) == "context:k/default");
  CHECK(run(asynchronous{}) == "later:k/default");
  CHECK(run(move_only{}) == "single:k/default");
  CHECK_FALSE(loader<std::string, std::string>{[](key k) { return k; }}.batches());
  STATIC_REQUIRE(kcache::loader_for<without, std::string, std::string>);
  struct wrong {
    std::vector<int> load_many(std::span<std::string const>) const;
  };
  STATIC_REQUIRE_FALSE(kcache::loader_for<wrong, std::string, std::string>);
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

TEST_CASE("a context's token asks when nobody waits any more, and costs nothing before") {
  struct state final : kcache::detail::load_state {};
  auto const s = std::make_shared<state>();
  load_context const c{s};
  auto const token = c.stop_token();
  CHECK(token.stop_possible());
  CHECK(token == c.stop_token());
  s->request_stop();  // but somebody waits
  CHECK_FALSE(token.stop_requested());
  s->abandoned = true;
  s->request_stop();
  CHECK(token.stop_requested());
  CHECK(s->begin_anew());
  s->abandoned = false;
  CHECK_FALSE(c.stop_token().stop_requested());
  CHECK_FALSE(s->begin_anew());
  s->abandoned = true;
  CHECK(c.stop_token().stop_requested());  // it need not be told twice
  CHECK_FALSE(load_context{}.stop_token().stop_possible());
}

TEST_CASE("a stop callback may ask its load again, though nobody has asked it to stop yet") {
  struct state final : kcache::detail::load_state {};
  auto const s = std::make_shared<state>(), other = std::make_shared<state>();
  load_context const c{s};
  int asked = 0;
  std::stop_callback const callback{c.stop_token(), [&] {
                                      ++asked;
                                      CHECK(c.stop_token().stop_requested());
                                      other->abandoned = true;
                                      other->request_stop();
                                    }};
  s->abandoned = true;  // who left has not come to `request_stop`
  CHECK(c.stop_token().stop_requested());
  s->request_stop();
  CHECK(asked == 1);
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
