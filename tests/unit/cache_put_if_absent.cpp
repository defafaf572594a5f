// SPDX-License-Identifier: BSL-1.0
// Puts that leave alone what is there.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/storage_kinds.hpp"
#include "support/threads.hpp"

#include <kcache/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::cache;
using kcache::removal_cause;
using kcache::testing::manual_clock;

namespace {

using timed = kcache::with_clock<manual_clock>;
using removal = std::tuple<std::string, std::string, removal_cause>;
struct told : timed {
  using removal_listener =
      std::function<void(std::string_view, std::string_view, removal_cause)>;
};
using idle = kcache::with_expiry<kcache::expire_after_access<>, timed>;

struct by_value {
  std::uint64_t operator()(int, int v) const { return static_cast<std::uint64_t>(v); }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("put_if_absent stores where nothing is, and yields what is there",
                        "[cache_put_if_absent]", test::storage_kinds) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 100}};
  auto const put = [&](int k, int v) { return c.put_if_absent(kind::key(k), kind::value(v)); };
  auto const first = put(1, 1);
  CHECK(first.stored);
  CHECK(kind::is(*first.entry, 1));
  CHECK(c.get(kind::key(1)) == first.entry);

  auto const before = c.stats();
  auto const second = put(1, 2);
  CHECK_FALSE(second.stored);
  CHECK(kind::is(*second.entry, 1));
  CHECK(second.entry == first.entry);
  CHECK(c.stats() == before);

  CHECK(c.erase(kind::key(1)));
  auto const third = put(1, 3);
  CHECK(third.stored);
  CHECK(kind::is(*third.entry, 3));
  CHECK(kind::is(*first.entry, 1));
  CHECK(c.size() == 1);
}

TEST_CASE("put_if_absent: an expired entry is none, and is told of as expired",
          "[cache_put_if_absent]") {
  manual_clock t;
  std::vector<removal> removed;
  cache<std::string, std::string, told> c{
      {.capacity = 8, .ttl = 10s, .clock = t,
       .on_removal = [&](auto k, auto v, auto cause) { removed.emplace_back(k, v, cause); }}};
  CHECK(c.put_if_absent("Tom", "630", 5s).stored);
  t.advance(5s - 1ns);
  CHECK(*c.put_if_absent("Tom", "1").entry == "630");
  t.advance(1ns);
  auto const put = c.put_if_absent("Tom", "2");
  CHECK(put.stored);
  CHECK(*put.entry == "2");
  CHECK(put.entry.expires_at() == t.now() + 10s);
  CHECK(removed == std::vector<removal>{{"Tom", "630", removal_cause::expired}});
  CHECK(c.stats().expired == 1);
  CHECK(c.stats().replaced == 0);
}

TEST_CASE("put_if_absent does not prolong what is there", "[cache_put_if_absent]") {
  manual_clock t;
  cache<int, int, idle> c{
      {.capacity = 8, .clock = t, .expiry = kcache::expire_after_access<>{10s}}};
  CHECK(c.put_if_absent(1, 1).stored);
  t.advance(9s);
  CHECK_FALSE(c.put_if_absent(1, 2).stored);
  t.advance(1s);
  CHECK(c.put_if_absent(1, 3).stored);
}

TEST_CASE("put_if_absent: what cannot be stored leaves what is there", "[cache_put_if_absent]") {
  cache<int, int, kcache::with_weigher<by_value>> c{{.capacity = 10}};
  CHECK_FALSE(c.put_if_absent(1, 11).stored);
  CHECK(c.put_if_absent(1, 4).stored);
  CHECK(*c.put_if_absent(1, 11).entry == 4);
  CHECK(*c.put_if_absent(1, 5, 0s).entry == 4);
  auto const refused = c.put_if_absent(2, 11);
  CHECK_FALSE(refused.stored);
  CHECK(*refused.entry == 11);
  CHECK(*c.get(1) == 4);
}

TEST_CASE("put_if_absent takes views and objects", "[cache_put_if_absent]") {
  cache<std::string, std::vector<int>> c{{.capacity = 8}};
  std::string const key = "key";
  CHECK(c.put_if_absent(std::string_view{key}, std::vector<int>{1, 2}).stored);
  CHECK_FALSE(c.put_if_absent(key, std::vector<int>{3}).stored);
  CHECK_FALSE(c.put_if_absent("key", std::vector<int>{3}).stored);
  CHECK(c.get(key)->size() == 2);
}

TEMPLATE_LIST_TEST_CASE("put_if_absent: of many threads one stores, and all see its value",
                        "[cache_put_if_absent][concurrent]", test::storage_kinds) {
  using kind = TestType;
  constexpr int keys = 200;
  constexpr std::size_t threads = 4;
  typename kind::cache c{{.capacity = 2 * keys, .shards = 1}};
  std::vector<std::atomic<int>> stores(keys);
  std::atomic<int> wrong{0};
  std::vector<std::vector<typename kind::cache::handle_type>> seen(threads);
  test::in_parallel(threads, [&](std::size_t me) {
    for (int k = 0; k != keys; ++k) {
      auto put = c.put_if_absent(kind::key(k), kind::value(k + static_cast<int>(me)));
      if (put.stored) {
        ++stores[static_cast<std::size_t>(k)];
        if (!kind::is(*put.entry, k + static_cast<int>(me))) ++wrong;
      }
      seen[me].push_back(std::move(put.entry));
    }
  });
  for (auto const& n : stores) wrong += n == 1 ? 0 : 1;
  for (std::size_t me = 1; me != threads; ++me) wrong += seen[me] == seen[0] ? 0 : 1;
  CHECK(wrong == 0);
  CHECK(c.size() == keys);
  CHECK(c.stats().replaced == 0);
}
