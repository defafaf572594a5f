// SPDX-License-Identifier: BSL-1.0
#include <kcache/handle.hpp>

#include "support/catch.hpp"

#include <kcache/cache.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::handle;

namespace {

/// Counts how many of it live.
class counted {
 public:
  counted(int number, std::atomic<int>& living) noexcept : number_{number}, living_{&living} {
    ++*living_;
  }
  counted(counted&& other) noexcept : number_{other.number_}, living_{other.living_} {
    ++*living_;
  }
  counted& operator=(counted&&) = delete;
  ~counted() { --*living_; }
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
  std::atomic<int>* living_;
};

using counted_cache = kcache::cache<int, counted>;

}  // namespace

static_assert(sizeof(handle<std::string>) == sizeof(void*));
static_assert(std::is_nothrow_copy_constructible_v<handle<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<handle<int>>);
static_assert(std::is_nothrow_copy_assignable_v<handle<int>>);
static_assert(std::is_nothrow_default_constructible_v<handle<int>>);
static_assert(!std::is_convertible_v<handle<int>, bool>);
static_assert(std::same_as<decltype(*std::declval<handle<int>>()), int const&>);
static_assert(std::same_as<decltype(*std::declval<handle<std::string>>()), std::string_view>);

TEST_CASE("an empty handle", "[handle]") {
  handle<int> const h;
  CHECK_FALSE(h);
  auto const copy = h;
  CHECK_FALSE(copy);
  CHECK(copy == h);
}

TEST_CASE("a handle yields a view of its value", "[handle]") {
  auto const text = kcache::cache<int, std::string>::detached("hello");
  REQUIRE(text);
  CHECK(*text == "hello");
  CHECK(text->size() == 5);
  CHECK(text->substr(1) == "ello");

  auto const pair = kcache::cache<int, std::pair<int, int>>::detached({1, 2});
  CHECK(pair->second == 2);
  CHECK(&*pair == &*pair);

  auto const pointer = kcache::cache<int, std::unique_ptr<int>>::detached(std::make_unique<int>(3));
  CHECK(**pointer == 3);
}

TEST_CASE("a handle tells when its value expires", "[handle]") {
  using cache = kcache::cache<int, int>;
  CHECK(cache::detached(1).expires_at() == kcache::never);
  kcache::time_point const t{5s};
  CHECK(cache::detached(1, t).expires_at() == t);
}

TEST_CASE("a small value lies in its handle", "[handle]") {
  using cache = kcache::cache<int, int>;
  static_assert(handle<int>::holds_copy && !handle<std::string>::holds_copy);
  auto a = cache::detached(1, kcache::time_point{5s});
  auto const b = a;
  CHECK(a == b);
  CHECK(&*a != &*b);
  CHECK(a != cache::detached(2, kcache::time_point{5s}));
  CHECK(a != cache::detached(1));
  auto const c = std::move(a);
  CHECK_FALSE(a);  // NOLINT: moved from is empty
  CHECK(c == b);
  a = b;
  CHECK(*a == 1);
  a = {};
  CHECK_FALSE(a);
  CHECK(a == handle<int>{});
  // Full, however early it expired.
  auto const early = cache::detached(7, kcache::time_point::min());
  CHECK(early);
  CHECK(*early == 7);
  CHECK(early.expires_at() < kcache::time_point{});
}

TEST_CASE("copies share one value, which goes with the last of them", "[handle]") {
  std::atomic<int> living{0};
  {
    auto a = counted_cache::detached({7, living});
    CHECK(living == 1);
    auto b = a;
    CHECK(living == 1);
    CHECK(a == b);
    CHECK(&*a == &*b);
    a = {};
    CHECK_FALSE(a);
    CHECK(b->number() == 7);
    auto c = std::move(b);
    CHECK_FALSE(b);  // NOLINT: moved from is empty
    CHECK(c->number() == 7);
    auto& same = c;
    c = same;
    CHECK(c->number() == 7);
    c = std::move(same);
    CHECK(c->number() == 7);
    a = counted_cache::detached({8, living});
    CHECK(living == 2);
    CHECK(a != c);
    a = c;
    CHECK(living == 1);
  }
  CHECK(living == 0);
}

TEST_CASE("a handle outlives its entry and its cache", "[handle]") {
  std::atomic<int> living{0};
  handle<counted> evicted;
  handle<counted> replaced;
  handle<counted> erased;
  handle<counted> left;
  {
    counted_cache c{{.capacity = 2}};
    c.put(1, {1, living});
    evicted = c.get(1);
    replaced = c.put(2, {2, living}).entry;
    c.put(3, {3, living});
    CHECK_FALSE(c.contains(1));
    erased = c.put(2, {4, living}).entry;
    c.erase(2);
    left = c.get(3);
  }
  CHECK(living == 4);
  CHECK(evicted->number() == 1);
  CHECK(replaced->number() == 2);
  CHECK(erased->number() == 4);
  CHECK(left->number() == 3);
  evicted = replaced = erased = left = {};
  CHECK(living == 0);
}

TEST_CASE("threads may share a value through handles of their own", "[handle][concurrent]") {
  std::atomic<int> living{0};
  {
    auto const shared = counted_cache::detached({7, living});
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i) {
      threads.emplace_back([mine = shared] {
        for (int n = 0; n != 10'000; ++n) {
          auto copy = mine;
          if (copy->number() != 7) std::terminate();
        }
      });
    }
    for (auto& t : threads) t.join();
    CHECK(living == 1);
  }
  CHECK(living == 0);
}
