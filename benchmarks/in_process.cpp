// SPDX-License-Identifier: BSL-1.0
// One process: get, put and read-through of kcache::cache and kcache::group, beside a list, a map
// and one mutex (list_map_cache.hpp). Prints Markdown tables.
#include "bench.hpp"
#include "list_map_cache.hpp"

#include <kcache/cache.hpp>
#include <kcache/group.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
#include <malloc.h>
#define BENCH_HAS_MALLINFO2
#endif

namespace {

constexpr std::uint64_t few_keys = 1'000;
std::uint64_t many_keys = 100'000;  // `--quick`: fewer
constexpr unsigned most_threads = 2;

/// u64 -> u64.
struct numbers {
  static constexpr char const* name = "u64 to u64";
  using key = std::uint64_t;
  using value = std::uint64_t;
  using plain_value = std::uint64_t;
  // Scattered: consecutive ones would flatter a map whose hash is the number itself.
  static key make_key(std::uint64_t n) { return bench::random{n}(); }
  static value make_value() { return 630; }
  static plain_value make_plain_value() { return 630; }
};

/// 16 bytes -> 100 bytes. The base line shares its values, as kcache does, in place of copying.
struct texts {
  static constexpr char const* name = "16 B to 100 B";
  using key = std::string;
  using value = std::string;
  using plain_value = std::shared_ptr<std::string const>;
  static key make_key(std::uint64_t n) {
    std::array<char, 16> digits;
    for (auto& d : digits) {
      d = "0123456789abcdef"[n & 15U];
      n >>= 4U;
    }
    return {digits.data(), digits.size()};
  }
  static value make_value() { return value(100, 'v'); }
  static plain_value make_plain_value() { return std::make_shared<std::string const>(100, 'v'); }
};

/// Keys in a random order, each thread with an order of its own; drawn from `among` keys, of which
/// the first is number `first`.
template <class Kind>
class key_sequence {
 public:
  using key = typename Kind::key;

  explicit key_sequence(std::uint64_t among, std::uint64_t first = 0) {
    for (unsigned t = 0; t != most_threads; ++t) {
      bench::random random{t + 1};
      keys_[t].reserve(size);
      while (keys_[t].size() != size) keys_[t].push_back(Kind::make_key(first + random() % among));
    }
  }

  template <class F>
  void each(unsigned t, std::size_t n, F f) {
    std::size_t at = next_[t].at;
    for (; n != 0; --n) f(keys_[t][at++ % size]);
    next_[t].at = at % size;
  }

 private:
  static constexpr std::size_t size = std::size_t{1} << 17U;
  struct alignas(64) position {
    std::size_t at = 0;
  };
  std::array<std::vector<key>, most_threads> keys_;
  std::array<position, most_threads> next_;
};

/// Keys that were never there before.
template <class Kind>
class new_keys {
 public:
  template <class F>
  void each(unsigned t, std::size_t n, F f) {
    std::uint64_t at = next_[t].at;
    for (; n != 0; --n) f(Kind::make_key((std::uint64_t{t + 1} << 40U) + at++));
    next_[t].at = at;
  }

 private:
  struct alignas(64) position {
    std::uint64_t at = 0;
  };
  std::array<position, most_threads> next_;
};

struct contenders {
  bench::operation kcache;
  bench::operation plain;
};

/// Everything that is measured for one pair of types. Each test makes what it needs, so that one
/// leaves nothing behind for the next.
template <class Kind>
struct tests {
  using key = typename Kind::key;
  using value = typename Kind::value;
  using plain_value = typename Kind::plain_value;
  using cache = kcache::cache<key, value>;
  using group = kcache::group<key, value>;
  using plain = list_map_cache<key, plain_value>;

  static std::shared_ptr<cache> filled(std::uint64_t entries, std::uint64_t capacity,
                                       kcache::ttl ttl = kcache::ttl::never()) {
    auto c = std::make_shared<cache>(kcache::cache_options<>{.capacity = capacity, .ttl = ttl});
    for (std::uint64_t i = 0; i != entries; ++i) c->put(Kind::make_key(i), Kind::make_value());
    return c;
  }
  static std::shared_ptr<plain> filled_plain(std::uint64_t entries, std::uint64_t capacity) {
    auto c = std::make_shared<plain>(capacity);
    for (std::uint64_t i = 0; i != entries; ++i)
      c->put(Kind::make_key(i), Kind::make_plain_value());
    return c;
  }
  // Twice the room: no shard has to evict.
  static std::uint64_t roomy() { return 2 * many_keys; }

  static contenders hits(std::uint64_t among) {
    auto const keys = std::make_shared<key_sequence<Kind>>(among);
    auto const c = filled(among, roomy());
    auto const p = filled_plain(among, roomy());
    return {[=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) { bench::keep(c->get(k)); });
            },
            [=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) { bench::keep(p->get(k)); });
            }};
  }

  static contenders misses() {
    auto const keys = std::make_shared<key_sequence<Kind>>(many_keys, many_keys);
    auto const c = filled(many_keys, roomy());
    auto const p = filled_plain(many_keys, roomy());
    return {[=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) { bench::keep(c->get(k)); });
            },
            [=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) { bench::keep(p->get(k)); });
            }};
  }

  static contenders puts_over(kcache::ttl ttl) {
    auto const keys = std::make_shared<key_sequence<Kind>>(many_keys);
    auto const c = filled(many_keys, roomy(), ttl);
    auto const p = filled_plain(many_keys, roomy());
    return {[=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) { c->put(k, Kind::make_value()); });
            },
            [=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) { p->put(k, Kind::make_plain_value()); });
            }};
  }

  static contenders puts_that_evict() {
    auto const keys = std::make_shared<new_keys<Kind>>();
    auto const plain_keys = std::make_shared<new_keys<Kind>>();
    auto const c = filled(many_keys, many_keys);
    auto const p = filled_plain(many_keys, many_keys);
    return {[=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key k) { c->put(std::move(k), Kind::make_value()); });
            },
            [=](unsigned t, std::size_t n) {
              plain_keys->each(t, n, [&](key k) { p->put(k, Kind::make_plain_value()); });
            }};
  }

  static std::shared_ptr<group> group_of(std::uint64_t capacity) {
    return std::make_shared<group>(kcache::group_options<>{.name = "g", .capacity = capacity},
                                   [](key const&) { return Kind::make_value(); });
  }

  static contenders read_through_hits() {
    auto const keys = std::make_shared<key_sequence<Kind>>(many_keys);
    auto const g = group_of(roomy());
    for (std::uint64_t i = 0; i != many_keys; ++i)
      bench::expect(g->get(Kind::make_key(i)).has_value(), "a load fails");
    auto const p = filled_plain(many_keys, roomy());
    return {[=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) { bench::keep(g->get(k)); });
            },
            [=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) { bench::keep(p->get(k)); });
            }};
  }

  static contenders read_through_misses() {
    auto const keys = std::make_shared<new_keys<Kind>>();
    auto const plain_keys = std::make_shared<new_keys<Kind>>();
    auto const g = group_of(many_keys);
    auto const p = filled_plain(many_keys, many_keys);
    return {[=](unsigned t, std::size_t n) {
              keys->each(t, n, [&](key const& k) {
                auto const r = g->get(k);
                bench::expect(r.has_value(), "a load fails");
              });
            },
            [=](unsigned t, std::size_t n) {
              plain_keys->each(t, n, [&](key const& k) {
                auto v = p->get(k);
                if (!v) p->put(k, *(v = Kind::make_plain_value()));
                bench::keep(v);
              });
            }};
  }
};

using makers = contenders (*)();

struct test {
  char const* name;
  makers of_numbers;
  makers of_texts;
};

template <class Kind>
contenders few_hits() {
  return tests<Kind>::hits(few_keys);
}
template <class Kind>
contenders many_hits() {
  return tests<Kind>::hits(many_keys);
}
template <class Kind>
contenders puts_over() {
  return tests<Kind>::puts_over(kcache::ttl::never());
}
template <class Kind>
contenders puts_over_with_ttl() {
  return tests<Kind>::puts_over(std::chrono::hours{1});
}

constexpr test all_tests[] = {
    {"get, hit, 1,000 keys", few_hits<numbers>, few_hits<texts>},
    {"get, hit, 100,000 keys", many_hits<numbers>, many_hits<texts>},
    {"get, miss", tests<numbers>::misses, tests<texts>::misses},
    {"put over an entry", puts_over<numbers>, puts_over<texts>},
    {"put over an entry, kcache with a TTL", puts_over_with_ttl<numbers>,
     puts_over_with_ttl<texts>},
    {"put of a new key, full", tests<numbers>::puts_that_evict, tests<texts>::puts_that_evict},
    {"read-through, hit", tests<numbers>::read_through_hits, tests<texts>::read_through_hits},
    {"read-through, miss, full", tests<numbers>::read_through_misses,
     tests<texts>::read_through_misses},
};

void measure(bench::plan const& p) {
  bench::neighbours others{p, {CLOCK_PROCESS_CPUTIME_ID}};
  bench::header({"ns per call", "threads", "u64: kcache", "u64: list + map", "text: kcache",
                 "text: list + map"});
  for (auto const& t : all_tests)
    for (unsigned threads = 1; threads <= most_threads; ++threads) {
      std::vector<std::string> cells{t.name, std::to_string(threads)};
      for (auto const make : {t.of_numbers, t.of_texts}) {
        contenders const c = make();
        for (auto const& f : bench::compare(p, others, threads, {c.kcache, c.plain}))
          cells.push_back(bench::text(f));
      }
      bench::row(cells);
    }
  others.report();
}

#ifdef BENCH_HAS_MALLINFO2

std::uint64_t bytes_in_use() {
  struct mallinfo2 const m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

template <class Make>
double bytes_per_entry(Make make) {
  std::uint64_t const before = bytes_in_use();
  auto const c = make();
  return static_cast<double>(bytes_in_use() - before) / static_cast<double>(many_keys);
}

template <class Kind>
void measure_memory() {
  auto const number = [](double n) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.0f", n);
    return std::string{buffer};
  };
  double told = 0;
  double const kcache = bytes_per_entry([&told] {
    auto c = tests<Kind>::filled(many_keys, tests<Kind>::roomy());
    told = static_cast<double>(c->stats().bytes) / static_cast<double>(many_keys);
    return c;
  });
  double const plain =
      bytes_per_entry([] { return tests<Kind>::filled_plain(many_keys, tests<Kind>::roomy()); });
  bench::row({Kind::name, number(kcache), number(told), number(plain)});
}

#endif

}  // namespace

int main(int argc, char** argv) {
  auto const p = bench::plan::of(argc, argv);
  if (p.quick()) many_keys = few_keys;
  measure(p);
#ifdef BENCH_HAS_MALLINFO2
  std::puts("");
  bench::header({"bytes per entry, 100,000 entries", "kcache, by the allocator",
                 "kcache, by `stats().bytes`", "list + map, by the allocator"});
  measure_memory<numbers>();
  measure_memory<texts>();
#endif
}
