// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_FAKE_ORIGIN_HPP
#define KCACHE_TESTS_SUPPORT_FAKE_ORIGIN_HPP
/// \file
/// A cluster's client half that does what a test says.

#include <kcache/remote_origin.hpp>

#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace test {

struct fake_origin final : kcache::remote_origin<std::string, std::string> {
  using outcome = kcache::fetch_outcome<std::string>;
  struct question {
    std::string key;
    kcache::time_point deadline;
    kcache::unique_function<void(outcome)> done;
  };

  ~fake_origin() override = default;
  /// Keys that begin with `r` are remote.
  bool owns(std::string_view key) override { return !key.starts_with('r'); }
  void fetch(std::string const& key, kcache::time_point deadline,
             kcache::unique_function<void(outcome)> done) override {
    ++fetches;
    if (throws) throw std::runtime_error{"no memory, say"};
    if (at_once) return done(at_once());
    open.push_back({key, deadline, std::move(done)});
  }
  void leave() noexcept override { ++left; }

  void answer(outcome o) {
    auto q = std::move(open.front());
    open.pop_front();
    q.done(std::move(o));
  }

  std::deque<question> open;
  std::function<outcome()> at_once;  ///< answers inside `fetch`
  bool throws = false;
  int fetches = 0;
  int left = 0;
};

}  // namespace test

#endif
