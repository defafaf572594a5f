// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/shard_plan.hpp>

#include "support/catch.hpp"

#include <algorithm>
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
