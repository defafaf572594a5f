// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/slot_table.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

using kcache::no_slot;
using kcache::seeded_random;
using kcache::slot;
using kcache::detail::index_group;

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
          wrong += index_group::zero(word) == zero_bytes(word) ? 0U : 1U;
        }
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("equal tags are all found, and besides them only neighbours", "[slot_table]") {
  seeded_random r{1};
  std::uint64_t missed = 0;
  std::uint64_t invented = 0;
  index_group group;
  for (int n = 0; n != 200'000; ++n) {
    // Few values, so that equal ones, and ones that differ by one, are frequent.
    std::uint64_t word[2] = {};
    std::uint64_t const base = n % 2 == 0 ? 0 : 0xfcU;
    for (unsigned i = 0; i != 64; i += 8) {
      word[0] |= (base + r.next() % 4) << i;
      word[1] |= (base + r.next() % 4) << i;
    }
    std::uint64_t const tag = base + 1 + r.next() % 3;
    std::uint32_t exact = 0;
    for (unsigned i = 0; i != index_group::places; ++i) {
      if (((word[i / 8] >> (8 * (i % 8))) & 0xffU) == tag) exact |= 1U << i;
    }
    std::uint32_t const found = index_group::equal(word[0], word[1], tag);
    // However the processor does it, and of a group where it stands.
    group.low.store(word[0]);
    group.high.store(word[1]);
    std::uint32_t const seen = group.look(tag);
    missed += (exact & ~seen) != 0 || (seen & ~found) != 0 ? 1U : 0U;
    missed += (exact & ~found) != 0 ? 1U : 0U;
    // The place above one that was found, and the tag there differs by one.
    for (unsigned i = 0; i != 32; ++i) {
      if ((((found & ~exact) >> i) & 1U) == 0) continue;
      bool const allowed = i != 0 && i < index_group::places && ((found >> (i - 1)) & 1U) != 0 &&
                           (((word[i / 8] >> (8 * (i % 8))) & 0xffU) ^ tag) == 1;
      invented += allowed ? 0U : 1U;
    }
  }
  CHECK(missed == 0);
  CHECK(invented == 0);
  // What stands above the tags, the count, is no tag.
  CHECK(index_group::equal(0, std::uint64_t{0x0505050500000000}, 5) == 0);
}

TEST_CASE("a tag is a byte and never 0", "[slot_table]") {
  for (std::uint64_t low = 0; low != 256; ++low) {
    std::uint64_t const tag = index_group::tag(0xabcdef00U | low);
    CHECK(tag == (low == 0 ? 1 : low));
  }
}

TEST_CASE("random inserts and erases agree with a map: good hashes", "[slot_table]") {
  for (std::uint32_t const slots : {1U, 2U, 8U, 9U, 10U, 11U, 40U, 100U, 700U}) {
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
  std::uint32_t const groups = table::room_of(40);
  REQUIRE(groups > 4);
  table_ptr const t = make(40);
  auto const last = [](std::uint64_t tag) { return (std::uint64_t{0xffffffff} << 8U) | tag; };
  for (slot s = 0; s != 40; ++s) {
    (*t)[s].key = 100 + s;
    t->insert(last(1 + s), s);
  }
  for (slot s = 0; s != 40; ++s) CHECK(find(*t, last(1 + s), 100 + s).found == s);
  // From the first group too, as some of them lie there: its look-up meets the last group's keys
  // only where they are in it.
  std::uint32_t in_first = 0;
  for (slot s = 0; s != 40; ++s) in_first += find(*t, 1 + s, 100 + s).found == s ? 1U : 0U;
  CHECK(in_first == 28);  // 40 less the 12 in the last
  // The first to leave were in the last group; those that went on are found past the gaps.
  for (slot s = 0; s != 12; ++s) t->erase(last(1 + s), s);
  for (slot s = 12; s != 40; ++s) CHECK(find(*t, last(1 + s), 100 + s).found == s);
  for (slot s = 12; s != 40; ++s) t->erase(last(1 + s), s);
  for (slot s = 0; s != 40; ++s) CHECK(find(*t, last(1 + s), 100 + s).looks == 0);
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
    std::uint32_t const groups = table::room_of(slots);
    // Filled to four fifths at most, and to seven tenths but for the rest of a group.
    if (groups * 12 * 4 < slots * 5) FAIL("too full: " << slots);
    if ((groups - 1) * 12 * 7 > slots * 10) FAIL("a group too many: " << slots);
  }
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
        sizeof(table) + table::room_of(96) * sizeof(index_group) + 96 * sizeof(keyed_slot));
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
