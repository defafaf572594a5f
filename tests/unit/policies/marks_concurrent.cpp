// SPDX-License-Identifier: BSL-1.0
// Readers mark entries without a lock while the policy sweeps them.
#include "support/catch.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/eviction.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

/// Entries of weight 1, whose hash is their slot.
template <class Hook>
struct entries {
  std::vector<Hook>* hooks;
  [[nodiscard]] Hook& hook(kcache::slot s) const noexcept { return (*hooks)[s]; }
  [[nodiscard]] std::uint64_t hash(kcache::slot s) const noexcept { return s; }
  [[nodiscard]] std::uint64_t weight(kcache::slot) const noexcept { return 1; }
};

}  // namespace

TEMPLATE_TEST_CASE("readers mark while entries come and go", "[marks_concurrent][concurrent]",
                   kcache::clock_hand, kcache::sieve, kcache::s3_fifo) {
  using hook = typename TestType::hook;
  constexpr std::size_t count = 64;
  std::vector<hook> hooks(count);
  typename TestType::template queue<entries<hook>> queue{entries<hook>{&hooks}, count};
  if constexpr (requires { queue.reserve(count); }) queue.reserve(count);
  for (kcache::slot s = 0; s != count; ++s) queue.insert(s);

  std::atomic<bool> done{false};
  std::thread reader{[&] {
    while (!done.load(std::memory_order_relaxed)) {
      for (hook& h : hooks) TestType::mark(h);
    }
  }};
  bool all_there = true;
  for (int i = 0; i != 20'000; ++i) {
    kcache::slot const victim = queue.evict();
    all_there = all_there && victim < count;
    if (!all_there) break;
    if constexpr (requires { queue.missed(std::uint64_t{}); }) {
      queue.missed(static_cast<std::uint64_t>(i));
    }
    queue.insert(victim);
  }
  done.store(true, std::memory_order_relaxed);
  reader.join();
  CHECK(all_there);
  std::size_t left = 0;
  while (queue.evict() != kcache::no_slot) ++left;
  CHECK(left == (all_there ? count : 0));
}
