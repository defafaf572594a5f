// SPDX-License-Identifier: BSL-1.0
// Keys whose copies, comparisons and hashes throw: whichever of them does, a group loses no caller,
// keeps no key locked, and serves the next get.
#include <kcache/group.hpp>

#include "support/catch.hpp"
#include "support/manual_policies.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::never;

namespace {

struct thrown : std::runtime_error {
  thrown() : std::runtime_error{"a key of the user's"} {}
};
/// How many steps of keys go well from now on; all, if negative.
int steps_left = -1;
void step() {
  if (steps_left == 0) throw thrown{};
  if (steps_left > 0) --steps_left;
}

class key {
 public:
  explicit key(int n) noexcept : n_{n} {}
  key(key const& other) : n_{other.n_} { step(); }
  key(key&&) noexcept = default;
  key& operator=(key const&) = delete;
  key& operator=(key&&) noexcept = default;
  ~key() {}
  friend bool operator==(key const& a, key const& b) {
    step();
    return a.n_ == b.n_;
  }
  [[nodiscard]] int number() const noexcept { return n_; }

 private:
  int n_;
};
struct hash {
  using is_avalanching = void;
  std::uint64_t operator()(key const& k) const {
    step();
    return static_cast<std::uint64_t>(k.number()) * 0x9e3779b97f4a7c15U;
  }
};
struct policies : test::manual_policies {
  using hash = ::hash;
};
using numbers = kcache::group<key, int, policies>;

struct world : test::manual_world {
  numbers g{{.name = "numbers",
             .capacity = 10,
             .ttl = 10s,
             .jitter = 0,
             .stale_while_revalidate = 10s,
             .stale_if_error = 10s,
             .clock = clock,
             .executor = work},
            [](key const& k) -> kcache::result<int> {
              if (k.number() == 0) return errc::not_found;
              return 10 * k.number();
            }};
  int answers = 0;
  bool wrong = false;

  void hear(numbers::answer const& a) {
    ++answers;
    if (a && **a != 70) wrong = true;
  }
};

/// What is done with key 7, and how often its handler must have been called if nothing was thrown.
struct operation {
  char const* name;
  int answers;
  void (*run)(world&, key const&);
};
operation const operations[] = {
    {"get", 1, [](world& w, key const& k) { w.hear(w.g.get(k)); }},
    {"async_get", 1,
     [](world& w, key const& k) {
       w.g.async_get(k, never, [&w](numbers::answer const& a) { w.hear(a); });
     }},
    {"async_get, which leaves", 1,
     [](world& w, key const& k) {
       w.g.async_get(k, w.g.now(), [&w](numbers::answer const& a) { w.hear(a); });
     }},
    {"get_many", 1,
     [](world& w, key const& k) { w.hear(w.g.get_many(std::vector<key>(1, k)).front()); }},
    {"async_get_many", 1,
     [](world& w, key const& k) {
       w.g.async_get_many(std::vector<key>(1, k), [&w](auto const& all) { w.hear(all.front()); });
     }},
    {"put", 0, [](world& w, key const& k) { static_cast<void>(w.g.put(k, 70)); }},
    {"put_if_absent", 0,
     [](world& w, key const& k) { static_cast<void>(w.g.put_if_absent(k, 70)); }},
    {"invalidate", 0, [](world& w, key const& k) { static_cast<void>(w.g.invalidate(k)); }},
    {"peek", 0, [](world& w, key const& k) { static_cast<void>(w.g.peek(k)); }},
    {"explain", 0, [](world& w, key const& k) { static_cast<void>(w.g.explain(k)); }},
};

}  // namespace

TEST_CASE("a group survives keys that throw, whichever step of theirs does") {
  auto const& done = GENERATE(from_range(std::begin(operations), std::end(operations)));
  // Nothing is known of the key; it is cached; it is stale; somebody loads it.
  int const before = GENERATE(range(0, 4));
  CAPTURE(done.name, before);
  int failed = 0;
  for (int n = 0;; ++n) {
    world w;
    key const seven{7};
    int others = 0;
    if (before == 1 || before == 2) CHECK(w.g.put(seven, 70));
    if (before == 2) w.clock.advance(11s);
    if (before == 3) w.g.async_get(seven, never, [&](auto const&) { ++others; });
    bool threw = false;
    steps_left = n;
    try {
      done.run(w, seven);
      w.work.run_for(1s);
    } catch (thrown const&) {
      threw = true;
    }
    bool const happened = steps_left == 0;
    steps_left = -1;
    w.work.run_for(1s);
    CAPTURE(n);
    REQUIRE(w.answers == (threw ? 0 : done.answers));
    REQUIRE_FALSE(w.wrong);
    REQUIRE(others == (before == 3 ? 1 : 0));
    REQUIRE(w.g.flights() == 0);
    auto const again = w.g.get(seven);
    REQUIRE(again);
    REQUIRE(**again == 70);
    w.work.run_for(1s);  // the refresh, where that was stale
    REQUIRE(w.g.get(seven)->age() <= 3s);
    REQUIRE(w.g.flights() == 0);
    REQUIRE(w.work.pending() == 0);
    if (!happened) break;
    ++failed;
  }
  CHECK(failed > 0);
}
