// SPDX-License-Identifier: BSL-1.0
// What a cache says that it takes, beside what the allocator says.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/sanitized.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/w_tinylfu.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

/// Bytes of the heap that are in use, or 0 where they cannot be had: with a sanitizer's allocator,
/// without mallinfo2.
std::size_t heap_in_use() {
#if defined(__GLIBC__) && !KCACHE_TESTS_SANITIZED
#if __GLIBC_PREREQ(2, 33)
  auto const info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
#else
  return 0;
#endif
}
bool heap_can_be_asked() {
  if (heap_in_use() != 0) return true;
  WARN("skipped: this allocator does not tell how much is in use");
  return false;
}

/// What it says, and what the allocator says of the same.
struct usage {
  double said;
  double taken;
};
template <class Cache, class Fill>
usage measure(kcache::cache_options<typename Cache::policies_type> options, Fill const& fill) {
  std::size_t const before = heap_in_use();
  auto const c = std::make_unique<Cache>(std::move(options));
  fill(*c);
  usage const u{static_cast<double>(c->memory_usage()),
                static_cast<double>(heap_in_use() - before)};
  CHECK(c->stats().bytes == c->memory_usage());
  return u;
}
void check_within_a_tenth(usage const& u) {
  INFO("said " << u.said << ", taken " << u.taken);
  CHECK(u.said >= 0.9 * u.taken);
  CHECK(u.said <= 1.1 * u.taken);
}

using numbers = kcache::cache<std::uint64_t, std::uint64_t>;
using texts = kcache::cache<std::string, std::string>;

constexpr std::uint64_t million = 1'000'000;

/// A key of 16 bytes.
struct key16 {
  char text[17];
  explicit key16(std::uint64_t n) noexcept {
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(n));
  }
  [[nodiscard]] std::string_view view() const noexcept { return {text, 16}; }
};
template <class Cache>
void fill_numbers(Cache& c, std::uint64_t n) {
  for (std::uint64_t k = 0; k != n; ++k) c.put(k, k);
}
template <class Cache>
void fill_texts(Cache& c, std::uint64_t n) {
  std::string const value(100, 'v');
  for (std::uint64_t k = 0; k != n; ++k) c.put(key16{k}.view(), value);
}

/// Owns memory, and says how much if it is asked.
struct quiet {
  std::vector<char> bytes;
};
struct telling {
  std::vector<char> bytes;
  std::size_t id = 0;
  friend bool operator==(telling const& a, telling const& b) { return a.id == b.id; }
};
struct by_id {
  std::uint64_t operator()(telling const& t) const noexcept { return t.id; }
};

}  // namespace

template <>
struct kcache::storage_traits<telling> {
  using view_type = telling const&;
  static view_type view(telling const& t) noexcept { return t; }
  static std::size_t heap_bytes(telling const& t) noexcept { return t.bytes.capacity(); }
};

TEST_CASE("a million of u64 -> u64: what is said, and 42 bytes an entry", "[cache_memory]") {
  if (!heap_can_be_asked()) return;
  // Twice as many puts as there is room: full, every shard at its share.
  auto const u = measure<numbers>({.capacity = million}, [](numbers& c) {
    fill_numbers(c, 2 * million);
    CHECK(c.size() == million);
  });
  check_within_a_tenth(u);
  CHECK(u.taken / 1e6 <= 42);
}

TEST_CASE("a million of 16 -> 100 bytes: what is said, and 170 bytes an entry",
          "[cache_memory]") {
  if (!heap_can_be_asked()) return;
  auto const u = measure<texts>({.capacity = million}, [](texts& c) {
    fill_texts(c, 5 * million / 4);
    CHECK(c.size() == million);
  });
  check_within_a_tenth(u);
  CHECK(u.taken / 1e6 <= 170);
}

TEST_CASE("what is said holds for other policies, with times to live, half full",
          "[cache_memory]") {
  if (!heap_can_be_asked()) return;
  using namespace std::chrono_literals;
  constexpr std::uint64_t n = 100'000;
  check_within_a_tenth(measure<numbers>({.capacity = n, .ttl = 60s},
                                        [&](numbers& c) { fill_numbers(c, 2 * n); }));
  check_within_a_tenth(
      measure<numbers>({.capacity = 2 * n}, [&](numbers& c) { fill_numbers(c, n); }));
  check_within_a_tenth(measure<texts>({.capacity = 2 * n, .ttl = 60s},
                                      [&](texts& c) { fill_texts(c, n); }));
  using s3 = kcache::cache<std::uint64_t, std::uint64_t, kcache::with_eviction<kcache::s3_fifo>>;
  check_within_a_tenth(
      measure<s3>({.capacity = n}, [&](s3& c) { fill_numbers(c, 2 * n); }));
  using lfu =
      kcache::cache<std::uint64_t, std::uint64_t, kcache::with_eviction<kcache::w_tinylfu>>;
  check_within_a_tenth(
      measure<lfu>({.capacity = n}, [&](lfu& c) { fill_numbers(c, 2 * n); }));
  using bits =
      kcache::cache<std::uint64_t, std::string, kcache::with_eviction<kcache::clock_hand>>;
  check_within_a_tenth(measure<bits>({.capacity = n}, [&](bits& c) {
    std::string const value(1000, 'v');
    for (std::uint64_t k = 0; k != n; ++k) c.put(k, value);
  }));
}

TEST_CASE("growing and emptying leaves nothing that is not said", "[cache_memory]") {
  if (!heap_can_be_asked()) return;
  auto const u = measure<texts>({.capacity = 100'000}, [](texts& c) {
    for (int round = 0; round != 3; ++round) {
      fill_texts(c, 100'000);
      c.clear();
    }
    fill_texts(c, 50'000);
  });
  check_within_a_tenth(u);
}

TEST_CASE("what a type tells of its heap is counted while the entry is there",
          "[cache_memory]") {
  using cache = kcache::cache<int, telling>;
  cache c{{.capacity = 100}};
  auto const value = [](std::size_t bytes) {
    telling t;
    t.bytes.reserve(bytes);
    return t;
  };
  c.put(1, value(0));
  c.put(2, value(0));
  auto const before = c.memory_usage();
  c.put(1, value(1'000'000));
  auto const with = c.memory_usage();
  CHECK(with >= before + 1'000'000);
  CHECK(with <= before + 1'001'000);
  c.put(2, value(2'000'000));
  CHECK(c.memory_usage() >= before + 3'000'000);
  // Replaced, erased, evicted and cleared: uncounted, at the latest when 64 more have left.
  auto const settle = [&] {
    for (int n = 0; n != 200; ++n) c.put(99, value(0));
    return c.memory_usage();
  };
  c.put(1, value(10));
  CHECK(settle() < before + 2'010'000);
  c.erase(2);
  CHECK(settle() < before + 10'000);
  c.put(3, value(1'000'000));
  c.set_capacity(1);
  CHECK(settle() < before + 10'000);
  c.put(4, value(1'000'000));
  c.clear();
  CHECK(settle() < before + 10'000);

  // Keys count too.
  kcache::cache<telling, int, kcache::with_hash<by_id>> keyed{{.capacity = 100}};
  auto const none = keyed.memory_usage();
  keyed.put(value(1'000'000), 1);
  CHECK(keyed.memory_usage() >= none + 1'000'000);
  CHECK(keyed.erase(value(0)));
  CHECK(keyed.memory_usage() < none + 10'000);

  // Who says nothing is not asked.
  kcache::cache<int, quiet> q{{.capacity = 100}};
  auto const silent = q.memory_usage();
  q.put(1, quiet{std::vector<char>(1'000'000)});
  CHECK(q.memory_usage() < silent + 10'000);
}

TEST_CASE("a value that only a handle keeps is not the cache's", "[cache_memory]") {
  texts c{{.capacity = 100}};
  c.put("other", "x");
  auto const before = c.memory_usage();
  auto const kept = c.put("key", std::string(1'000'000, 'x')).entry;
  CHECK(c.memory_usage() >= before + 1'000'000);
  c.erase("key");
  for (int n = 0; n != 200; ++n) c.put("other", "x");
  CHECK(c.memory_usage() < before + 100'000);
  CHECK(kept->size() == 1'000'000);
}
