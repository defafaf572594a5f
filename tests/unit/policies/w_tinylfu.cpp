// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/w_tinylfu.hpp>

#include "support/catch.hpp"
#include "support/traces.hpp"

#include <kcache/testing/eviction_bench.hpp>
#include <kcache/testing/eviction_laws.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using bench = kcache::testing::eviction_bench<kcache::w_tinylfu>;
using kcache::detail::window_climber;

namespace {

void read(bench& b, std::size_t first, std::size_t last, int times = 1) {
  for (int i = 0; i != times; ++i) {
    for (std::size_t key = first; key != last; ++key) b.access(key);
  }
}
/// Of the keys in that range.
std::size_t residents(bench const& b, std::size_t first, std::size_t last) {
  std::size_t count = 0;
  for (std::size_t key = first; key != last; ++key) count += b.resident(key) ? 1U : 0U;
  return count;
}
/// All that is left, in order of eviction.
std::vector<std::size_t> victims(bench& b) {
  std::vector<std::size_t> all;
  while (b.size() != 0 && !b.broken()) all.push_back(b.evict());
  return all;
}
using keys = std::vector<std::size_t>;

void hit(window_climber& c, int times) {
  for (int i = 0; i != times; ++i) c.hit();
}
void miss(window_climber& c, int times) {
  for (int i = 0; i != times; ++i) c.miss();
}

}  // namespace

TEST_CASE("w_tinylfu keeps the laws", "[w_tinylfu]") {
  auto const seed = GENERATE(std::uint64_t{1}, std::uint64_t{2});
  int observed = 0;
  kcache::testing::check_eviction_laws<kcache::w_tinylfu>(
      [&](bool kept, char const* law) {
        ++observed;
        if (!kept) FAIL_CHECK(law);
      },
      seed);
  CHECK(observed > 0);
}

// A capacity of ten is a window of one and a main part of nine, seven of them protected.

TEST_CASE("w_tinylfu: of equals the candidate goes, not the older entry", "[w_tinylfu]") {
  bench b{10, 12};
  read(b, 0, 10);
  b.access(10);
  CHECK_FALSE(b.resident(9));
  b.access(11);
  CHECK_FALSE(b.resident(10));
  CHECK(residents(b, 0, 9) == 9);
}

TEST_CASE("w_tinylfu: a candidate asked for more often than the victim enters", "[w_tinylfu]") {
  bench b{10, 12};
  read(b, 0, 10);
  b.miss(10);
  b.access(10);  // for 9, which is asked for once, like 0
  CHECK_FALSE(b.resident(9));
  b.access(11);  // 10 is judged, which was asked for twice
  CHECK(b.resident(10));
  CHECK_FALSE(b.resident(0));
  CHECK(residents(b, 1, 9) == 8);
}

TEST_CASE("w_tinylfu: a newcomer is not refused, whatever it is worth", "[w_tinylfu]") {
  bench b{10, 100};
  read(b, 0, 10, 5);
  for (std::size_t key = 10; key != 100; ++key) {
    b.access(key);
    CHECK(b.resident(key));
  }
}

TEST_CASE("w_tinylfu: a read protects, and what is protected goes last", "[w_tinylfu]") {
  bench b{10, 10};
  read(b, 0, 10);
  b.access(0);
  b.access(3);
  CHECK(victims(b) == keys{9, 1, 2, 4, 5, 6, 7, 8, 0, 3});
}

TEST_CASE("w_tinylfu: what the protected segment has no room for steps back", "[w_tinylfu]") {
  bench b{10, 10};
  read(b, 0, 10);
  read(b, 0, 8);  // 0 steps back when 7 rises, behind 8
  CHECK(victims(b) == keys{9, 8, 0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("w_tinylfu: the window is in order of reads", "[w_tinylfu]") {
  bench b{200, 201};  // a window of two
  read(b, 0, 200);
  b.access(198);
  b.access(200);
  CHECK_FALSE(b.resident(199));
  CHECK(b.resident(198));
}

TEST_CASE("w_tinylfu: a scan does not push out what is asked for", "[w_tinylfu]") {
  bench b{100, 600};
  read(b, 0, 50, 5);
  read(b, 100, 600);
  CHECK(residents(b, 0, 50) == 50);
}

TEST_CASE("w_tinylfu: nor do a few heavy ones", "[w_tinylfu]") {
  bench b{100, 200};
  for (int i = 0; i != 5; ++i) {
    for (std::size_t key = 0; key != 20; ++key) b.put(key, 4);
  }
  CHECK(b.weight() == 80);
  for (std::size_t key = 100; key != 150; ++key) {
    b.put(key, 20);  // each heavier than the window
    CHECK(b.resident(key));
    CHECK(residents(b, 0, 20) == 20);
  }
}

TEST_CASE("w_tinylfu: one too heavy for the window leaves it alone", "[w_tinylfu]") {
  bench b{1000, 1000};  // a window of ten
  read(b, 0, 960);
  b.put(960, 20);
  CHECK(b.evict() == 960);
  CHECK(b.evict() == 950);
  CHECK(b.evict() == 951);
}

TEST_CASE("w_tinylfu: one too heavy for the protected segment stays in probation", "[w_tinylfu]") {
  bench b{10, 3};
  b.put(0, 8);
  read(b, 1, 3);
  b.access(1);
  b.access(0);
  CHECK(victims(b) == keys{0, 2, 1});
}

TEST_CASE("w_tinylfu: a heavy one that was worth it is judged once", "[w_tinylfu]") {
  bench b{100, 103};
  read(b, 0, 80);
  for (int i = 0; i != 3; ++i) b.miss(102);
  b.put(102, 20);
  CHECK(b.evict() == 0);
  CHECK(b.evict() == 79);  // the window's one
  CHECK(b.evict() == 1);   // the window is empty
}

TEST_CASE("w_tinylfu foretells the candidate after the next", "[w_tinylfu]") {
  bench b{200, 200};  // a window of two
  CHECK(b.soon() == bench::none);
  read(b, 0, 200);
  CHECK(b.soon() == 199);
  CHECK(b.evict() == 198);
  CHECK(b.soon() == 0);
}

TEST_CASE("w_tinylfu: what was popular once gives way", "[w_tinylfu]") {
  bench b{10, 40};
  read(b, 0, 10, 10);
  read(b, 20, 25, 100);
  CHECK(residents(b, 20, 25) == 5);
}

TEST_CASE("w_tinylfu follows the weights of new values", "[w_tinylfu]") {
  bench b{1000, 1100};
  for (std::size_t round = 0; round != 20; ++round) {
    for (std::size_t key = 0; key != 30; ++key) b.put(key, 1 + (key + round) % 20);
  }
  CHECK(b.weight() < 1000);
  CHECK(residents(b, 0, 30) == 30);
  for (std::size_t key = 0; key != 30; ++key) b.put(key, 10);
  for (std::size_t key = 100; key != 1100; ++key) b.put(key, 10);
  CHECK(residents(b, 0, 30) == 30);
  CHECK(b.weight() == 1000);
  CHECK(victims(b).size() == 100);
  CHECK_FALSE(b.broken());
}

TEST_CASE("w_tinylfu: in the smallest caches", "[w_tinylfu]") {
  bench one{1, 3};
  read(one, 0, 3);
  CHECK(one.resident(2));
  CHECK(one.size() == 1);

  bench two{2, 4};  // a window of one, and probation
  read(two, 0, 2);
  two.access(2);
  CHECK(two.resident(0));
  two.access(3);
  CHECK(two.resident(0));
  CHECK(two.resident(3));

  bench three{3, 5};  // a window of one, one place in probation, one protected
  read(three, 0, 3);
  three.access(0);
  CHECK(victims(three) == keys{2, 1, 0});
}

TEST_CASE("w_tinylfu: another capacity, more or less", "[w_tinylfu]") {
  bench b{100, 3000};
  read(b, 0, 50, 5);
  b.resize(40);
  CHECK(b.size() == 40);
  CHECK(residents(b, 0, 50) == 40);
  b.resize(400);
  read(b, 100, 300, 3);
  read(b, 1000, 1800);
  CHECK(residents(b, 100, 300) > 190);  // lru: none; the sketch grew, and is a little off
  b.resize(1);
  CHECK(b.size() == 1);
  b.resize(~std::uint64_t{0});
  read(b, 0, 1000);
  CHECK(residents(b, 0, 1000) == 1000);
}

TEST_CASE("w_tinylfu: a loop larger than the cache hits", "[w_tinylfu]") {
  bench b{1000, 1200};
  std::size_t hits = 0;
  for (std::size_t i = 0; i != 60'000; ++i) hits += b.access(i % 1200) ? 1U : 0U;
  CHECK(hits > 42'000);  // lru: none
}

TEST_CASE("w_tinylfu: what is as warm as the victim gets in one time in 128", "[w_tinylfu]") {
  bench b{1000, 1250};
  read(b, 0, 1250, 200);
  std::vector<bool> before;
  for (std::size_t key = 0; key != 1250; ++key) before.push_back(b.resident(key));
  read(b, 0, 1250, 200);
  std::size_t others = 0;
  for (std::size_t key = 0; key != 1250; ++key) others += b.resident(key) != before[key] ? 1U : 0U;
  CHECK(others > 100);  // else: none
}

TEST_CASE("w_tinylfu adapts nothing before it had to evict", "[w_tinylfu]") {
  bench b{1000, 1100};
  read(b, 0, 200, 50);
  read(b, 200, 500);
  for (int i = 0; i != 6000; ++i) b.miss(1050);
  read(b, 500, 1000);
  CHECK(b.evict() == 990);  // the window still holds ten
}

TEST_CASE("w_tinylfu: the window grows for keys that come back soon, then never", "[w_tinylfu]") {
  constexpr std::size_t apart = 50;  // five times the window at first
  bench b{1000, 101'000};
  std::size_t hits = 0;
  for (std::size_t key = apart; key != 100'000; ++key) {
    b.access(key);
    bool const hit = b.access(key - apart);
    if (key >= 80'000 && hit) ++hits;
  }
  CHECK(hits > 19'900);

  // Another capacity keeps the window's share.
  hits = 0;
  b.resize(900);
  for (std::size_t key = 100'000; key != 101'000; ++key) {
    b.access(key);
    hits += b.access(key - apart) ? 1U : 0U;
  }
  CHECK(hits > 980);
}

TEST_CASE("window_climber steps, turns round, and steps less", "[w_tinylfu]") {
  // What it says after a hundred requests, of which so many were hits.
  auto const after = [](window_climber& c, int hits) {
    miss(c, 100 - hits);
    hit(c, hits);
    return c.step(100);
  };
  auto const near = [](double a, double b) { return std::abs(a - b) < 1e-9; };
  window_climber c;
  miss(c, 99);
  CHECK(c.step(100) == 0);
  miss(c, 1);
  CHECK(c.step(100) == -0.0625);
  CHECK(c.step(1) == 0);  // counts anew
  CHECK(near(after(c, 2), -0.0625 * 0.98));
  CHECK(near(after(c, 1), 0.0625 * 0.98 * 0.98));         // fewer: back
  CHECK(near(after(c, 7), 0.0625 * 0.98 * 0.98 * 0.98));  // six points more
  CHECK(after(c, 7) == 0.0625);                           // so its steps are large again
  CHECK(near(after(c, 1), -0.0625 * 0.98));               // six points less
  CHECK(after(c, 1) == -0.0625);
}

TEST_CASE("window_climber leaves out the seventeenth hit in a row", "[w_tinylfu]") {
  window_climber c;
  hit(c, 17);
  CHECK(c.step(17) == 0);
  hit(c, 16);
  CHECK(c.step(33) == 0);
  miss(c, 1);
  hit(c, 16);
  CHECK(c.step(50) == 0);
  CHECK(c.step(49) != 0);
}

TEST_CASE("w_tinylfu takes 12 bytes in each entry, and its sketch", "[w_tinylfu]") {
  STATIC_REQUIRE(sizeof(kcache::w_tinylfu::hook) == 12);
  using entries = kcache::detail::eviction_entries<kcache::w_tinylfu::hook>;
  kcache::w_tinylfu::queue<entries> q{entries{}, 1000};
  CHECK(q.heap_bytes() == 64);
  q.reserve(512);
  CHECK(q.heap_bytes() == 4096);
  q.reserve(2048);  // no more than the capacity can use
  CHECK(q.heap_bytes() == 8192);
}

TEST_CASE("w_tinylfu hits about what Caffeine hits on the traces", "[w_tinylfu][traces]") {
  if (!test::traces_at_hand()) return;
  std::string name;
  test::trace requests;
  std::size_t cells = 0;
  std::size_t near = 0;
  std::string far;
  for (auto const& f : test::reference_figures("caffeine-3.2.4")) {
    if (f.trace != name) {
      name = f.trace;
      requests = test::read_trace(name);
      REQUIRE(requests.keys.size() == f.requests);
    }
    bench b{f.capacity, requests.unique};
    std::uint64_t hits = 0;
    for (auto const key : requests.numbers) hits += b.access(key) ? 1U : 0U;
    REQUIRE_FALSE(b.broken());
    CHECK(b.size() <= f.capacity);
    double const points = 100 * (static_cast<double>(hits) - static_cast<double>(f.hits)) /
                          static_cast<double>(f.requests);
    ++cells;
    if (std::abs(points) <= 1.5) {
      ++near;
    } else {
      far += f.trace + ' ' + std::to_string(f.capacity) + ": " + std::to_string(points) + '\n';
    }
  }
  CAPTURE(far);
  CHECK(cells == test::figures_of_a_policy);
  CHECK(10 * near >= 9 * cells);
}
