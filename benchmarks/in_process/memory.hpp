// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_MEMORY_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_MEMORY_HPP
/// \file
/// What an entry costs: the bytes by which the allocator's figure grows while one thread makes and
/// fills a cache, for each entry that is there in the end.

#include "report.hpp"
#include "run.hpp"
#include "workloads.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
#include <malloc.h>
#define BENCH_HAS_MALLINFO2
#endif

namespace bench {

[[nodiscard]] inline std::optional<std::uint64_t> bytes_in_use() {
#ifdef BENCH_HAS_MALLINFO2
  struct mallinfo2 const m = mallinfo2();
  return m.uordblks + m.hblkhd;
#else
  return std::nullopt;
#endif
}

template <class Kind>
void memory_table(run& r) {
  if (!r.wants(std::string{"memory-"} + Kind::name)) return;
  validate_all<Kind>();
  if (!bytes_in_use()) {
    std::puts("\nSKIPPED: bytes per entry need mallinfo2 (glibc 2.33)");
    return;
  }
  std::size_t const capacity = r.quick ? r.capacities.back() : 1'000'000;
  heading(std::string{"bytes per entry, "} + Kind::title + ", capacity " + grouped(capacity));
  header({"cache", "entries", "bytes, by the allocator", "as the cache tells", "off by"});
  each_contestant<Kind>([&]<class C>() {
    if (!r.admits(C::name, C::part)) return;
    auto const before = *bytes_in_use();
    auto const cache = std::make_unique<C>(capacity);
    typename Kind::value_source source;
    for (std::size_t i = 0; i != capacity + capacity / 4; ++i)
      put_new<C, Kind>(*cache, Kind::arg(Kind::make(i)), source);
    auto const grown = static_cast<double>(*bytes_in_use() - before);
    std::size_t const entries = cache->size() == 0 ? capacity : cache->size();
    double const each = grown / static_cast<double>(entries);
    std::string told, off;
    if constexpr (requires { cache->bytes(); }) {
      auto const bytes = static_cast<double>(cache->bytes());
      told = decimal(bytes / static_cast<double>(entries), 1);
      off = decimal(100 * (bytes / grown - 1), 1) + " %";
    }
    row({C::name, grouped(entries), decimal(each, 1), told, off});
    r.findings.push_back(
        {"memory", Kind::name, capacity, 1, C::name, C::part, "bytes", {each, each, each}});
  });
}

}  // namespace bench

#endif
