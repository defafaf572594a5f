// SPDX-License-Identifier: BSL-1.0
#include <kcache/group_options.hpp>

#include "support/catch.hpp"

#include <kcache/policies/thread_pool.hpp>

#include <chrono>
#include <type_traits>

using namespace std::chrono_literals;

TEST_CASE("the defaults of a group are those that its header names") {
  STATIC_REQUIRE(std::is_aggregate_v<kcache::group_options<>>);
  kcache::group_options<> const o;
  CHECK(o.name.empty());
  CHECK(o.capacity == 0);  // to be given
  CHECK(o.ttl.is_never());
  CHECK(o.jitter == 0.1);
  CHECK(o.refresh_ahead == 1);
  CHECK(o.stale_while_revalidate == 0s);
  CHECK(o.stale_if_error == 0s);
  CHECK(o.retry_after == 1s);
  CHECK(o.negative_ttl == 1s);
  CHECK(o.max_negative_ttl == 5s);
  CHECK(o.error_ttl == 0s);
  CHECK(o.max_negative == 10'000);
  CHECK(o.max_loads == 64);
  CHECK(o.max_batch == 1'000);
  CHECK(o.max_queued_loads == 10'000);
  CHECK(o.deadline == 1s);
  CHECK(o.fallback_ttl == 1s);
  CHECK(o.max_fallback_loads == 64);
  CHECK(o.max_waiters == 10'000);
  CHECK(o.drain == 1s);
  CHECK(o.shards == 0);
  CHECK(o.max_entry_weight == 0);
}

TEST_CASE("a group is told what it needs by name") {
  kcache::group_options<> const o{.name = "scores", .capacity = 10, .ttl = 5s, .deadline = 250ms};
  CHECK(o.name == "scores");
  CHECK(o.ttl == kcache::ttl{5s});
  CHECK(o.deadline == 250ms);
  CHECK(o.drain == 1s);
}

TEST_CASE("a fresh group has counted nothing") {
  kcache::group_stats const s;
  CHECK(s.loads + s.load_failures + s.not_found + s.fallback_loads + s.refreshes + s.batches +
            s.shed + s.absent + s.stale + s.fetches + s.fetch_failures + s.served ==
        0);
  CHECK(s.cache.hits == 0);
}
