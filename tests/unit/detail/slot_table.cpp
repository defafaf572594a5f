// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/slot_table.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <unordered_map>
#include <vector>

using kcache::no_slot;
using kcache::seeded_random;
using kcache::slot;
using kcache::detail::narrow_group;
using kcache::detail::search;
using kcache::detail::wide_group;

namespace {

struct keyed_slot {
  std::uint64_t key = 0;
};
using table = kcache::detail::slot_table<keyed_slot>;
struct destroy_table {
  void operator()(table* t) const noexcept { table::destroy(t); }
};
using table_ptr = std::unique_ptr<table, destroy_table>;

table_ptr make(std::uint32_t slots) { return table_ptr{table::make(slots)}; }

/// The slot of `key`, or `no_slot`; and how many slots were looked at for it.
struct sight {
  slot found = no_slot;
  std::uint32_t looks = 0;
};
sight find(table& t, std::uint64_t hash, std::uint64_t key) {
  sight s;
  t.find(hash, [&](slot at) {
    ++s.looks;
    if (at >= t.slots()) FAIL("a slot outside the table");
    if (t[at].key != key) return false;
    s.found = at;
    return true;
  });
  return s;
}

/// Fills a table and empties it, again and again, beside a map.
template <class Hash>
void check_random_run(std::uint32_t slots, std::uint64_t seed, Hash const& hash) {
  INFO("slots " << slots << ", seed " << seed);
  table_ptr const t = make(slots);
  std::unordered_map<std::uint64_t, slot> model;
  std::vector<slot> free;
  for (slot s = slots; s != 0; --s) free.push_back(s - 1);
  seeded_random r{seed};
  std::uint64_t const keys = 1 + std::uint64_t{slots} * 2;
  bool filling = true;
  for (int step = 0; step != 6000; ++step) {
    std::uint64_t const key = 1 + r.next() % keys;
    // Fills up, empties, and so on.
    if (free.empty()) filling = false;
    if (model.empty()) filling = true;
    bool const wants = r.next() % 8 < (filling ? 6U : 2U);
    auto const at = model.find(key);
    if (at == model.end() && wants && !free.empty()) {
      slot const s = free.back();
      free.pop_back();
      (*t)[s].key = key;
      t->insert(hash(key), s);
      model.emplace(key, s);
    } else if (at != model.end() && !wants) {
      t->erase(hash(key), at->second);
      (*t)[at->second].key = 0;
      free.push_back(at->second);
      model.erase(at);
    }
    std::uint64_t const other = 1 + r.next() % keys;
    auto const expected = model.find(other);
    REQUIRE(find(*t, hash(other), other).found ==
            (expected == model.end() ? no_slot : expected->second));
  }
  for (auto const& [key, s] : model) REQUIRE(find(*t, hash(key), key).found == s);
  for (auto const& [key, s] : model) t->erase(hash(key), s);
  for (std::uint64_t key = 1; key <= keys; ++key) {
    REQUIRE(find(*t, hash(key), key).looks == 0);
  }
}

std::uint64_t mixed(std::uint64_t key) { return seeded_random{key}.next(); }

/// A byte at a time, what the words are to say.
std::uint64_t zero_bytes(std::uint64_t word) {
  std::uint64_t m = 0;
  for (unsigned i = 0; i != 64; i += 8) {
    if (((word >> i) & 0xffU) == 0) m |= std::uint64_t{0x80} << i;
  }
  return m;
}

}  // namespace

TEST_CASE("free places are found exactly, for every byte beside every other", "[slot_table]") {
  std::uint64_t wrong = 0;
  for (std::uint64_t a = 0; a != 256; ++a) {
    for (std::uint64_t b = 0; b != 256; ++b) {
      for (unsigned i = 0; i != 56; i += 8) {
        for (std::uint64_t const rest : {std::uint64_t{0}, ~std::uint64_t{0},
                                         std::uint64_t{0x0101010101010101},
                                         std::uint64_t{0x8080808080808080}}) {
          std::uint64_t const word =
              (rest & ~(std::uint64_t{0xffff} << i)) | (a << i) | (b << (i + 8));
          wrong += narrow_group::zero(word) == zero_bytes(word) ? 0U : 1U;
        }
      }
    }
  }
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("equal tags are found, and no others", "[slot_table]", narrow_group,
                   wide_group) {
  constexpr unsigned words = std::size(TestType{}.tags);
  seeded_random r{1};
  std::uint64_t wrong = 0;
  TestType group;
  for (int n = 0; n != 100'000; ++n) {
    // Few values, so that equal ones, and ones that differ by one, are frequent; 0 among them, that
    // of free places.
    std::uint64_t word[words] = {};
    std::uint64_t const base = n % 2 == 0 ? 0 : 0xfcU;
    for (unsigned w = 0; w != words; ++w) {
      for (unsigned i = 0; i != 64; i += 8) word[w] |= (base + r.next() % 4) << i;
      group.tags[w].store(word[w]);
    }
    std::uint64_t const tag = base + r.next() % 4;
    std::uint32_t exact = 0;
    for (unsigned i = 0; i != TestType::places; ++i) {
      if (((word[i / 8] >> (8 * (i % 8))) & 0xffU) == tag) exact |= 1U << i;
    }
    // However the processor does it.
    wrong += group.look(tag) == exact ? 0U : 1U;
    wrong += group.look_by_words(tag) == exact ? 0U : 1U;
  }
  CHECK(wrong == 0);
  // What stands above the last tags, the count, is no tag.
  for (auto& w : group.tags) w.store(0);
  group.tags[words - 1].store(std::uint64_t{0x0505050500000000});
  CHECK(group.look(5) == 0);
  CHECK(group.look_by_words(5) == 0);
  CHECK(group.passed() == 0x05050505U);
}

TEMPLATE_TEST_CASE("a group takes as many as it has places, and gives each back", "[slot_table]",
                   narrow_group, wide_group) {
  TestType group;
  for (slot s = 0; s != TestType::places; ++s) REQUIRE(group.insert(1 + s % 3, 500 + s));
  CHECK_FALSE(group.insert(1, 7));
  group.pass(true);
  for (slot s = 0; s != TestType::places; ++s) {
    CHECK_FALSE(group.erase(4, 500 + s));
    CHECK_FALSE(group.erase(1 + (s + 1) % 3, 500 + s));
    CHECK(group.erase(1 + s % 3, 500 + s));
    // Its number is there still, its tag is not.
    CHECK_FALSE(group.erase(1 + s % 3, 500 + s));
    CHECK(group.passed() == 1);
    CHECK(group.insert(9, 600 + s));
  }
  for (unsigned i = 0; i != TestType::places; ++i) CHECK(group.at(i) == 600 + i);
  group.pass(false);
  CHECK(group.passed() == 0);
}

TEST_CASE("a tag is a byte and never 0", "[slot_table]") {
  for (std::uint64_t low = 0; low != 256; ++low) {
    std::uint64_t const tag = narrow_group::tag(0xabcdef00U | low);
    CHECK(wide_group::tag(0xabcdef00U | low) == tag);
    CHECK(tag == (low == 0 ? 1 : low));
  }
}

TEST_CASE("random inserts and erases agree with a map: good hashes", "[slot_table]") {
  for (std::uint32_t const slots : {1U, 2U, 8U, 12U, 13U, 20U, 21U, 40U, 100U, 700U}) {
    check_random_run(slots, slots, mixed);
  }
}

TEST_CASE("random inserts and erases agree with a map: all hashes equal", "[slot_table]") {
  for (std::uint64_t const hash : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1}}) {
    for (std::uint32_t const slots : {1U, 13U, 100U}) {
      check_random_run(slots, hash ^ slots, [&](std::uint64_t) { return hash; });
    }
  }
}

TEST_CASE("random inserts and erases agree with a map: equal tags", "[slot_table]") {
  check_random_run(200, 1, [](std::uint64_t key) { return mixed(key) | 0xffU; });
  check_random_run(200, 2, [](std::uint64_t key) { return mixed(key) & ~std::uint64_t{0xff}; });
}

TEST_CASE("random inserts and erases agree with a map: tags that differ by one",
          "[slot_table]") {
  for (std::uint64_t const tag : {0U, 2U, 0x7eU, 0x80U, 0xfeU}) {
    check_random_run(150, tag, [&](std::uint64_t key) {
      return (mixed(key) & ~std::uint64_t{0xff}) | (tag ^ (key % 2));
    });
    // All in the last group, so that they wrap around.
    check_random_run(60, tag, [&](std::uint64_t key) {
      return (std::uint64_t{0xffffffff} << 8U) | (tag ^ (key % 2));
    });
  }
}

TEST_CASE("keys that went on from the last group are found in the first", "[slot_table]") {
  constexpr std::uint32_t slots = 60;
  constexpr std::uint32_t in_last = narrow_group::places;
  REQUIRE(table::room_of(slots) == 5);
  table_ptr const t = make(slots);
  auto const last = [](std::uint64_t tag) { return (std::uint64_t{0xffffffff} << 8U) | tag; };
  for (slot s = 0; s != slots; ++s) {
    (*t)[s].key = 100 + s;
    t->insert(last(1 + s), s);
  }
  for (slot s = 0; s != slots; ++s) CHECK(find(*t, last(1 + s), 100 + s).found == s);
  // From the first group too, as some of them lie there: its look-up meets the last group's keys
  // only where they are in it.
  std::uint32_t in_first = 0;
  for (slot s = 0; s != slots; ++s) in_first += find(*t, 1 + s, 100 + s).found == s ? 1U : 0U;
  CHECK(in_first == slots - in_last);
  // At home alone, the others are further on.
  for (slot s = 0; s != slots; ++s) {
    auto const end = t->find_at_home(last(1 + s), [&](slot at) { return at == s; });
    CHECK(end == (s < in_last ? search::found : search::further));
  }
  // The first to leave were in the last group; those that went on are found past the gaps.
  for (slot s = 0; s != in_last; ++s) t->erase(last(1 + s), s);
  for (slot s = in_last; s != slots; ++s) CHECK(find(*t, last(1 + s), 100 + s).found == s);
  for (slot s = in_last; s != slots; ++s) t->erase(last(1 + s), s);
  for (slot s = 0; s != slots; ++s) CHECK(find(*t, last(1 + s), 100 + s).looks == 0);
  CHECK(t->find_at_home(last(1), [](slot) { return true; }) == search::absent);
}

TEST_CASE("a table of more than 65,536 slots numbers them all", "[slot_table]") {
  constexpr std::uint32_t slots = table::most_narrow + 40;
  table_ptr const t = make(slots);
  for (slot s = 0; s != slots; ++s) {
    (*t)[s].key = s;
    t->insert(mixed(s), s);
  }
  std::uint32_t lost = 0;
  for (slot s = 0; s != slots; ++s) lost += find(*t, mixed(s), s).found == s ? 0U : 1U;
  CHECK(lost == 0);
  for (slot s = 0; s < slots; s += 2) t->erase(mixed(s), s);
  for (slot s = 0; s != slots; ++s) {
    slot const expected = s % 2 == 0 ? no_slot : s;
    lost += find(*t, mixed(s), s).found == expected ? 0U : 1U;
  }
  CHECK(lost == 0);
}

TEST_CASE("a look-up in an emptied table reads one group", "[slot_table]") {
  // Every group overflows, then all leave. Afterwards one key, in group g, is met from g alone.
  constexpr std::uint32_t slots = 192;
  std::uint32_t const groups = table::room_of(slots);
  auto const home = [&](std::uint64_t g, std::uint64_t tag) {
    // The middle of the hashes whose home is g.
    return ((((2 * g + 1) << 31U) / groups) << 8U) | tag;
  };
  table_ptr const t = make(slots);
  for (std::uint64_t crowded = 0; crowded != groups; ++crowded) {
    for (slot s = 0; s != slots; ++s) t->insert(home(crowded, 7), s);
    for (slot s = slots; s != 0; --s) t->erase(home(crowded, 7), s - 1);
  }
  for (std::uint64_t g = 0; g != groups; ++g) {
    (*t)[5].key = 99;
    t->insert(home(g, 7), 5);
    for (std::uint64_t from = 0; from != groups; ++from) {
      CHECK(find(*t, home(from, 7), 99).looks == (from == g ? 1 : 0));
    }
    t->erase(home(g, 7), 5);
  }
}

TEST_CASE("a full table has room for every slot, whatever the hashes", "[slot_table]") {
  for (std::uint32_t slots = 1; slots != 300; ++slots) {
    // Filled to three fifths, but for the rest of a group.
    std::uint32_t const groups = table::room_of(slots);
    if (groups * 20 * 3 < slots * 5) FAIL("too full: " << slots);
    if ((groups - 1) * 20 * 3 >= slots * 5) FAIL("a group too many: " << slots);
  }
  CHECK(table::room_of(table::most_narrow + 1) >= table::most_narrow / 12 * 5 / 4);
  CHECK(table::room_of(0x7fffffffU) >= 0x7fffffffU / 12 * 5 / 4);
}

TEST_CASE("an exception of the look passes through", "[slot_table]") {
  table_ptr const t = make(8);
  t->insert(77, 3);
  CHECK_THROWS_AS(t->find(77, [](slot) -> bool { throw 5; }), int);
  CHECK(t->find(77, [](slot s) { return s == 3; }));
}

TEST_CASE("a table tells its bytes", "[slot_table]") {
  table_ptr const t = make(96);
  CHECK(t->slots() == 96);
  CHECK(t->bytes() ==
        sizeof(table) + table::room_of(96) * sizeof(narrow_group) + 96 * sizeof(keyed_slot));
  CHECK(reinterpret_cast<std::uintptr_t>(t.get()) % 64 == 0);
}

TEST_CASE("what lies apart of the slots has a place for each", "[slot_table]") {
  using apart = kcache::detail::slot_table<keyed_slot, std::uint64_t>;
  apart* const t = apart::make(50);
  CHECK(t->bytes() == make(50)->bytes() + 50 * sizeof(std::uint64_t));
  for (slot s = 0; s != 50; ++s) {
    (*t)[s].key = s;
    t->first_apart()[s] = 100 + s;
  }
  CHECK(t->first_slot() == &(*t)[0]);
  for (slot s = 0; s != 50; ++s) {
    CHECK((*t)[s].key == s);
    CHECK(t->first_apart()[s] == 100 + s);
    t->insert(s, s);
  }
  CHECK(t->find(7, [](slot s) { return s == 7; }));
  apart::destroy(t);
}
