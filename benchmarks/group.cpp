// SPDX-License-Identifier: BSL-1.0
// What a group costs beyond its cache: a hit, a load that somebody waits for, and many loads under
// way at once. Prints Markdown tables.
#include "bench.hpp"

#include <kcache/group.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

// Counted, of all threads.
void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

using namespace std::chrono_literals;

constexpr auto time_to_live = 1h;

/// Bytes that the program has from the heap; 0 where that cannot be told.
double heap_bytes() {
#if defined(__GLIBC__)
  struct mallinfo2 const m = ::mallinfo2();
  return static_cast<double>(m.uordblks) + static_cast<double>(m.hblkhd);
#else
  return 0;
#endif
}

struct numbers {
  static constexpr char const* title = "u64 -> u64";
  using key = std::uint64_t;
  using value = std::uint64_t;
  static key make_key(std::size_t i) { return bench::random{i}(); }
  static value make_value(key k) { return k ^ 1; }
  static std::uint64_t digest(value const& v) { return v; }
};
struct texts {
  static constexpr char const* title = "string of 16 B -> string of 100 B";
  using key = std::string;
  using value = std::string;
  static key make_key(std::size_t i) {
    std::string digits = std::to_string(i);
    return "key-" + std::string(12 - digits.size(), '0') + digits;
  }
  static value make_value(key const& k) { return k + std::string(84, 'v'); }
  static std::uint64_t digest(std::string_view v) {
    return v.size() + static_cast<unsigned char>(v[15]);
  }
};

/// Hits of `keys` in turn for a while: nanoseconds each.
template <class Kind, class Cache>
[[gnu::noinline]] double hits_ns(Cache& cache, std::vector<typename Kind::key> const& keys,
                                double sample_ms) {
  std::uint64_t sum = 0;
  std::size_t hits = 0;
  std::size_t reads = 0;
  auto const begun = bench::clock::now();
  double elapsed = 0;
  do {
    for (auto const& k : keys) {
      auto const found = cache.get(k);
      if (!found) continue;
      ++hits;
      if constexpr (requires { found.error(); }) sum += Kind::digest(**found);
      else sum += Kind::digest(*found);
    }
    reads += keys.size();
    elapsed = bench::nanoseconds(bench::clock::now() - begun);
  } while (elapsed < sample_ms * 1e6);
  bench::keep(sum);
  bench::expect(hits == reads, "a miss");
  return elapsed / static_cast<double>(reads);
}
/// The same once the processor's caches have what they can have of it.
template <class Kind, class Cache>
double hit_ns(Cache& cache, std::vector<typename Kind::key> const& keys, double sample_ms) {
  hits_ns<Kind>(cache, keys, 0);
  return hits_ns<Kind>(cache, keys, sample_ms);
}

template <class Kind>
void hit_rows(bench::plan const& plan, bench::neighbours& others, std::size_t entries) {
  using key = typename Kind::key;
  using value = typename Kind::value;
  std::vector<key> keys;
  for (std::size_t i = 0; i != entries; ++i) keys.push_back(Kind::make_key(i));
  auto const written = keys;
  bench::random random{7};
  for (std::size_t i = keys.size(); i > 1; --i) std::swap(keys[i - 1], keys[random() % i]);

  std::vector<double> bare, grouped, ratios;
  // A burst of the neighbours' is longer than a turn and shorter than all: the fastest is ours.
  constexpr int turns = 8;
  for (std::size_t i = 0; i != plan.repetitions; ++i) {
    // Others each time: how fast they are depends on the pages that they happen to get.
    kcache::cache<key, value> cache{{.capacity = 2 * entries, .ttl = time_to_live}};
    kcache::group<key, value> group{{.name = "g", .capacity = 2 * entries, .ttl = time_to_live},
                                    Kind::make_value};
    for (key const& k : written) {
      cache.put(key{k}, Kind::make_value(k));
      bench::expect(group.put(key{k}, Kind::make_value(k))->stored, "no put");
    }
    double one = 0;
    double other = 0;
    others.quietly([&] {
      one = other = std::numeric_limits<double>::max();
      for (int turn = 0; turn != turns; ++turn) {
        one = std::min(one, hit_ns<Kind>(cache, keys, plan.sample_ms / turns));
        other = std::min(other, hit_ns<Kind>(group, keys, plan.sample_ms / turns));
      }
    });
    bare.push_back(one);
    grouped.push_back(other);
    ratios.push_back(other / one);
  }
  bench::row({std::string{Kind::title} + ", " + std::to_string(entries) + " entries",
              bench::text(bench::figure::of(bare)), bench::text(bench::figure::of(grouped)),
              bench::text(bench::figure::of(ratios))});
}

void cold_rows(bench::plan const& plan, bench::neighbours& others) {
  std::size_t const gets = plan.quick() ? 1'000 : 20'000;
  kcache::group<std::string, std::string> group{
      {.name = "g", .capacity = 10 * gets, .ttl = time_to_live, .shards = 1},
      [](std::string const&) { return std::string{"a short value"}; }};
  // Keys and value are short enough to need no memory of their own: what is counted is the group's.
  char key[16];
  std::size_t next = 0;
  auto const get = [&] {
    int const length = std::snprintf(key, sizeof key, "k%zu", next++);
    bench::expect(
        group.get({key, static_cast<std::size_t>(length)}).has_value(), "no value");
  };
  for (std::size_t i = 0; i != 4 * gets; ++i) get();  // tables grow no more: the next step is far
  std::vector<double> ns, each;
  std::size_t const n = gets / plan.repetitions;
  for (std::size_t i = 0; i != plan.repetitions; ++i) {
    double taken = 0;
    double allocated = 0;
    others.quietly([&] {
      auto const before = allocations.load();
      auto const begun = bench::clock::now();
      for (std::size_t g = 0; g != n; ++g) get();
      taken = bench::nanoseconds(bench::clock::now() - begun) / static_cast<double>(n);
      allocated = static_cast<double>(allocations.load() - before) / static_cast<double>(n);
    });
    ns.push_back(taken);
    each.push_back(allocated);
  }
  bench::row({"a get of an absent key, loaded at once", bench::text(bench::figure::of(ns)),
              bench::text(bench::figure::of(each))});
}

using open_loads = std::vector<kcache::load_completion<std::string>>;

template <class Ask>
void loading_row(char const* title, std::size_t keys, Ask ask) {
  std::mutex mutex;
  open_loads open;
  open.reserve(keys);
  kcache::group<std::string, std::string> group{
      {.name = "g",
       .capacity = 2 * keys,
       .ttl = time_to_live,
       .max_loads = static_cast<unsigned>(2 * keys)},
      [&](std::string const&, kcache::load_context, kcache::load_completion<std::string> done) {
        std::lock_guard const lock{mutex};
        open.push_back(std::move(done));
      }};
  std::vector<std::string> names;
  for (std::size_t i = 0; i != keys; ++i) names.push_back(texts::make_key(i).substr(4));
  std::atomic<std::size_t> answered{0};
  double const before = heap_bytes();
  ask(group, names, answered);
  for (std::size_t begun = 0; begun != keys;) {
    std::this_thread::yield();
    std::lock_guard const lock{mutex};
    begun = open.size();
  }
  double const each = (heap_bytes() - before) / static_cast<double>(keys);
  for (auto& done : open) done("v");
  while (answered.load() != keys) std::this_thread::yield();
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", each);
  bench::row({title, std::to_string(keys), text});
}

}  // namespace

int main(int argc, char** argv) {
  auto const plan = bench::plan::of(argc, argv);
  bench::neighbours others{plan, {CLOCK_PROCESS_CPUTIME_ID}};

  std::puts("### A hit through a group, beside the same hit in a bare cache\n");
  bench::header({"entries", "cache, ns", "group, ns", "group / cache (bar: 1.15)"});
  for (std::size_t const entries : {std::size_t{10'000}, std::size_t{100'000}}) {
    hit_rows<numbers>(plan, others, entries);
    hit_rows<texts>(plan, others, entries);
  }

  std::puts("\n### A load that a caller waits for\n");
  bench::header({"", "ns", "allocations (bar: 1 beyond the stored entry)"});
  cold_rows(plan, others);

  std::puts("\n### Many keys loading at once (bar: 300 bytes each)\n");
  bench::header({"asked for by", "keys", "bytes each"});
  std::size_t const keys = plan.quick() ? 10'000 : 100'000;
  loading_row("async_get each", keys, [](auto& group, auto const& names, auto& answered) {
    for (auto const& name : names)
      group.async_get(name, group.now() + 1min, [&answered](auto const&) { ++answered; });
  });
  loading_row("one async_get_many", keys, [](auto& group, auto const& names, auto& answered) {
    group.async_get_many(names, group.now() + 1min,
                         [&answered](auto const& all) { answered += all.size(); });
  });
  others.report();
}
