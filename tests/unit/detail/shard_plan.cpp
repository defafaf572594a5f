// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/shard_plan.hpp>

#include "support/catch.hpp"

#include <kcache/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

using kcache::detail::shard_plan;

TEST_CASE("shares sum to the capacity and differ by at most 1", "[shard_plan]") {
  for (std::size_t const shards : {1U, 2U, 16U, 64U, 65'536U}) {
    for (std::uint64_t const capacity :
         {std::uint64_t{shards}, std::uint64_t{shards} + 1, 3 * std::uint64_t{shards} - 1,
          std::uint64_t{1'000'003}, UINT64_MAX}) {
      shard_plan const plan{
          {.capacity = capacity, .shards = shards, .max_entry_weight = 0, .weighed = false}};
      std::uint64_t sum = 0;
      std::uint64_t least = UINT64_MAX;
      std::uint64_t most = 0;
      for (std::size_t i = 0; i != shards; ++i) {
        sum += plan.share(i);
        least = std::min(least, plan.share(i));
        most = std::max(most, plan.share(i));
        CHECK(plan.heaviest(i) == plan.share(i));
      }
      CHECK(sum == capacity);
      CHECK(most - least <= 1);
    }
  }
}

TEST_CASE("a shard is chosen by the high bits", "[shard_plan]") {
  auto const of = [](std::size_t shards, std::uint64_t hash) {
    return shard_plan{{.capacity = 1 << 20,
                       .shards = shards,
                       .max_entry_weight = 0,
                       .weighed = false}}
        .shard_of(hash);
  };
  CHECK(of(1, 0) == 0);
  CHECK(of(1, UINT64_MAX) == 0);
  CHECK(of(2, UINT64_MAX >> 1U) == 0);
  CHECK(of(2, std::uint64_t{1} << 63U) == 1);
  CHECK(of(64, UINT64_MAX) == 63);
  CHECK(of(64, std::uint64_t{5} << 58U) == 5);
  CHECK(of(65'536, UINT64_MAX) == 65'535);
}

TEST_CASE("another capacity: the same shards, the same limits", "[shard_plan]") {
  shard_plan const plan{
      {.capacity = 1000, .shards = 0, .max_entry_weight = 10, .weighed = true}};
  CHECK(plan.shards() == 8);
  auto const more = plan.resized(1'000'000);
  CHECK(more.shards() == 8);
  CHECK(more.capacity() == 1'000'000);
  CHECK(more.heaviest(0) == 10);
  for (std::uint64_t hash = 1; hash != 0; hash <<= 1U) {
    CHECK(more.shard_of(hash) == plan.shard_of(hash));
  }
  CHECK(plan.resized(80).share(7) == 10);
  for (std::uint64_t const little : {0U, 7U, 9U, 79U}) {
    CHECK_THROWS_AS(plan.resized(little), kcache::failure);
  }
  CHECK(plan.capacity() == 1000);

  shard_plan const unlimited{
      {.capacity = 100, .shards = 0, .max_entry_weight = 0, .weighed = true}};
  CHECK(unlimited.shards() == 1);
  CHECK(unlimited.resized(50).heaviest(0) == 50);
}

TEST_CASE("large caches have more shards, none of them too large for a narrow index",
          "[shard_plan]") {
  auto const shards = [](std::uint64_t capacity, bool weighed) {
    return shard_plan{{.capacity = capacity,
                       .shards = 0,
                       .max_entry_weight = weighed ? 1U : 0U,
                       .weighed = weighed}}
        .shards();
  };
  CHECK(shards(2'047, false) == 1);
  CHECK(shards(2'048, false) == 2);
  CHECK(shards(65'536, false) == 64);
  CHECK(shards(64 * 65'536, false) == 64);
  CHECK(shards(64 * 65'536 + 1, false) == 128);
  CHECK(shards(128 * 65'536 + 1, false) == 256);
  CHECK(shards(UINT64_MAX, false) == 256);
  // Weights say nothing of how many entries there are.
  CHECK(shards(UINT64_MAX, true) == 64);
}

TEST_CASE("shares shrink and grow together", "[shard_plan]") {
  // So that shards may be told one after the other, and the sum never exceeds the larger.
  for (std::uint64_t capacity = 16; capacity != 80; ++capacity) {
    shard_plan const plan{
        {.capacity = capacity, .shards = 16, .max_entry_weight = 0, .weighed = false}};
    for (std::size_t i = 0; i != 16; ++i) {
      CHECK(plan.resized(capacity + 1).share(i) >= plan.share(i));
    }
  }
}
