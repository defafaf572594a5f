// SPDX-License-Identifier: BSL-1.0
#include <kcache/completion_token.hpp>

#include "support/catch.hpp"
#include "support/manual_policies.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// A token of the test's own: the answers go where it points.
struct into {
  std::vector<std::string>* heard;
};

}  // namespace

template <>
struct kcache::completion_token_traits<into> {
  template <class Group, class Key>
  static int async_get(Group& g, Key const& key, into token) {
    g.async_get(key, [token](auto const& a) { token.heard->push_back(test::told(a)); });
    return 1;
  }
  template <class Group, class Key>
  static int async_get(Group& g, Key const& key, kcache::time_point deadline, into token) {
    g.async_get(key, deadline, [token](auto const& a) { token.heard->push_back(test::told(a)); });
    return 2;
  }
  template <class Group, class Keys>
  static int async_get_many(Group& g, Keys const& keys, into token) {
    g.async_get_many(keys, [token](auto const& answers) {
      for (auto const& a : answers) token.heard->push_back(test::told(a));
    });
    return 3;
  }
};

static_assert(kcache::completion_token<into>);
static_assert(kcache::completion_token<into const&>);
static_assert(!kcache::completion_token<void (*)(int)>);
static_assert(!kcache::completion_token<int>);

TEST_CASE("a group's members take what an adapter calls a token, and yield what it yields") {
  kcache::testing::manual_executor work;
  test::manual_strings g{{.name = "g", .capacity = 8, .executor = work},
                         [](std::string const& key) { return "v:" + key; }};
  std::vector<std::string> heard;
  CHECK(g.async_get("Tom", into{&heard}) == 1);
  CHECK(g.async_get("Tom", work.now(), into{&heard}) == 2);
  work.run_ready();
  std::vector<std::string> const keys{"Tom", "Sam"};
  CHECK(g.async_get_many(keys, into{&heard}) == 3);
  work.run_ready();
  REQUIRE(heard.size() == 4);
  CHECK(heard[2] == "value v:Tom");
  CHECK(heard[3] == "value v:Sam");
}
