// SPDX-License-Identifier: BSL-1.0
// Every operation of a group on eight threads at once, for a while. No value is older than the last
// change of its key that had returned before the get began, every handler is called once, and
// nothing is left at the end.
#include <kcache/group.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"

#include <kcache/policies/random.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::seeded_random;

namespace {

constexpr std::size_t keys = 24;

/// The truth: a version for each key, and the least that may be read now.
class source {
 public:
  [[nodiscard]] std::uint64_t read(std::uint64_t key) const { return of_[key].version.load(); }
  [[nodiscard]] std::uint64_t floor(std::uint64_t key) const { return of_[key].floor.load(); }
  /// A new version, and what tells the group of it; from its return on it is the least.
  template <class Tell>
  void write(std::uint64_t key, Tell tell) {
    std::lock_guard const lock{of_[key].mutex};
    std::uint64_t const version = of_[key].version.load() + 1;
    of_[key].version.store(version);
    tell(version);
    of_[key].floor.store(version);
  }

 private:
  struct entry {
    std::mutex mutex;
    std::atomic<std::uint64_t> version{1};
    std::atomic<std::uint64_t> floor{0};
  };
  std::array<entry, keys> of_;
};

/// A key's version, as a value of strings or of numbers.
template <class Value>
struct form;
template <>
struct form<std::uint64_t> {
  static std::uint64_t make(std::uint64_t key, std::uint64_t version) {
    return version * keys + key;
  }
  static std::optional<std::uint64_t> version(std::uint64_t key, std::uint64_t value) {
    return value % keys == key ? std::optional{value / keys} : std::nullopt;
  }
};
template <>
struct form<std::string> {
  static std::string make(std::uint64_t key, std::uint64_t version) {
    return std::to_string(key) + ':' + std::to_string(version) + std::string(version % 50, '.');
  }
  static std::optional<std::uint64_t> version(std::uint64_t key, std::string_view value) {
    std::string const text{value};
    auto const colon = text.find(':');
    if (colon == std::string::npos || std::stoull(text.substr(0, colon)) != key)
      return std::nullopt;
    std::uint64_t const v = std::stoull(text.substr(colon + 1));
    return text == make(key, v) ? std::optional{v} : std::nullopt;
  }
};

/// Loads one key or many; fails now and then; some keys are not there for a while, some loads ask
/// for another key.
template <class Value>
struct database {
  source* truth;
  kcache::group<std::uint64_t, Value>** group;
  std::atomic<std::uint64_t>* calls;

  kcache::result<Value> operator()(std::uint64_t const& key, kcache::load_context const& c) {
    std::uint64_t const call = calls->fetch_add(1);
    std::uint64_t const version = truth->read(key);
    if (call % 7 == 0) throw std::runtime_error{"a failure"};
    if (call % 11 == 0) return errc::not_found;
    if (call % 5 == 0) std::this_thread::yield();
    if (c.cancelled()) return errc::cancelled;
    // A larger key, so that there are no circles.
    if (call % 13 == 0 && key + 1 < keys) static_cast<void>((*group)->get(key + 1, 5ms));
    return form<Value>::make(key, version);
  }
  std::vector<kcache::result<Value>> load_many(std::span<std::uint64_t const> wanted) {
    if (calls->fetch_add(1) % 9 == 0) throw std::runtime_error{"a failure of all"};
    std::vector<kcache::result<Value>> all;
    for (auto const key : wanted) all.push_back(form<Value>::make(key, truth->read(key)));
    return all;
  }
};

template <class Value>
class stress {
 public:
  using group_type = kcache::group<std::uint64_t, Value>;

  void go(std::chrono::milliseconds how_long) {
    auto const end = std::chrono::steady_clock::now() + how_long;
    {
      kcache::thread_pool const pool{{.max_threads = 4}};
      group_type g{{.name = "stress",
                    .capacity = 16,  // less than there are keys
                    .ttl = 2ms,
                    .stale_while_revalidate = 1ms,
                    .stale_if_error = 3ms,
                    .retry_after = 1ms,
                    .negative_ttl = 1ms,
                    .max_loads = 3,
                    .max_queued_loads = 8,
                    .deadline = 20ms,
                    .executor = pool},
                   database<Value>{&truth_, &group_, &calls_}};
      group_ = &g;
      std::vector<std::thread> threads;
      for (std::uint64_t t = 0; t != 8; ++t)
        threads.emplace_back([this, t, end] {
          seeded_random random{t + 1};
          while (std::chrono::steady_clock::now() < end)
            for (int i = 0; i != 50; ++i) step(random);
        });
      for (auto& t : threads) t.join();
    }
    CHECK(wrong_ == 0);
    CHECK(old_ == 0);
    CHECK(answered_ == asked_);
    CHECK(values_ > 0);
    CHECK(calls_ > 0);
  }

 private:
  void judge(std::uint64_t key, std::uint64_t least, typename group_type::answer const& a) {
    if (!a) {
      auto const code = a.error().code();
      bool const known = code == errc::not_found || code == errc::loader_failed ||
                         code == errc::deadline || code == errc::overloaded ||
                         code == errc::cancelled;
      if (!known) ++wrong_;
      return;
    }
    ++values_;
    auto const version = form<Value>::version(key, **a);
    if (!version) ++wrong_;
    else if (*version < least) ++old_;
  }

  void step(seeded_random& random) {
    std::uint64_t const draw = random.next();
    std::uint64_t const key = (draw >> 32U) % keys;
    std::uint64_t const least = truth_.floor(key);
    group_type& g = *group_;
    switch (draw % 16) {
      case 0: truth_.write(key, [&](auto) { g.invalidate(key).value(); }); break;
      case 1:
        truth_.write(key, [&](std::uint64_t v) {
          static_cast<void>(g.put(key, form<Value>::make(key, v)).value());
        });
        break;
      case 2:
        truth_.write(key, [&](std::uint64_t v) {
          // Not stored over an older value: only with the invalidation is it the least.
          g.invalidate(key).value();
          static_cast<void>(g.put_if_absent(key, form<Value>::make(key, v)).value());
        });
        break;
      case 3:
        if (draw % 64 == 3) g.clear();
        break;
      case 4: {
        std::vector<std::uint64_t> const wanted{key, (key + 1) % keys, key};
        auto const answers = g.get_many(wanted);
        judge(key, least, answers[0]);
        judge(key, least, answers[2]);
        break;
      }
      case 5: {
        std::vector<std::uint64_t> const wanted{key, (key + 5) % keys};
        ++asked_;
        g.async_get_many(wanted, g.now() + 5ms, [this, key, least](auto const& answers) {
          judge(key, least, answers[0]);
          ++answered_;
        });
        break;
      }
      case 6: {
        std::stop_source stop;
        ++asked_;
        g.async_get(key, stop.get_token(), g.now() + 5ms, [this, key, least](auto const& a) {
          judge(key, least, a);
          ++answered_;
        });
        if (draw % 32 < 16) stop.request_stop();
        break;
      }
      case 7: {
        ++asked_;
        g.async_get(key, g.now() + 1ms, [this, key, least](auto const& a) {
          judge(key, least, a);
          ++answered_;
        });
        break;
      }
      case 8: judge(key, least, g.get(key, 1ms)); break;
      case 9: {
        std::stop_source stop;
        if (draw % 64 < 16) stop.request_stop();
        judge(key, least, g.get(key, stop.get_token()));
        break;
      }
      case 10: {
        auto const h = g.peek(key);
        if (h && !form<Value>::version(key, *h)) ++wrong_;
        break;
      }
      case 11:
        if (g.explain(key).text().empty()) ++wrong_;
        static_cast<void>(g.stats());
        break;
      default: judge(key, least, g.get(key)); break;
    }
  }

  source truth_;
  group_type* group_ = nullptr;
  std::atomic<std::uint64_t> calls_{0}, values_{0}, wrong_{0}, old_{0}, asked_{0}, answered_{0};
};

}  // namespace

TEMPLATE_TEST_CASE("threads do everything at once to a group", "[concurrent]", std::uint64_t,
                   std::string) {
  stress<TestType>{}.go(std::chrono::milliseconds{test::effort(1'500, 60'000)});
}
