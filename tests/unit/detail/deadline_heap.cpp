// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/deadline_heap.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <new>
#include <vector>

using namespace std::chrono_literals;
using kcache::never;
using kcache::time_point;

namespace {

struct item;
using heap = kcache::detail::deadline_heap<item>;
struct item {
  std::uint32_t heap_place = heap::outside;
  time_point at{};
  [[nodiscard]] bool inside() const { return heap_place != heap::outside; }
};

}  // namespace

TEST_CASE("an empty heap has no deadline") {
  heap h;
  CHECK(h.empty());
  CHECK(h.size() == 0);
  CHECK(h.first() == never);
}

TEST_CASE("the earliest comes first, and any may leave") {
  heap h;
  item a, b, c;
  h.push(time_point{3s}, a);
  CHECK(&h.first_item() == &a);
  h.push(time_point{1s}, b);
  h.push(time_point{2s}, c);
  CHECK(h.first() == time_point{1s});
  CHECK(&h.first_item() == &b);
  CHECK(h.size() == 3);
  h.erase(b);
  CHECK_FALSE(b.inside());
  CHECK(&h.first_item() == &c);
  h.erase(a);
  CHECK(h.first() == time_point{2s});
  h.erase(c);
  CHECK(h.empty());
  h.push(never, a);
  h.push(time_point::min(), b);
  CHECK(&h.first_item() == &b);
  h.erase(b);
  CHECK(h.first() == never);
  CHECK(&h.first_item() == &a);
}

TEST_CASE("it orders as a multimap does, whatever comes and goes") {
  for (std::uint64_t seed = 1; seed != 100; ++seed) {
    CAPTURE(seed);
    kcache::seeded_random random{seed};
    heap h;
    std::multimap<time_point, item*> model;
    std::vector<std::unique_ptr<item>> items;
    std::uint64_t const spread = seed % 2 == 0 ? 10 : 1'000'000;  // many alike, or hardly any
    for (int step = 0; step != 600; ++step) {
      if (random.next() % 5 < (step < 300 ? 3U : 2U) || model.empty()) {
        items.push_back(std::make_unique<item>());
        item& i = *items.back();
        i.at = time_point{std::chrono::nanoseconds{random.next() % spread}};
        h.push(i.at, i);
        model.emplace(i.at, &i);
      } else if (random.next() % 2 == 0) {
        item& i = h.first_item();
        auto const same = model.equal_range(i.at);
        auto const at =
            std::find_if(same.first, same.second, [&](auto const& m) { return m.second == &i; });
        REQUIRE(at != same.second);
        model.erase(at);
        h.erase(i);
      } else {
        auto at = model.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random.next() % model.size()));
        h.erase(*at->second);
        REQUIRE_FALSE(at->second->inside());
        model.erase(at);
      }
      REQUIRE(h.size() == model.size());
      REQUIRE(h.first() == (model.empty() ? never : model.begin()->first));
      if (!model.empty()) REQUIRE(h.first_item().at == h.first());
    }
    for (auto const& i : items) {
      bool const in_model = std::any_of(model.begin(), model.end(),
                                        [&](auto const& m) { return m.second == i.get(); });
      REQUIRE(i->inside() == in_model);
    }
  }
}

TEST_CASE("a push that finds no memory changes nothing") {
  heap h;
  std::vector<item> items(100);
  std::size_t failures = 0;
  for (std::size_t i = 0; i != items.size(); ++i) {
    try {
      test::failing_allocation const next{1};
      h.push(time_point{std::chrono::seconds{i}}, items[i]);
    } catch (std::bad_alloc const&) {
      ++failures;
      CHECK_FALSE(items[i].inside());
      CHECK(h.size() == i);
      h.push(time_point{std::chrono::seconds{i}}, items[i]);
    }
    CHECK(h.size() == i + 1);
  }
  CHECK(failures > 0);
  for (std::size_t i = 0; i != items.size(); ++i) {
    CHECK(&h.first_item() == &items[i]);
    h.erase(items[i]);
  }
}
