// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_MANUAL_POLICIES_HPP
#define KCACHE_TESTS_SUPPORT_MANUAL_POLICIES_HPP
/// \file
/// Groups in one thread under virtual time.

#include <kcache/group.hpp>
#include <kcache/testing/manual_clock.hpp>
#include <kcache/testing/manual_executor.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

struct manual_policies : kcache::default_policies {
  using clock = kcache::testing::manual_clock;
  using executor = kcache::testing::manual_executor;
  using random = kcache::seeded_random;
};

using manual_strings = kcache::group<std::string, std::string, manual_policies>;
using answer = manual_strings::answer;

/// What most tests of groups use is compiled once, in manual_policies.cpp: `how` is `template`
/// there, `extern template` elsewhere.
#define TEST_MANUAL_STRINGS(how)                                                                 \
  how class kcache::group<std::string, std::string, test::manual_policies>;                      \
  how class kcache::detail::group_core<std::string, std::string, test::manual_policies>;         \
  how class kcache::cache<std::string, std::string,                                              \
                          kcache::detail::grouped<test::manual_policies>>;                       \
  how class kcache::detail::shard<std::string, std::string,                                      \
                                  kcache::detail::grouped<test::manual_policies>>;               \
  how class kcache::cache<std::string, kcache::detail::absence,                                  \
                          kcache::detail::absent_policies<test::manual_policies>>;               \
  how class kcache::detail::shard<std::string, kcache::detail::absence,                          \
                                  kcache::detail::absent_policies<test::manual_policies>>;

/// What a group in one thread needs.
struct manual_world {
  kcache::testing::manual_clock clock;
  kcache::testing::manual_executor work{clock};

  /// A group whose times to live are exact.
  [[nodiscard]] kcache::group_options<manual_policies> exact(kcache::ttl t = kcache::ttl::never()) {
    kcache::group_options<manual_policies> o;
    o.name = "scores";
    o.capacity = 1'000;
    o.ttl = t;
    o.jitter = 0;
    o.clock = clock;
    o.executor = work;
    return o;
  }
};

using words = std::vector<std::string>;

/// `value V`, or the name of the error's code, or both of an error with words of its own.
template <class Answer>
std::string told(Answer const& a) {
  if (a) return "value " + std::string{**a};
  std::string text = name(a.error().code());
  if (a.error().message() != text) text += ": " + std::string{a.error().message()};
  return text;
}

/// Remembers the answers it was given as a handler.
struct listener {
  words heard;
  auto handler() {
    return [this](auto a) { heard.push_back(told(a)); };
  }
  [[nodiscard]] std::string only() const {
    return heard.size() == 1 ? heard.front() : std::to_string(heard.size()) + " answers";
  }
};

/// An asynchronous loader whose loads end when the test says so.
struct open_loads {
  struct load {
    kcache::load_context context;
    kcache::load_completion<std::string> done;
  };
  std::multimap<std::string, load> open;
  int begun = 0;

  auto loader() {
    return [this](std::string const& key, kcache::load_context context,
                  kcache::load_completion<std::string> done) {
      ++begun;
      open.emplace(key, load{std::move(context), std::move(done)});
    };
  }
  /// Takes the oldest load of a key out; letting go of it drops its completion.
  load take(std::string const& key) {
    auto const at = open.find(key);
    load l = std::move(at->second);
    open.erase(at);
    return l;
  }
  void end(std::string const& key, kcache::result<std::string> r) { take(key).done(std::move(r)); }
};

}  // namespace test

TEST_MANUAL_STRINGS(extern template)

#endif
