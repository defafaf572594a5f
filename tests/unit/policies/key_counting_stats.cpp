// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/key_counting_stats.hpp>

#include "support/catch.hpp"
#include "support/storage_kinds.hpp"
#include "support/threads.hpp"

#include <kcache/policies/hash.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

using kcache::key_counting_stats;

namespace {

template <class Base = kcache::default_policies>
using counting_keys = kcache::with_stats<key_counting_stats, Base>;

}  // namespace

TEST_CASE("estimates are never too low, and close where there is room", "[key_counting_stats]") {
  key_counting_stats s{1024};
  std::uint64_t const poor[] = {0, 1, 2, std::uint64_t{1} << 63U, ~std::uint64_t{0}};
  for (std::uint64_t const hash : poor) CHECK(s.key_hits(hash) == 0);
  // Each a hundred times but for one, which is hot.
  for (std::uint64_t k = 0; k != 200; ++k) {
    for (int n = 0; n != (k == 17 ? 10'000 : 100); ++n) s.on_key_hit(k);
  }
  int exact = 0;
  for (std::uint64_t k = 0; k != 200; ++k) {
    std::uint64_t const hits = k == 17 ? 10'000 : 100;
    if (s.key_hits(k) < hits) FAIL(k);
    exact += s.key_hits(k) == hits ? 1 : 0;
  }
  CHECK(exact > 180);
  // It is the recorder of a cache as well.
  s.on_hit();
  kcache::cache_stats total;
  s.add_to(total);
  CHECK(total.hits == 1);
}

TEST_CASE("a recorder of few keys counts all the same", "[key_counting_stats]") {
  for (std::size_t const keys : {0U, 1U, 3U, 5U}) {
    key_counting_stats s{keys};
    for (std::uint64_t k = 0; k != 100; ++k) s.on_key_hit(k);
    CHECK(s.key_hits(1) >= 1);
    CHECK(s.key_hits(1) <= 100);
  }
}

TEST_CASE("a copy begins with what the other has counted", "[key_counting_stats]") {
  key_counting_stats s;
  s.on_key_hit(1);
  key_counting_stats const copy{s};
  s.on_key_hit(1);
  CHECK(copy.key_hits(1) == 1);
  CHECK(s.key_hits(1) == 2);
}

TEMPLATE_TEST_CASE("a cache tells how often a key was hit", "[key_counting_stats]",
                   (test::storage_kind<int, int, counting_keys<>>),
                   (test::storage_kind<std::string, std::string, counting_keys<>>),
                   (test::storage_kind<std::string, int, counting_keys<>>),
                   (test::storage_kind<std::u16string, std::string, counting_keys<>>)) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 100}};
  auto const hits = [&](int k) { return c.hits_of(kind::key(k)); };
  CHECK(hits(1) == std::optional<std::uint64_t>{0});
  kind::put(c, 1, 1);
  kind::put(c, 2, 2);
  for (int n = 0; n != 5; ++n) {
    static_cast<void>(c.get(kind::key(1)));
    static_cast<void>(c.get(kind::key(3)));   // misses
    static_cast<void>(c.peek(kind::key(1)));  // leaves no trace
  }
  c.visit(kind::key(1), [](auto const&) {});
  static_cast<void>(c.get_copy(kind::key(2)));
  CHECK(hits(1) == std::optional<std::uint64_t>{6});
  CHECK(hits(2) == std::optional<std::uint64_t>{1});
  CHECK(hits(3) == std::optional<std::uint64_t>{0});
  CHECK(c.stats().hits == 7);
  // Of the key, not of its entry.
  c.erase(kind::key(1));
  CHECK(hits(1) == std::optional<std::uint64_t>{6});
}

TEST_CASE("a cache that does not count keys says so", "[key_counting_stats]") {
  kcache::cache<int, int> c{{.capacity = 100}};
  c.put(1, 1);
  CHECK(c.get(1));
  CHECK_FALSE(c.hits_of(1));
  kcache::cache<int, int, kcache::with_stats<kcache::no_stats>> none{{.capacity = 100}};
  CHECK_FALSE(none.hits_of(1));
}

TEST_CASE("no hit of several threads is lost", "[key_counting_stats][concurrent]") {
  kcache::cache<int, int, counting_keys<>> c{{.capacity = 100}};
  c.put(1, 1);
  c.put(2, 2);
  test::in_parallel(4, [&](std::size_t me) {
    for (int n = 0; n != 10'000; ++n) {
      static_cast<void>(c.get(1));
      if (me == 0) static_cast<void>(c.get(2));
    }
  });
  CHECK(c.hits_of(1) == std::optional<std::uint64_t>{40'000});
  CHECK(c.hits_of(2) == std::optional<std::uint64_t>{10'000});
}
