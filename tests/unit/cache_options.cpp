// SPDX-License-Identifier: BSL-1.0
#include <kcache/cache_options.hpp>

#include "support/catch.hpp"

#include <kcache/cache.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <type_traits>

using namespace std::chrono_literals;
using kcache::cache;
using kcache::cache_options;
using kcache::errc;
using kcache::failure;
using kcache::ttl;

namespace {

struct by_value {
  std::uint64_t operator()(int, int v) const { return static_cast<std::uint64_t>(v); }
};
using weighed = kcache::with_weigher<by_value>;

/// Why the options are refused; empty if they are not.
template <class Policies = kcache::default_policies>
std::string refusal(cache_options<Policies> options) {
  try {
    cache<int, int, Policies> c{std::move(options)};
    return {};
  } catch (failure const& f) {
    CHECK(f.kind() == errc::invalid_options);
    return f.what();
  }
}

bool says(std::string const& refusal, char const* words) {
  INFO(refusal);
  bool const said = refusal.find(words) != std::string::npos;
  CHECK(said);
  return said;
}

}  // namespace

static_assert(std::is_aggregate_v<cache_options<>>);

TEST_CASE("defaults", "[cache_options]") {
  cache_options<> const o;
  CHECK(o.capacity == 0);
  CHECK(o.ttl.is_never());
  CHECK(o.shards == 0);
  CHECK(o.max_entry_weight == 0);
}

TEST_CASE("contradictions are refused in clear words", "[cache_options]") {
  CHECK(says(refusal<>({}), "capacity must be at least 1"));
  CHECK(says(refusal<>({.capacity = 10, .shards = 3}), "power of two"));
  CHECK(says(refusal<>({.capacity = 1 << 20, .shards = 1 << 17}), "65536"));
  CHECK(says(refusal<>({.capacity = 10, .shards = 16}), "more shards than capacity"));
  CHECK(says(refusal<>({.capacity = 10, .ttl = 0s}), "ttl must be positive"));
  CHECK(says(refusal<>({.capacity = 10, .ttl = -1s}), "ttl must be positive"));
  CHECK(says(refusal<>({.capacity = 10, .max_entry_weight = 5}), "needs a weigher"));
  CHECK(says(refusal<weighed>({.capacity = 10, .max_entry_weight = 11}), "more than the capacity"));
  CHECK(says(refusal<weighed>({.capacity = 10, .shards = 4, .max_entry_weight = 3}),
             "use fewer shards"));
}

TEST_CASE("what is in range is taken", "[cache_options]") {
  CHECK(refusal<>({.capacity = 1}).empty());
  CHECK(refusal<>({.capacity = UINT64_MAX}).empty());
  CHECK(refusal<>({.capacity = 16, .shards = 16}).empty());
  CHECK(refusal<>({.capacity = 10, .ttl = ttl::use_default()}).empty());
  CHECK(refusal<>({.capacity = 10, .ttl = 1ns}).empty());
  CHECK(refusal<>({.capacity = 10, .max_entry_weight = 1}).empty());
  CHECK(refusal<weighed>({.capacity = 10, .max_entry_weight = 10}).empty());
  CHECK(refusal<weighed>({.capacity = 10, .shards = 4, .max_entry_weight = 2}).empty());
}

TEST_CASE("the number of shards", "[cache_options]") {
  auto const of = [](cache_options<> const& o) { return cache<int, int>{o}.shard_count(); };
  CHECK(of({.capacity = 1}) == 1);
  CHECK(of({.capacity = 2047}) == 1);
  CHECK(of({.capacity = 2048}) == 2);
  CHECK(of({.capacity = 10'000}) == 8);
  CHECK(of({.capacity = 65'536}) == 64);
  CHECK(of({.capacity = 64 * 65'536}) == 64);
  CHECK(of({.capacity = UINT64_MAX}) == 256);
  CHECK(of({.capacity = 8, .shards = 8}) == 8);

  auto const of_weighed = [](cache_options<weighed> const& o) {
    return cache<int, int, weighed>{o}.shard_count();
  };
  CHECK(of_weighed({.capacity = 1 << 30}) == 1);
  CHECK(of_weighed({.capacity = 1 << 30, .max_entry_weight = 1 << 20}) == 64);
  CHECK(of_weighed({.capacity = 1 << 30, .max_entry_weight = 1 << 27}) == 1);
  CHECK(of_weighed({.capacity = 1 << 30, .max_entry_weight = 1 << 26}) == 2);
  CHECK(of_weighed({.capacity = UINT64_MAX, .max_entry_weight = UINT64_MAX}) == 1);
}

TEST_CASE("a default ttl that says default means never", "[cache_options]") {
  CHECK(cache<int, int>{{.capacity = 1, .ttl = ttl::use_default()}}.default_ttl().is_never());
  CHECK(cache<int, int>{{.capacity = 1}}.default_ttl().is_never());
  CHECK(cache<int, int>{{.capacity = 1, .ttl = 5s}}.default_ttl() == ttl{5s});
}
