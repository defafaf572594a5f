// SPDX-License-Identifier: BSL-1.0
#include <kcache/cache.hpp>

#include "support/catch.hpp"

#include <kcache/policies/fifo.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::cache;
using kcache::cache_stats;
using kcache::removal_cause;
using kcache::ttl;
using kcache::testing::manual_clock;

namespace {

using timed = kcache::with_clock<manual_clock>;

/// Key, value, cause.
using removal = std::tuple<int, int, removal_cause>;
using listener = std::function<void(int const&, int const&, removal_cause)>;
struct observed : timed {
  using removal_listener = listener;
};

listener into(std::vector<removal>& list) {
  return [&list](int k, int v, removal_cause c) { list.emplace_back(k, v, c); };
}

struct by_value {
  std::uint64_t operator()(int, int v) const { return static_cast<std::uint64_t>(v); }
};
struct weighed : observed {
  using weigher = by_value;
};

}  // namespace

namespace cache_test {

/// The least that a key must give.
class key_archetype {
 public:
  explicit key_archetype(int k) noexcept : k_{k} {}
  key_archetype(key_archetype&&) noexcept = default;
  key_archetype& operator=(key_archetype&&) = delete;
  friend bool operator==(key_archetype const&, key_archetype const&) noexcept = default;
  [[nodiscard]] std::uint64_t hash() const noexcept { return static_cast<std::uint64_t>(k_); }

 private:
  int k_;
};
struct key_archetype_hash {
  std::uint64_t operator()(key_archetype const& k) const noexcept { return k.hash(); }
};
/// The least that a value must give.
class value_archetype {
 public:
  explicit value_archetype(int v) noexcept : v_{v} {}
  value_archetype(value_archetype&&) noexcept = default;
  value_archetype& operator=(value_archetype&&) = delete;
  [[nodiscard]] int number() const noexcept { return v_; }

 private:
  int v_;
};

}  // namespace cache_test

using namespace cache_test;

template class kcache::cache<std::string, std::string>;
template class kcache::cache<int, std::unique_ptr<int>, kcache::with_eviction<kcache::fifo>>;
template class kcache::cache<key_archetype, value_archetype, kcache::with_hash<key_archetype_hash>>;

static_assert(!std::is_copy_constructible_v<cache<int, int>>);
static_assert(!std::is_default_constructible_v<cache<int, int>>);

TEST_CASE("what was put is got", "[cache]") {
  cache<std::string, int> c{{.capacity = 10'000}};
  CHECK_FALSE(c.get("Tom"));
  auto const put = c.put("Tom", 630);
  CHECK(put.stored);
  CHECK(*put.entry == 630);
  auto const got = c.get("Tom");
  REQUIRE(got);
  CHECK(*got == 630);
  CHECK(got == put.entry);
  CHECK(c.size() == 1);
  CHECK(c.weight() == 1);
  CHECK(c.capacity() == 10'000);
}

TEST_CASE("keys are looked up by view", "[cache]") {
  cache<std::string, int> c{{.capacity = 8}};
  std::string const key("a\0b", 3);
  c.put(key, 1);
  std::string const around = "[" + key + "]";
  CHECK(c.contains(std::string_view{around}.substr(1, 3)));
  CHECK_FALSE(c.contains(std::string_view{around}.substr(1, 2)));
  CHECK(c.erase(std::string_view{key}));
}

TEST_CASE("a new value replaces the old one", "[cache]") {
  cache<int, std::string> c{{.capacity = 8}};
  c.put(1, "old");
  auto const old = c.get(1);
  c.put(1, "new");
  CHECK(*c.get(1) == "new");
  CHECK(*old == "old");
  CHECK(c.size() == 1);
}

TEST_CASE("erase, contains, peek, clear", "[cache]") {
  cache<int, int> c{{.capacity = 8}};
  CHECK_FALSE(c.erase(1));
  for (int k = 0; k != 5; ++k) c.put(k, 10 * k);
  CHECK(c.contains(3));
  CHECK(*c.peek(3) == 30);
  CHECK(c.erase(3));
  CHECK_FALSE(c.erase(3));
  CHECK_FALSE(c.contains(3));
  CHECK_FALSE(c.peek(3));
  CHECK_FALSE(c.get(3));
  CHECK(c.size() == 4);
  c.clear();
  CHECK(c.size() == 0);
  CHECK(c.weight() == 0);
  for (int k = 0; k != 5; ++k) CHECK_FALSE(c.contains(k));
  c.put(1, 11);
  CHECK(*c.get(1) == 11);
}

TEST_CASE("keys and values need little", "[cache]") {
  cache<key_archetype, value_archetype, kcache::with_hash<key_archetype_hash>> c{{.capacity = 4}};
  for (int k = 0; k != 10; ++k) c.put(key_archetype{k}, value_archetype{k + 100});
  CHECK(c.size() == 4);
  CHECK(c.get(key_archetype{9})->number() == 109);
  CHECK(c.erase(key_archetype{9}));

  cache<std::unique_ptr<int>, std::unique_ptr<int>> pointers{{.capacity = 4}};
  auto key = std::make_unique<int>(1);
  auto const* const raw = key.get();
  auto const entry = pointers.put(std::move(key), std::make_unique<int>(2)).entry;
  CHECK(**entry == 2);
  CHECK(raw != nullptr);
  CHECK_FALSE(pointers.contains(nullptr));
}

TEST_CASE("a cache of 10 is an exact LRU of 10", "[cache]") {
  cache<int, int> c{{.capacity = 10}};
  for (int k = 0; k != 10; ++k) c.put(k, k);
  CHECK(c.size() == 10);
  // Reads and a write make 0, 1 and 2 the youngest, in this order; peek and contains do nothing.
  CHECK(c.get(0));
  CHECK(c.get(1));
  c.put(2, 22);
  CHECK(c.peek(3));
  CHECK(c.contains(4));
  for (int const gone : {3, 4, 5, 6, 7, 8, 9, 0, 1, 2}) {
    CHECK(c.contains(gone));
    c.put(100 + gone, 0);
    CHECK(c.size() == 10);
    CHECK_FALSE(c.contains(gone));
  }
}

TEST_CASE("fifo is not moved by reads", "[cache]") {
  cache<int, int, kcache::with_eviction<kcache::fifo>> c{{.capacity = 3}};
  for (int k = 0; k != 3; ++k) c.put(k, k);
  CHECK(c.get(0));
  c.put(3, 3);
  CHECK_FALSE(c.contains(0));
  CHECK(c.contains(1));
}

TEST_CASE("an entry lives for its time from the write", "[cache]") {
  manual_clock t;
  cache<int, int, timed> c{{.capacity = 8, .ttl = 10s, .clock = t}};
  auto const written = t.now();
  auto const by_default = c.put(1, 1).entry;
  CHECK(by_default.expires_at() == written + 10s);
  CHECK(c.put(2, 2, 5s).entry.expires_at() == written + 5s);
  CHECK(c.put(3, 3, 20s).entry.expires_at() == written + 20s);
  CHECK(c.put(4, 4, ttl::never()).entry.expires_at() == kcache::never);

  t.advance(5s - 1ns);
  CHECK(c.get(2));
  t.advance(1ns);
  CHECK_FALSE(c.peek(2));
  CHECK_FALSE(c.contains(2));
  CHECK_FALSE(c.get(2));
  CHECK(c.get(1));  // a read does not prolong
  t.advance(5s);
  CHECK_FALSE(c.get(1));
  CHECK(*by_default == 1);
  CHECK(c.get(3));
  t.advance(10s);
  CHECK_FALSE(c.get(3));
  t.advance(kcache::duration{1'000'000h});
  CHECK(c.get(4));
}

TEST_CASE("a write starts the time anew", "[cache]") {
  manual_clock t;
  cache<int, int, timed> c{{.capacity = 8, .ttl = 10s, .clock = t}};
  c.put(1, 1);
  t.advance(9s);
  c.put(1, 2);
  t.advance(9s);
  CHECK(*c.get(1) == 2);
  c.put(1, 3, 1s);
  t.advance(1s);
  CHECK_FALSE(c.get(1));
  c.put(1, 4);
  CHECK(*c.get(1) == 4);
}

TEST_CASE("expired at once: not stored, and the old value is gone", "[cache]") {
  manual_clock t;
  std::vector<removal> removed;
  cache<int, int, observed> c{{.capacity = 8, .clock = t, .on_removal = into(removed)}};
  for (auto const no_time : {0s, -5s}) {
    c.put(1, 1);
    removed.clear();
    auto const put = c.put(1, 2, no_time);
    CHECK_FALSE(put.stored);
    CHECK(*put.entry == 2);
    CHECK_FALSE(c.get(1));
    CHECK(c.size() == 0);
    CHECK(removed == std::vector<removal>{{1, 1, removal_cause::replaced}});
  }
}

TEST_CASE("an expired entry goes before a live one", "[cache]") {
  manual_clock t;
  std::vector<removal> removed;
  cache<int, int, observed> c{{.capacity = 10, .clock = t, .on_removal = into(removed)}};
  c.put(0, 0);  // the oldest, and so the first that LRU would evict
  for (int k = 1; k != 8; ++k) c.put(k, k, k * 1s);
  c.put(8, 8);
  c.put(9, 9);
  t.advance(7s);  // seven of ten have expired
  for (int k = 1; k != 8; ++k) c.put(100 + k, k);
  CHECK(c.size() == 10);
  for (int const k : {0, 8, 9}) CHECK(c.contains(k));
  CHECK(removed.size() == 7);
  for (auto const& [key, value, cause] : removed) CHECK(cause == removal_cause::expired);
  // Now all live: the oldest goes.
  c.put(200, 0);
  CHECK_FALSE(c.contains(0));
  CHECK(removed.back() == removal{0, 0, removal_cause::size});
}

TEST_CASE("however many expired entries it takes, no live one goes", "[cache]") {
  manual_clock t;
  std::vector<removal> removed;
  cache<int, int, weighed> c{{.capacity = 100, .clock = t, .on_removal = into(removed)}};
  c.put(0, 40);
  for (int k = 1; k <= 60; ++k) c.put(k, 1, 1s);
  t.advance(1s);
  c.put(100, 60);
  CHECK(c.contains(0));
  CHECK(c.contains(100));
  CHECK(c.weight() == 100);
  CHECK(removed.size() == 60);
  CHECK(c.stats().evicted == 0);
}

TEST_CASE("expired entries do not pile up", "[cache]") {
  manual_clock t;
  cache<int, int, timed> c{{.capacity = 1000, .ttl = 1s, .clock = t}};
  for (int k = 0; k != 100; ++k) c.put(k, k);
  CHECK(c.size() == 100);
  t.advance(1s);
  for (int k = 100; k != 125; ++k) c.put(k, k);
  CHECK(c.size() == 25);

  t.advance(1s);
  for (int k = 0; k != 500; ++k) c.put(k, k, 2s);
  CHECK(c.remove_expired() == 0);
  t.advance(2s);
  CHECK(c.remove_expired() == 500);
  CHECK(c.size() == 0);
  CHECK(c.stats().expired == 625);
}

TEST_CASE("an expiry policy of one's own", "[cache]") {
  struct by_value_policy {
    kcache::time_point expires_at(int, int v, kcache::write_time const& w) const {
      return w.requested.is_default() ? w.now + v * 1s : w.requested.expires_at(w.now);
    }
  };
  struct policies : timed {
    using expiry = by_value_policy;
  };
  manual_clock t;
  cache<int, int, policies> c{{.capacity = 8, .clock = t}};
  c.put(1, 3);
  c.put(2, 30);
  c.put(3, 3, 60s);
  t.advance(3s);
  CHECK_FALSE(c.get(1));
  CHECK(c.get(2));
  CHECK(c.get(3));
}

TEST_CASE("put_if asks its guard", "[cache]") {
  std::vector<removal> removed;
  cache<int, int, observed> c{{.capacity = 2, .on_removal = into(removed)}};
  int asked = 0;
  auto const says = [&](bool answer) { return [&asked, answer] { return ++asked, answer; }; };
  CHECK(c.put_if(1, 10, says(true)).stored);
  CHECK(asked == 1);

  auto const refused = c.put_if(1, 11, says(false));
  CHECK(asked == 2);
  CHECK_FALSE(refused.stored);
  CHECK(*refused.entry == 11);
  CHECK(*c.get(1) == 10);
  CHECK_FALSE(c.put_if(2, 20, says(false)).stored);
  CHECK_FALSE(c.contains(2));
  // A full cache evicts nothing for a value that is not stored.
  c.put(2, 21);
  CHECK_FALSE(c.put_if(3, 30, says(false)).stored);
  CHECK(c.contains(1));
  CHECK(c.contains(2));
  CHECK(removed.empty());

  CHECK_THROWS_AS(c.put_if(1, 12, []() -> bool { throw 5; }), int);
  CHECK(*c.get(1) == 10);
  CHECK(c.put_if(1, 13, says(true), 5s).entry.expires_at() != kcache::never);
  CHECK(*c.get(1) == 13);
}

TEST_CASE("each removal is told once, with its cause", "[cache]") {
  manual_clock t;
  std::vector<removal> removed;
  auto const told = [&] { return std::exchange(removed, {}); };
  using list = std::vector<removal>;
  {
    cache<int, int, observed> c{{.capacity = 2, .clock = t, .on_removal = into(removed)}};
    c.put(1, 10);
    c.put(1, 11);
    CHECK(told() == list{{1, 10, removal_cause::replaced}});
    c.put(2, 20);
    c.put(3, 30);
    CHECK(told() == list{{1, 11, removal_cause::size}});
    c.erase(2);
    CHECK(told() == list{{2, 20, removal_cause::erased}});
    c.clear();
    CHECK(told() == list{{3, 30, removal_cause::erased}});

    // An entry that had expired is told as expired, whatever removes it.
    c.put(1, 10, 1s);
    t.advance(1s);
    CHECK_FALSE(c.get(1));
    CHECK(told() == list{{1, 10, removal_cause::expired}});
    c.put(1, 10, 1s);
    t.advance(1s);
    CHECK_FALSE(c.erase(1));
    CHECK(told() == list{{1, 10, removal_cause::expired}});
    c.put(1, 10, 1s);
    t.advance(1s);
    c.put(1, 11);
    CHECK(told() == list{{1, 10, removal_cause::expired}});
    c.put(2, 20, 1s);
    t.advance(1s);
    c.clear();
    auto const both = told();
    CHECK(both.size() == 2);
    for (auto const& r : both) {
      CHECK(r == (std::get<0>(r) == 1 ? removal{1, 11, removal_cause::erased}
                                      : removal{2, 20, removal_cause::expired}));
    }
    c.put(7, 70);
  }
  CHECK(removed.empty());  // the end of a cache is not told
}

TEST_CASE("a listener may call the cache", "[cache]") {
  // The evicted go to a second home under a negative key; so does what that evicts, and so on.
  using small = cache<int, int, kcache::with_removal_listener<listener>>;
  std::unique_ptr<small> c;
  int calls = 0;
  c = std::make_unique<small>(kcache::cache_options<kcache::with_removal_listener<listener>>{
      .capacity = 4, .on_removal = [&](int k, int v, removal_cause cause) {
        ++calls;
        CHECK(c->size() <= 4);
        static_cast<void>(c->get(k));
        c->erase(1000);
        if (k > 0 && cause == removal_cause::size) c->put(-k, v);
      }});
  for (int k = 1; k <= 50; ++k) c->put(k, k);
  CHECK(calls > 50);
  CHECK(c->size() == 4);
  c->clear();
  CHECK(c->size() == 0);
}

TEST_CASE("an empty function as listener is not called", "[cache]") {
  cache<int, int, observed> c{{.capacity = 1}};
  c.put(1, 1);
  c.put(2, 2);
  CHECK(c.contains(2));

  using pointer = void (*)(int const&, int const&, removal_cause);
  cache<int, int, kcache::with_removal_listener<pointer>> p{{.capacity = 1}};
  p.put(1, 1);
  p.put(2, 2);
  CHECK(p.contains(2));
}

TEST_CASE("values die outside the locks", "[cache]") {
  struct nosy {
    nosy(cache<int, std::unique_ptr<nosy>>*& home, int& seen) : home_{&home}, seen_{&seen} {}
    nosy(nosy const&) = delete;
    nosy& operator=(nosy const&) = delete;
    ~nosy() {
      if (*home_) *seen_ += (*home_)->size() <= 2 ? 1 : 1000;  // would hang under the lock
    }
    cache<int, std::unique_ptr<nosy>>** home_;
    int* seen_;
  };
  cache<int, std::unique_ptr<nosy>>* home = nullptr;
  int seen = 0;
  {
    cache<int, std::unique_ptr<nosy>> c{{.capacity = 2}};
    home = &c;
    auto const value = [&] { return std::make_unique<nosy>(home, seen); };
    c.put(1, value());
    c.put(1, value());
    CHECK(seen == 1);
    c.put(2, value());
    c.put(3, value());
    CHECK(seen == 2);
    c.erase(2);
    CHECK(seen == 3);
    c.put_if(4, value(), [] { return false; });
    CHECK(seen == 4);
    c.clear();
    CHECK(seen == 5);
    home = nullptr;
  }
}

TEST_CASE("a weighed capacity", "[cache]") {
  std::vector<removal> removed;
  cache<int, int, weighed> c{{.capacity = 100, .on_removal = into(removed)}};
  CHECK(c.shard_count() == 1);
  for (int k = 0; k != 4; ++k) c.put(k, 25);
  CHECK(c.weight() == 100);
  CHECK(c.size() == 4);
  CHECK(c.get(0));
  c.put(4, 30);  // two go for it, the oldest ones
  CHECK(c.weight() == 80);
  CHECK(removed == std::vector<removal>{{1, 25, removal_cause::size},
                                        {2, 25, removal_cause::size}});
  c.put(5, 100);
  CHECK(c.size() == 1);
  CHECK(c.weight() == 100);
  c.put(5, 40);  // the room of the old value counts
  CHECK(c.weight() == 40);
  c.put(6, 60);
  CHECK(c.size() == 2);
}

TEST_CASE("what is too heavy is refused, and evicts nothing but its old value", "[cache]") {
  std::vector<removal> removed;
  cache<int, int, weighed> c{{.capacity = 100, .on_removal = into(removed)}};
  c.put(1, 60);
  c.put(2, 40);
  auto const put = c.put(3, 101);
  CHECK_FALSE(put.stored);
  CHECK(*put.entry == 101);
  CHECK(c.size() == 2);
  CHECK(removed.empty());

  CHECK_FALSE(c.put(2, 101).stored);
  CHECK_FALSE(c.get(2));
  CHECK(removed == std::vector<removal>{{2, 40, removal_cause::replaced}});
  CHECK(c.contains(1));
  CHECK(c.stats().refused == 2);

  cache<int, int, weighed> limited{{.capacity = 100, .max_entry_weight = 10}};
  CHECK(limited.put(1, 10).stored);
  CHECK_FALSE(limited.put(2, 11).stored);
}

TEST_CASE("a weight of 0 counts as 1, and the largest does not overflow", "[cache]") {
  struct as_told {
    std::uint64_t operator()(int, std::uint64_t v) const { return v; }
  };
  cache<int, std::uint64_t, kcache::with_weigher<as_told>> c{{.capacity = 3}};
  for (int k = 0; k != 10; ++k) c.put(k, 0);
  CHECK(c.size() == 3);
  CHECK(c.weight() == 3);
  CHECK_FALSE(c.put(100, UINT64_MAX).stored);
  CHECK(c.size() == 3);

  cache<int, std::uint64_t, kcache::with_weigher<as_told>> huge{{.capacity = UINT64_MAX}};
  CHECK(huge.put(1, UINT64_MAX - 1).stored);
  CHECK(huge.put(2, 1).stored);
  CHECK(huge.size() == 2);
  CHECK(huge.put(3, 5).stored);
  CHECK(huge.weight() == 6);
}

TEST_CASE("the capacity is divided exactly among the shards", "[cache]") {
  for (std::uint64_t const capacity : {16U, 17U, 23U, 31U, 100U}) {
    cache<int, int> c{{.capacity = capacity, .shards = 16}};
    std::size_t most = 0;
    for (int k = 0; k != 4000; ++k) {
      c.put(k, k);
      most = std::max(most, c.size());
      if (c.size() > capacity) FAIL("over the capacity");
    }
    CHECK(most == capacity);  // every shard has reached its share, and they sum to it
  }
}

TEST_CASE("a weak hash still fills every shard", "[cache]") {
  struct identity {
    std::uint64_t operator()(int k) const { return static_cast<std::uint64_t>(k); }
  };
  cache<int, int, kcache::with_hash<identity>> c{{.capacity = 65'536}};
  REQUIRE(c.shard_count() == 64);
  for (int k = 0; k != 32'768; ++k) c.put(k, k);
  CHECK(c.size() == 32'768);
}

TEST_CASE("each cache has hash keys of its own, from its random source", "[cache]") {
  // Which of 32 keys survive in two shards of 8 depends on the keys of the hash alone.
  using kcache::seeded_random;
  struct replay : kcache::default_policies {
    using random = seeded_random;
  };
  auto const kept = [](std::uint64_t seed) {
    cache<int, int, replay> c{{.capacity = 16, .shards = 2, .random = seeded_random{seed}}};
    std::uint32_t mask = 0;
    for (int k = 0; k != 32; ++k) c.put(k, k);
    for (int k = 0; k != 32; ++k) mask |= c.contains(k) ? std::uint32_t{1} << k : 0;
    return mask;
  };
  CHECK(kept(1) == kept(1));
  CHECK((kept(1) != kept(2) || kept(1) != kept(3)));
}

TEST_CASE("stats", "[cache]") {
  manual_clock t;
  cache<int, int, timed> c{{.capacity = 2, .clock = t}};
  auto const none = c.stats();
  CHECK(none == cache_stats{.bytes = none.bytes});
  static_cast<void>(c.get(1));
  c.put(1, 1);
  static_cast<void>(c.get(1));
  static_cast<void>(c.get(1));
  static_cast<void>(c.get(1));
  static_cast<void>(c.peek(1));
  static_cast<void>(c.contains(5));
  c.put(1, 2);
  c.put(2, 2);
  c.put(3, 3);
  c.erase(3);
  c.erase(4);
  c.put(4, 4, 1s);
  t.advance(1s);
  static_cast<void>(c.get(4));
  c.recorder().on_load();
  c.recorder().on_load_failure();
  auto s = c.stats();
  CHECK(s.bytes > sizeof(int) * 2);
  s.bytes = 0;
  CHECK(s == cache_stats{.hits = 3,
                         .misses = 2,
                         .loads = 1,
                         .load_failures = 1,
                         .expired = 1,
                         .evicted = 1,
                         .replaced = 1,
                         .erased = 1,
                         .entries = 1,
                         .weight = 1});
  CHECK(s.hit_ratio() == 0.6);
}

TEST_CASE("bytes follow the entries", "[cache]") {
  cache<int, std::string> c{{.capacity = 1000}};
  for (int k = 0; k != 8; ++k) c.put(k, "");
  auto const eight = c.stats().bytes;
  CHECK(eight >= 8 * (sizeof(int) + 20));
  c.put(1, std::string(10'000, 'x'));
  auto const more = c.stats().bytes - eight;
  CHECK(more >= 10'000);
  CHECK(more <= 10'200);
  c.put(1, "");
  // What has left is freed within the next 64 that leave.
  for (int n = 0; n != 200; ++n) c.put(1, "");
  CHECK(c.stats().bytes <= eight + 200 * 40);
  CHECK(c.stats().bytes == c.memory_usage());
}

TEST_CASE("no_stats counts nothing", "[cache]") {
  cache<int, int, kcache::with_stats<kcache::no_stats>> c{{.capacity = 2}};
  c.put(1, 1);
  static_cast<void>(c.get(1));
  static_cast<void>(c.get(2));
  auto const s = c.stats();
  CHECK(s.hits + s.misses == 0);
  CHECK(s.entries == 1);
}

namespace {

int looked_at = 0;
void look(std::string_view v) { looked_at += static_cast<int>(v.size()); }
struct only_once {
  int* looks;
  void operator()(std::string_view) && { ++*looks; }
};
struct with_member {
  int n;
};
static_assert(kcache::visitor<void (with_member::*)(), with_member const&> == false);

}  // namespace

TEST_CASE("a visitor may be a function, and is forwarded", "[cache]") {
  kcache::cache<std::string, std::string> c{{.capacity = 8}};
  c.put("key", "value");
  CHECK(c.visit("key", look));
  CHECK(c.visit("key", &look));
  CHECK(looked_at == 10);
  int looks = 0;
  CHECK(c.visit("key", only_once{&looks}));
  CHECK_FALSE(c.visit("other", only_once{&looks}));
  CHECK(looks == 1);
}

TEST_CASE("an erase asks its guard, where there is something to erase") {
  kcache::cache<std::string, int> c{{.capacity = 4}};
  c.put("k", 1);
  int asked = 0;
  auto const says = [&asked](bool yes) {
    return [&asked, yes] { return ++asked, yes; };
  };
  CHECK_FALSE(c.erase_if("other", says(true)));
  CHECK(asked == 0);
  CHECK_FALSE(c.erase_if("k", says(false)));
  CHECK(asked == 1);
  CHECK(*c.peek("k") == 1);
  CHECK(c.erase_if("k", says(true)));
  CHECK_FALSE(c.peek("k"));
}
