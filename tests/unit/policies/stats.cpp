// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/stats.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <thread>
#include <vector>

using kcache::cache_stats;
using kcache::counting_stats;
using kcache::no_stats;
using kcache::removal_cause;
using kcache::stats_recorder;

namespace {

struct archetype {
  void on_hit() noexcept {}
  void on_miss() noexcept {}
  void on_load() noexcept {}
  void on_load_failure() noexcept {}
  void on_removal(removal_cause) noexcept {}
  void on_refusal() noexcept {}
  void add_to(cache_stats&) const noexcept {}
};
struct without_refusal : archetype {
  void on_refusal(int) noexcept {}
};
struct hit_may_throw : archetype {
  void on_hit() {}
};
struct without_sum : archetype {
  void add_to(int&) const noexcept {}
};
struct not_copyable : archetype {
  not_copyable() = default;
  not_copyable(not_copyable const&) = delete;
};

cache_stats of(counting_stats const& s) {
  cache_stats total;
  s.add_to(total);
  return total;
}

}  // namespace

TEST_CASE("recorders model their concept", "[stats]") {
  STATIC_REQUIRE(stats_recorder<no_stats>);
  STATIC_REQUIRE(stats_recorder<counting_stats>);
  STATIC_REQUIRE(stats_recorder<archetype>);
  STATIC_REQUIRE_FALSE(stats_recorder<without_refusal>);
  STATIC_REQUIRE_FALSE(stats_recorder<hit_may_throw>);
  STATIC_REQUIRE_FALSE(stats_recorder<without_sum>);
  STATIC_REQUIRE_FALSE(stats_recorder<not_copyable>);
}

TEST_CASE("each event has its figure", "[stats]") {
  counting_stats s;
  CHECK(of(s) == cache_stats{});
  s.on_hit();
  CHECK(of(s) == cache_stats{.hits = 1});
  s.on_miss();
  s.on_miss();
  s.on_load();
  s.on_load_failure();
  s.on_refusal();
  for (int i = 0; i != 1; ++i) s.on_removal(removal_cause::expired);
  for (int i = 0; i != 2; ++i) s.on_removal(removal_cause::size);
  for (int i = 0; i != 3; ++i) s.on_removal(removal_cause::replaced);
  for (int i = 0; i != 4; ++i) s.on_removal(removal_cause::erased);
  CHECK(of(s) == cache_stats{.hits = 1,
                             .misses = 2,
                             .loads = 1,
                             .load_failures = 1,
                             .refused = 1,
                             .expired = 1,
                             .evicted = 2,
                             .replaced = 3,
                             .erased = 4});
  auto const copy = s;
  CHECK(of(copy) == of(s));
}

TEST_CASE("recorders add up", "[stats]") {
  counting_stats a;
  counting_stats b;
  a.on_hit();
  b.on_hit();
  b.on_miss();
  cache_stats total;
  a.add_to(total);
  b.add_to(total);
  CHECK(total == cache_stats{.hits = 2, .misses = 1});
  no_stats{}.add_to(total);
  CHECK(total == cache_stats{.hits = 2, .misses = 1});
}

TEST_CASE("the hit ratio", "[stats]") {
  CHECK(cache_stats{}.hit_ratio() == 0);
  CHECK(cache_stats{.hits = 3, .misses = 1}.hit_ratio() == 0.75);
  CHECK(cache_stats{.misses = 1}.hit_ratio() == 0);
}

TEST_CASE("no count is lost between threads", "[stats][concurrent]") {
  counting_stats s;
  std::vector<std::thread> threads;
  for (int i = 0; i != 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n != 10'000; ++n) s.on_hit();
    });
  }
  for (auto& t : threads) t.join();
  CHECK(of(s).hits == 40'000);
}

TEST_CASE("no count is lost as threads come and go", "[stats][concurrent]") {
  counting_stats s;
  // More at once than have counters of their own; later ones take over the counters of the dead.
  for (int round = 0; round != 5; ++round) {
    std::atomic<int> ready{0};
    std::vector<std::thread> threads;
    for (int i = 0; i != 40; ++i) {
      threads.emplace_back([&] {
        s.on_miss();  // all alive at once
        ++ready;
        while (ready != 40) std::this_thread::yield();
        for (int n = 0; n != 2000; ++n) {
          s.on_hit();
          s.on_removal(removal_cause::size);
        }
      });
    }
    for (auto& t : threads) t.join();
  }
  s.on_hit();
  CHECK(of(s) == cache_stats{.hits = 400'001, .misses = 200, .evicted = 400'000});
}

TEST_CASE("more threads than have readers are counted too", "[stats][concurrent]") {
  counting_stats s;
  constexpr int threads_at_once = 140;
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i != threads_at_once; ++i) {
    threads.emplace_back([&] {
      s.on_load();
      ++ready;
      while (ready != threads_at_once) std::this_thread::yield();
      s.on_load();
    });
  }
  for (auto& t : threads) t.join();
  CHECK(of(s) == cache_stats{.loads = 2 * threads_at_once});
}

TEST_CASE("a thread that ends counts to the last", "[stats][concurrent]") {
  counting_stats s;
  struct at_exit {
    counting_stats* told = nullptr;
    ~at_exit() {
      if (told) told->on_hit();
    }
  };
  std::thread{[&] {
    // Made before the thread's first count, so it goes after the thread's counters do.
    static thread_local at_exit last;
    last.told = &s;
    s.on_hit();
  }}.join();
  CHECK(of(s).hits == 2);
}

TEST_CASE("figures read while others count never go back", "[stats][concurrent]") {
  counting_stats s;
  std::atomic<bool> over{false};
  std::thread counting{[&] {
    for (int n = 0; n != 100'000; ++n) s.on_hit();
    over = true;
  }};
  std::uint64_t last = 0;
  bool back = false;
  while (!over) {
    std::uint64_t const now = of(s).hits;
    back = back || now < last;
    last = now;
  }
  counting.join();
  CHECK_FALSE(back);
  CHECK(of(s).hits == 100'000);
}
