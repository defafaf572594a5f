// SPDX-License-Identifier: BSL-1.0
// The examples in the headers of floors 0 to 4, built and run (tests/architecture/snippets.py).
#include <kcache/cache.hpp>
#include <kcache/cluster/cluster.hpp>
#include <kcache/cluster/wire_traits.hpp>
#include <kcache/group.hpp>
#include <kcache/policies/key_counting_stats.hpp>
#include <kcache/policies/ticking_clock.hpp>
#include <kcache/testing/codec_laws.hpp>
#include <kcache/testing/eviction_bench.hpp>
#include <kcache/testing/eviction_laws.hpp>
#include <kcache/testing/manual_clock.hpp>
#include <kcache/testing/manual_executor.hpp>
#include <kcache/testing/plain_codec.hpp>
#include <kcache/testing/scripted_loader.hpp>
#include <kcache/testing/simulated_network.hpp>

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

using namespace std::chrono_literals;

// examples/loader.hpp/1: not code
// examples/loader.hpp/2: not code
// examples/cluster/fetch_fsm.hpp/1: not code
// examples/cluster/peer_health.hpp/1: not code

namespace {

struct my_policies : kcache::default_policies {};
#include "examples/policies/faults.hpp/1"

// What the examples take for granted.
struct page {
  std::string text;
};
struct lease {
  kcache::duration length{};
};
struct user {
  std::uint64_t id = 0;
  bool operator==(user const&) const = default;
};
struct point {
  int x = 0;
  int y = 0;
};
struct {
  std::optional<user> find_user(std::string const& id) const {
    ++loads;
    if (id == "tom") return user{630};
    return std::nullopt;
  }
  mutable int loads = 0;
} const db;

using my_policy = kcache::fifo;
using my_codec = kcache::testing::plain_codec;

int used = 0;
void use(int score) { used += score; }
void use(kcache::handle<int> const& score) { use(*score); }
void greet(user const& u) { used += static_cast<int>(u.id); }

void expect(bool holds, char const* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::exit(1);
}

void caches() {
#include "examples/cache.hpp/1"
  expect(used == 630, "the cache's example reads what it put");
  {
    auto& cache = scores;
#include "examples/handle.hpp/1"
  }
  expect(used == 1260, "the handle's example reads it too");
  kcache::cache<int, int> made{
#include "examples/cache_options.hpp/1"
  };
  expect(made.default_ttl() == kcache::ttl{60s}, "the options' example has a minute");
}

void policies() {
  {
#include "examples/policies.hpp/1"
    static_assert(std::is_same_v<decltype(b)::eviction_type, kcache::fifo>);
    a.put(1, {});
    b.put(1, {});
  }
  {
#include "examples/policies/clock.hpp/1"
    static_assert(std::is_same_v<cache::clock_type, kcache::steady_clock>);
  }
  {
#include "examples/policies/ticking_clock.hpp/1"
    c.put(1, {});
    expect(c.contains(1), "a cache with a ticking clock");
  }
  {
#include "examples/policies/eviction.hpp/1"
#include "examples/testing/eviction_laws.hpp/1"
    std::size_t const capacity = 2, keys = 3, trace[] = {0, 1, 0, 2};
    std::size_t hits = 0;
#include "examples/testing/eviction_bench.hpp/1"
    expect(hits == 1, "a trace through a policy alone");
#include "examples/testing/codec_laws.hpp/1"
  }
  {
#include "examples/policies/expiry.hpp/1"
    kcache::cache<int, lease, kcache::with_expiry<by_lease>> c{{.capacity = 8}};
    c.put(1, {1h});
    c.put(2, {0s});
    expect(c.contains(1) && !c.contains(2), "an expiry by value");
  }
  {
#include "examples/policies/expiry.hpp/2"
    c.put(1, {});
    expect(c.contains(1), "a cache of sessions");
  }
  {
#include "examples/policies/expiry.hpp/3"
    c.put(1, {});
    expect(c.contains(1), "expiry with jitter");
  }
  {
#include "examples/policies/hash.hpp/1"
    c.put({7}, 1);
    expect(c.contains({7}), "a hash of one's own");
  }
  {
#include "examples/policies/random.hpp/1"
    c.put(1, 1);
  }
  {
#include "examples/policies/removal.hpp/1"
    c.put("a", 1);
    c.clear();
  }
  {
#include "examples/policies/key_counting_stats.hpp/1"
    c.put(17, {});
    static_cast<void>(c.get(17));
    expect(c.hits_of(17) == 1, "a cache that counts hits by key");
  }
  {
#include "examples/policies/stats.hpp/1"
    c.put(1, {});
    expect(c.stats().hits == 0, "a cache without counters");
  }
  {
#include "examples/policies/weigher.hpp/1"
    c.put(1, "four");
    expect(c.weight() == 4, "a weigher of one's own");
  }
}

void time_and_executor() {
  {
#include "examples/testing/manual_clock.hpp/1"
    expect(t.now() == kcache::testing::manual_clock{}.now() + 5s, "time that passes when told");
  }
  {
#include "examples/testing/manual_executor.hpp/1"
  }
  {
    kcache::testing::manual_clock t;
    kcache::cache<int, int, kcache::with_clock<decltype(t)>> c{{.capacity = 8, .clock = t}};
    auto const k = 1;
    auto const v = 2;
#include "examples/time.hpp/1"
    t.advance(24h);
    expect(c.contains(1), "no expiry");
  }
}

void groups() {
#include "examples/group.hpp/1"
  expect(users.get("tom").has_value() && !users.get("sam") && db.loads == 2,
         "the group's example loads once");
  {
    kcache::group<std::string, int> group{{.name = "scores", .capacity = 8},
                                          [](std::string const&) { return 1; }};
#include "examples/result.hpp/1"
  }
}

void scripted_loads() {
  used = 0;
#include "examples/testing/scripted_loader.hpp/1"
  expect(used == 3 * 630 && load.most_running() == 2, "three callers, one load; two keys at once");
}

void simulation() {
  kcache::testing::manual_clock t;
  kcache::testing::manual_executor e{t};
#include "examples/testing/simulated_network.hpp/1"
  expect(a.start().has_value(), "a node in a simulated network starts");
}

}  // namespace

#include "examples/cluster/wire_traits.hpp/1"
static_assert(kcache::wire_type<point>);

int main() {
  caches();
  policies();
  time_and_executor();
  groups();
  scripted_loads();
  simulation();
}
