// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/spin_lock.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/threads.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>

using kcache::detail::spin_lock;

static_assert(sizeof(spin_lock) <= 4);

TEST_CASE("a spin lock is held by one", "[spin_lock]") {
  spin_lock l;
  CHECK(l.try_lock());
  CHECK_FALSE(l.try_lock());
  l.unlock();
  l.lock();
  CHECK_FALSE(l.try_lock());
  l.unlock();
  CHECK(l.try_lock());
  l.unlock();
}

TEST_CASE("a spin lock keeps threads apart and orders what they do", "[spin_lock][concurrent]") {
  // More threads than processors: holders lose theirs in the middle.
  constexpr std::size_t threads = 6;
  constexpr std::uint64_t rounds = 20'000;
  spin_lock l;
  std::uint64_t first = 0;  // both under the lock: not atomic, so that thread sanitizers look
  std::uint64_t second = 0;
  std::atomic<std::uint64_t> torn{0};
  test::in_parallel(threads, [&](std::size_t id) {
    for (std::uint64_t i = 0; i != rounds; ++i) {
      if (id % 2 == 0) {
        l.lock();
      } else {
        while (!l.try_lock()) std::this_thread::yield();
      }
      std::lock_guard const held{l, std::adopt_lock};
      if (first != second) ++torn;
      ++first;
      ++second;
    }
  });
  CHECK(torn == 0);
  CHECK(first == threads * rounds);
}
