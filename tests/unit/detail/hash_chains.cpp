// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/hash_chains.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <cstdint>
#include <map>
#include <vector>

namespace {

struct item {
  [[nodiscard]] std::uint64_t hash() const noexcept { return h; }

  std::uint64_t h = 0;
  int key = 0;
  item* chain = nullptr;
};
using chains = kcache::detail::hash_chains<item>;

item* find(chains const& c, std::uint64_t hash, int key) {
  return c.find(hash, [&](item const& i) { return i.key == key; });
}

}  // namespace

TEST_CASE("an empty table finds nothing and costs nothing", "[hash_chains]") {
  chains const c;
  CHECK(find(c, 1, 1) == nullptr);
  CHECK(c.bytes() == 0);
  std::size_t walk = 0;
  CHECK(c.any(walk) == nullptr);
}

TEST_CASE("the table grows only when it must", "[hash_chains]") {
  chains c;
  std::vector<item> items(17);
  for (std::size_t i = 0; i != 16; ++i) {
    items[i].h = i;
    c.reserve(c.size() + 1);
    c.insert(items[i]);
  }
  CHECK(c.bytes() == 16 * sizeof(item*));
  c.reserve(16);
  CHECK(c.bytes() == 16 * sizeof(item*));
  c.reserve(17);
  CHECK(c.bytes() == 32 * sizeof(item*));
  for (std::size_t i = 0; i != 16; ++i) CHECK(find(c, i, 0) == &items[i]);
}

TEST_CASE("a random run beside a std::map, with every quality of hash", "[hash_chains]") {
  for (std::uint64_t const distinct : {1U, 2U, 7U, 1'000'000U}) {
    kcache::seeded_random r{distinct};
    std::vector<item> items(300);
    for (std::size_t i = 0; i != items.size(); ++i) {
      items[i].key = static_cast<int>(i);
      items[i].h = r.next() % distinct;
    }
    chains c;
    std::map<int, item*> model;
    for (int step = 0; step != 5000; ++step) {
      item& i = items[r.next() % items.size()];
      if (find(c, i.h, i.key) != (model.count(i.key) ? &i : nullptr)) FAIL("found wrongly");
      if (model.count(i.key)) {
        c.erase(i);
        model.erase(i.key);
      } else {
        c.reserve(c.size() + 1);
        c.insert(i);
        model[i.key] = &i;
      }
      if (c.size() != model.size()) FAIL("counted wrongly");
    }
    std::size_t walk = 0;
    while (item* i = c.any(walk)) {
      CHECK(model.erase(i->key) == 1);
      c.erase(*i);
    }
    CHECK(model.empty());
    CHECK(c.size() == 0);
  }
}
