// SPDX-License-Identifier: BSL-1.0
// Threads join, leave, detach and finish flights of few keys: every waiter is answered exactly
// once, or left and never.
#include <kcache/single_flight.hpp>

#include "support/catch.hpp"

#include <kcache/policies/executor.hpp>
#include <kcache/policies/hash.hpp>
#include <kcache/policies/random.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace {

using answer = kcache::result<int>;
using table = kcache::single_flight<int, answer, kcache::keyed_hash>;

constexpr int threads = 4;
constexpr int rounds = 1'000;
constexpr int keys = 3;

struct counts {
  std::atomic<int> joined{0}, left{0}, told{0}, wrong{0}, led{0}, finished{0};
};

struct waiter final : table::waiter {
  waiter(int k, counts& c, kcache::detail::load_node* parent)
      : table::waiter{parent}, key{k}, all{c} {}
  ~waiter() override = default;
  void complete(answer const& a) noexcept override {
    all.told.fetch_add(1);
    if (!a || *a != key) all.wrong.fetch_add(1);
    event.set();
  }
  int key;
  counts& all;
  kcache::one_shot_event event;
};

}  // namespace

TEST_CASE("every waiter is answered once, or has left", "[concurrent]") {
  table t;
  counts all;
  std::mutex mutex;
  std::vector<table::flight_ptr> work;  // flights that somebody must finish
  auto const finish_one = [&](std::uint64_t drawn) {
    table::flight_ptr f;
    {
      std::lock_guard lock{mutex};
      if (work.empty()) return;
      auto const at = work.begin() + static_cast<std::ptrdiff_t>(drawn % work.size());
      f = std::move(*at);
      work.erase(at);
    }
    t.finish(f, f->key());
    all.finished.fetch_add(1);
  };
  auto const run = [&](std::uint64_t seed) {
    kcache::seeded_random random{seed};
    for (int i = 0; i != rounds; ++i) {
      int const key = static_cast<int>(random.next() % keys);
      std::uint64_t const hash = t.hash_of(key);
      if (random.next() % 16 == 0) t.detach(key);
      waiter w{key, all, nullptr};
      auto const joined = t.join(key, hash, w);
      if (!joined) {
        all.wrong.fetch_add(1);
        continue;
      }
      all.joined.fetch_add(1);
      if (joined->leader) {
        all.led.fetch_add(1);
        std::lock_guard lock{mutex};
        work.push_back(joined->flight);
      }
      if (random.next() % 2 == 0) finish_one(random.next());
      if (random.next() % 2 == 0 && t.leave(hash, w)) {
        all.left.fetch_add(1);
        continue;
      }
      // Not left: somebody will tell us, if need be we ourselves.
      while (!w.event.is_set()) finish_one(0);
    }
  };
  std::vector<std::thread> all_threads;
  for (std::uint64_t i = 0; i != threads; ++i) all_threads.emplace_back(run, i + 1);
  for (auto& one : all_threads) one.join();
  while (all.finished != all.led) finish_one(0);
  CHECK(all.joined == threads * rounds);
  CHECK(all.told + all.left == all.joined);
  CHECK(all.left > 0);
  CHECK(all.wrong == 0);
  CHECK(t.size() == 0);
}

TEST_CASE("closing answers those who join at that moment", "[concurrent]") {
  for (int round = 0; round != 100; ++round) {
    table t;
    counts all;
    std::atomic<bool> go{false};
    std::vector<std::thread> all_threads;
    for (int i = 0; i != threads; ++i)
      all_threads.emplace_back([&, i] {
        waiter w{i % 2, all, nullptr};
        while (!go.load()) {
        }
        if (t.join(w.key, t.hash_of(w.key), w)) {
          all.joined.fetch_add(1);
          w.event.block_until(kcache::never);
        }
      });
    go.store(true);
    t.close(kcache::errc::cancelled);
    for (auto& one : all_threads) one.join();
    REQUIRE(all.told == all.joined);
    REQUIRE(t.size() == 0);
  }
}
