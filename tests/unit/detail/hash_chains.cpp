// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/hash_chains.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <stdexcept>

namespace {

struct item {
  explicit item(std::uint64_t h, int n = 0) : hash_{h}, name{n} {}
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  std::uint64_t hash_;
  int name;
  item* chain = nullptr;
};
using table = kcache::detail::hash_chains<item>;

item* found(table& t, std::uint64_t hash, int name) {
  item** const at = t.find(hash, [&](item const& i) { return i.name == name; });
  return at ? *at : nullptr;
}

}  // namespace

TEST_CASE("nothing is in an empty table") {
  table t;
  CHECK(t.size() == 0);
  CHECK(found(t, 7, 0) == nullptr);
}

TEST_CASE("of items with one hash the wanted one is found, and leaves alone") {
  table t;
  item a{7, 1}, b{7, 2}, c{7, 3}, other{7 + 8, 2};
  for (item* const i : {&a, &b, &c, &other}) t.insert(*i);
  CHECK(t.size() == 4);
  CHECK(found(t, 7, 2) == &b);
  t.erase(t.find(7, [](item const& i) { return i.name == 2; }));
  CHECK(found(t, 7, 2) == nullptr);
  CHECK(b.chain == nullptr);
  CHECK(found(t, 15, 2) == &other);
  t.erase(a);
  t.erase(c);
  CHECK(t.size() == 1);
  CHECK(found(t, 7, 1) == nullptr);
  CHECK(found(t, 15, 2) == &other);
}

TEST_CASE("who asks whether an item is wanted may throw") {
  table t;
  item a{1};
  t.insert(a);
  auto const throws = [](item const&) -> bool { throw std::runtime_error{"=="}; };
  CHECK_THROWS_AS(t.find(1, throws), std::runtime_error);
  CHECK(t.find(2, throws) == nullptr);  // another hash: not asked
  CHECK(found(t, 1, 0) == &a);
}

TEST_CASE("a table is what a set is") {
  kcache::seeded_random random{1};
  table t;
  std::deque<item> items;
  for (int i = 0; i != 500; ++i) items.emplace_back(random.next() & 0xf0000000000000ffU, i);
  std::set<item*> inside;
  for (int step = 0; step != 20'000; ++step) {
    item& i = items[random.next() % items.size()];
    if (inside.erase(&i) == 1) t.erase(i);
    else t.insert(i), inside.insert(&i);
    REQUIRE(t.size() == inside.size());
    item& asked = items[random.next() % items.size()];
    REQUIRE(found(t, asked.hash(), asked.name) == (inside.count(&asked) == 1 ? &asked : nullptr));
  }
}

TEST_CASE("without memory for more buckets a table takes whatever comes") {
  std::deque<item> items;
  for (std::uint64_t i = 0; i != 100; ++i) items.emplace_back(i);
  bool failed = true;
  for (std::size_t n = 1; failed; ++n) {
    table t;
    {
      test::failing_allocation const nth{n};
      for (auto& i : items) t.insert(i);
      failed = nth.happened();
    }
    CHECK(t.size() == items.size());
    for (auto& i : items) REQUIRE(found(t, i.hash(), 0) == &i);
    for (auto& i : items) t.erase(i);
    CHECK(t.size() == 0);
    if (!failed) CHECK(n > 3);  // 8 buckets, 16, ..., 128
  }
}
