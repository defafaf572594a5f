// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/ring_queue.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <deque>
#include <memory>
#include <new>

using queue = kcache::detail::ring_queue<std::unique_ptr<int>>;

namespace {

std::unique_ptr<int> item(int n) { return std::make_unique<int>(n); }

}  // namespace

TEST_CASE("a queue yields what it was given, in that order") {
  kcache::seeded_random random{7};
  queue q;
  std::deque<int> model;
  for (int i = 0; i != 10'000; ++i) {
    // Longer and shorter by turns, so that it goes round and grows in the middle of a round.
    bool const grows = random.next() % 100 < (i / 1'000 % 2 == 0 ? 60U : 40U);
    if (grows) {
      q.push_back(item(i));
      model.push_back(i);
    } else if (!model.empty() && random.next() % 8 == 0) {
      CHECK(*q.back() == model.back());
      q.pop_back();
      model.pop_back();
    } else if (!model.empty()) {
      CHECK(*q.front() == model.front());
      q.pop_front();
      model.pop_front();
    }
    REQUIRE(q.size() == model.size());
  }
  queue other;
  other.swap(q);
  CHECK(q.empty());
  for (int const n : model) {
    CHECK(*other.front() == n);
    other.pop_front();
  }
  CHECK(other.empty());
}

TEST_CASE("what has left the queue is gone") {
  kcache::detail::ring_queue<std::shared_ptr<int>> q;
  auto const kept = std::make_shared<int>(1);
  q.push_back(std::shared_ptr{kept});
  q.push_back(std::shared_ptr{kept});
  q.pop_front();
  CHECK(kept.use_count() == 2);
  q.pop_back();
  CHECK(kept.use_count() == 1);
}

TEST_CASE("items pass through a queue that is large enough without an allocation") {
  kcache::detail::ring_queue<int> q;
  for (int i = 0; i != 5; ++i) q.push_back(int{i});
  auto const before = test::allocations();
  for (int i = 0; i != 1'000; ++i) {
    q.push_back(int{i});
    q.pop_front();
  }
  CHECK(test::allocations() == before);
}

TEST_CASE("without memory to grow a queue stays as it is") {
  queue q;
  for (int i = 0; i != 8; ++i) q.push_back(item(i));
  auto ninth = item(8);
  {
    test::failing_allocation const first{1};
    CHECK_THROWS_AS(q.push_back(std::move(ninth)), std::bad_alloc);
  }
  REQUIRE(ninth);
  CHECK(q.size() == 8);
  q.push_back(std::move(ninth));
  for (int i = 0; i != 9; ++i) {
    CHECK(*q.front() == i);
    q.pop_front();
  }
}
