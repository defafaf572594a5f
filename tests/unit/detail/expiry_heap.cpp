// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/expiry_heap.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <cstdint>
#include <set>
#include <vector>

using kcache::duration;
using kcache::time_point;

namespace {

struct item {
  static constexpr std::size_t not_scheduled = static_cast<std::size_t>(-1);
  [[nodiscard]] time_point expires_at() const noexcept { return at; }

  time_point at{};
  std::size_t heap_position = not_scheduled;
};
using heap = kcache::detail::expiry_heap<item>;

void insert(heap& h, item& i) {
  h.reserve(h.size() + 1);
  h.insert(i);
}

}  // namespace

TEST_CASE("nothing expires in an empty heap", "[expiry_heap]") {
  heap const h;
  CHECK(h.expired(kcache::never) == nullptr);
}

TEST_CASE("the first to expire is on top, from its very instant on", "[expiry_heap]") {
  heap h;
  std::vector<item> items(3);
  items[0].at = time_point{duration{30}};
  items[1].at = time_point{duration{10}};
  items[2].at = time_point{duration{20}};
  for (item& i : items) insert(h, i);
  CHECK(h.expired(time_point{duration{9}}) == nullptr);
  CHECK(h.expired(time_point{duration{10}}) == &items[1]);
  CHECK(h.expired(kcache::never) == &items[1]);
  h.erase(items[1]);
  CHECK(items[1].heap_position == item::not_scheduled);
  CHECK(h.expired(kcache::never) == &items[2]);
}

TEST_CASE("any may leave at any time: a random run beside a std::multiset", "[expiry_heap]") {
  for (std::uint64_t seed = 0; seed != 50; ++seed) {
    kcache::seeded_random r{seed};
    std::vector<item> items(1 + r.next() % 200);
    std::uint64_t const span = 1 + r.next() % 300;  // small spans: many equal instants
    heap h;
    std::multiset<time_point> model;
    for (int step = 0; step != 2000; ++step) {
      item& i = items[r.next() % items.size()];
      if (i.heap_position == item::not_scheduled) {
        i.at = time_point{duration{static_cast<std::int64_t>(r.next() % span)}};
        insert(h, i);
        model.insert(i.at);
      } else {
        h.erase(i);
        model.erase(model.find(i.at));
      }
      item const* top = h.expired(kcache::never);
      if ((top != nullptr) != !model.empty() || (top && top->at != *model.begin()) ||
          h.size() != model.size()) {
        FAIL("the heap differs at seed " << seed << ", step " << step);
      }
    }
    // What is left leaves in order.
    time_point last{};
    while (item* top = h.expired(kcache::never)) {
      if (top->at < last) FAIL("out of order at seed " << seed);
      last = top->at;
      h.erase(*top);
    }
    CHECK(h.size() == 0);
  }
}
