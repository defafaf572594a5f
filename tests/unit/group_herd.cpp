// SPDX-License-Identifier: BSL-1.0
// Many callers at once, and a source that does not keep up: what the source sees, what they see.
#include <kcache/group.hpp>
#include <kcache/testing/scripted_loader.hpp>

#include "support/catch.hpp"
#include "support/manual_policies.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::duration;
using kcache::errc;
using kcache::result;
using kcache::time_point;
using test::listener;

namespace {

struct policies : test::manual_policies {
  using random = kcache::seeded_random;
};
using numbers = kcache::group<int, int, policies>;

struct world {
  policies::clock clock;
  policies::executor work{clock};
  time_point const start = clock.now();

  kcache::group_options<policies> options() {
    return {.name = "herd", .capacity = 200'000, .clock = clock, .executor = work};
  }
};

/// Callers that ask for one key again and again, each a little while after its answer.
struct callers {
  world& w;
  numbers& g;
  time_point until;
  std::vector<duration> waits;  ///< of the answers that did not come at once, in their order
  std::size_t answers = 0, failures = 0;

  void ask(duration think) {
    auto const asked = w.clock.now();
    if (asked >= until) return;
    g.async_get(1, [this, think, asked](numbers::answer const& a) {
      ++(a ? answers : failures);
      if (auto const d = w.clock.now() - asked; d != 0s) waits.push_back(d);
      w.work.schedule_at(w.clock.now() + think, [this, think] { ask(think); });
    });
  }
};

}  // namespace

TEST_CASE("a herd on a key that expires all the time makes one load at a time") {
  world w;
  kcache::testing::scripted_loader<int, int> load{w.work};
  load.answers(1, 7).takes(10ms);
  auto o = w.options();
  o.ttl = 90ms;
  o.jitter = 0;
  constexpr std::size_t herd = 60;
  auto const run = [&](numbers& g) {
    callers c{w, g, w.start + 10s, {}};
    for (std::size_t i = 0; i != herd; ++i) c.ask(1ms + i * 17us);
    w.work.run_for(11s);
    CHECK(c.answers > 100'000);
    CHECK(c.failures == 0);
    CHECK(load.most_running() == 1);
    CHECK(g.flights() == 0);
    CHECK(w.work.pending() == 0);
    return c.waits;
  };
  SECTION("for which all of it waits") {
    o.refresh_ahead = 0;
    numbers g{o, load};
    auto const waits = run(g);
    CHECK(load.calls() >= 100);
    CHECK(load.calls() <= 112);
    CHECK(waits.size() <= herd * load.calls());
    CHECK(*std::max_element(waits.begin(), waits.end()) <= 10ms);
  }
  SECTION("for which nobody waits if it is made ahead") {
    numbers g{o, load};
    auto const waits = run(g);
    CHECK(waits == std::vector<duration>(herd, 10ms));
    CHECK(g.stats().refreshes + 1 == load.calls());
    CHECK(load.calls() <= 220);  // it is never made before half of its life is over
  }
}

TEST_CASE("a source that was slow for a while is not kept from recovering") {
  constexpr int keys = 1'000;
  constexpr unsigned places = 8;
  constexpr duration healthy = 10ms, slow = 100ms;  // 800 loads a second, or 80
  constexpr std::size_t seconds = 40, slow_from = 10, slow_until = 20;
  struct outcome {
    std::vector<int> asked, good;
    std::vector<std::size_t> loads;
  };
  auto const run = [&](bool trigger) {
    world w;
    kcache::testing::scripted_loader<int, int> load{w.work};
    load.answers_with([](int k) { return k; }).takes(healthy);
    auto o = w.options();
    o.ttl = 500ms;
    o.max_loads = places;
    o.deadline = 1s;
    numbers g{o, load};
    std::vector<double> weight;  // 1/rank, summed up
    for (int k = 1; k <= keys; ++k) weight.push_back(1.0 / k);
    std::partial_sum(weight.begin(), weight.end(), weight.begin());
    kcache::seeded_random random{7};
    auto const zipf = [&] {
      double const u = static_cast<double>(random.next() >> 11U) * 0x1p-53 * weight.back();
      return static_cast<int>(std::upper_bound(weight.begin(), weight.end(), u) - weight.begin());
    };
    outcome all{std::vector<int>(seconds), std::vector<int>(seconds), {}};
    for (std::size_t s = 0; s != seconds; ++s) {
      if (trigger && s == slow_from) load.takes(slow);
      if (s == slow_until) load.takes(healthy);
      std::size_t const before = load.calls();
      for (int i = 0; i != 2'000; ++i) {
        ++all.asked[s];
        g.async_get(zipf(), [&all, s](numbers::answer const& a) { all.good[s] += a ? 1 : 0; });
        w.work.run_for(500us);
      }
      all.loads.push_back(load.calls() - before);
    }
    w.work.run_for(2s);
    CHECK(load.most_running() <= places);
    CHECK(g.flights() == 0);
    return all;
  };
  auto const well = run(false), ill = run(true);
  auto const sum = [](auto const& v, std::size_t from, std::size_t until) {
    return std::accumulate(v.begin() + static_cast<std::ptrdiff_t>(from),
                           v.begin() + static_cast<std::ptrdiff_t>(until), std::size_t{0});
  };
  auto const share = [](auto const& v, std::size_t s) {
    return static_cast<double>(v.good[s]) / static_cast<double>(v.asked[s]);
  };
  // The healthy source is at about 70 % of what the places allow, the slow one far beyond.
  auto const busy = static_cast<double>(sum(well.loads, 5, seconds)) / (seconds - 5) / 800;
  CHECK(busy > 0.6);
  CHECK(busy < 0.8);
  for (std::size_t s = 1; s != seconds; ++s) CHECK(share(well, s) == 1);
  for (std::size_t s = slow_from + 2; s != slow_until; ++s) {
    CAPTURE(s, share(ill, s), ill.loads[s]);
    CHECK(share(ill, s) < 0.9);
    CHECK(ill.loads[s] <= 80 + places);  // its queue does not make it do more
  }
  for (std::size_t s = slow_until; s != seconds; ++s) {
    CAPTURE(s, share(ill, s), ill.loads[s], well.loads[s]);
    if (s >= slow_until + 5) {
      CHECK(share(ill, s) >= 0.95);
      CHECK(ill.loads[s] * 10 <= well.loads[s] * 11);
    }
  }
  CHECK(static_cast<double>(sum(ill.loads, slow_until, seconds)) <=
        1.1 * static_cast<double>(sum(well.loads, slow_until, seconds)));
}

TEST_CASE("what was loaded together is not loaded together again") {
  constexpr int keys = 100'000;
  world w;
  struct source {
    int operator()(int k) const { return k; }
    std::vector<int> load_many(std::span<int const> wanted) const {
      return {wanted.begin(), wanted.end()};
    }
  };
  auto o = w.options();
  o.ttl = 10s;
  numbers g{o, source{}};
  std::vector<int> all(keys);
  std::iota(all.begin(), all.end(), 0);
  std::size_t values = 0;
  for (auto const& a : g.get_many(all)) values += a.has_value();
  REQUIRE(values == keys);
  REQUIRE(w.clock.now() == w.start);

  // Everybody reads everything, ten times a second.
  std::vector<std::uint64_t> loads;
  std::uint64_t before = g.stats().loads;
  for (int pass = 0; pass != 115; ++pass) {
    w.work.run_for(100ms);
    if (w.clock.now() < w.start + 8'800ms) continue;
    std::erase_if(all, [&](int k) {
      auto const a = g.get(k);
      return a && a->age() == 0s;  // loaded anew
    });
    auto const now = g.stats().loads;
    loads.push_back(now - std::exchange(before, now));
  }
  CHECK(all.empty());
  // From 90 % to 110 % of the time to live, in 20 buckets; the first passes are before that.
  auto const first = std::find_if(loads.begin(), loads.end(), [](auto n) { return n != 0; });
  CHECK(first - loads.begin() >= 2);
  std::vector<std::uint64_t> const window{first, first + 20};
  CHECK(std::accumulate(window.begin(), window.end(), std::uint64_t{0}) == keys);
  CHECK(*std::max_element(window.begin(), window.end()) <= 2 * keys / 20);
}

TEST_CASE("a leader that is cancelled leaves alone") {
  world w;
  kcache::testing::scripted_loader<int, int> load{w.work};
  load.answers(1, 7).takes(10ms);
  numbers g{w.options(), load};
  std::stop_source stop;
  listener leader, others;
  auto const handler = [](listener& l) {
    return [&l](numbers::answer const& a) {
      l.heard.push_back(a ? "value " + std::to_string(**a) : name(a.error().code()));
    };
  };
  g.async_get(1, stop.get_token(), w.start + 1s, handler(leader));
  for (int i = 1; i != 100; ++i) g.async_get(1, handler(others));
  if (GENERATE(false, true)) w.work.run_for(5ms);  // the load is under way
  stop.request_stop();
  CHECK(leader.only() == "cancelled");
  CHECK(others.heard.empty());
  w.work.run_for(10ms);
  CHECK(others.heard == std::vector<std::string>(99, "value 7"));
  CHECK(leader.heard.size() == 1);
  CHECK(load.calls() == 1);
  CHECK(load.cancelled() == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("loaders that throw leave nothing behind") {
  constexpr int throws = 10'000;
  world w;
  bool broken = true;
  auto const fail = [&](int k) {
    if (broken) throw std::runtime_error{"no connection, and a message that is not kept in place"};
    return k;
  };
  struct many {
    decltype(fail) f;
    std::vector<int> load_many(std::span<int const> keys) const {
      std::vector<int> all;
      for (int const k : keys) all.push_back(f(k));
      return all;
    }
  };
  std::vector<std::pair<std::string, kcache::loader<int, int>>> forms;
  forms.emplace_back("plain", fail);
  forms.emplace_back("asynchronous",
                     [&](int k, kcache::load_context, kcache::load_completion<int> done) {
                       done(result<int>{fail(k)});
                     });
  forms.emplace_back("of many keys", many{fail});
  for (auto& [form, load] : forms) {
    CAPTURE(form);
    broken = true;
    numbers g{w.options(), std::move(load)};
    int failures = 0;
    auto const count = [&](numbers::answer const& a) {
      failures += !a && a.error() == errc::loader_failed;
    };
    for (int i = 0; i != throws; ++i) {  // each in turn a key of its own, and the same one again
      g.async_get(i % 2 == 0 ? 0 : i, count);
      g.async_get(i % 2 == 0 ? 0 : i, count);
      w.work.run_ready();
    }
    CHECK(failures == 2 * throws);
    CHECK(g.stats().loads == throws);
    CHECK(g.size() == 0);
    CHECK(g.flights() == 0);
    CHECK(w.work.pending() == 0);
    broken = false;
    for (int const k : {0, 1, throws - 1}) {
      auto const a = g.get(k);
      CHECK((a && **a == k));
    }
    CHECK(g.stats().loads == throws + 3);
  }
}

TEST_CASE("keys that hang concern nobody else, and nobody beyond his deadline") {
  world w;
  kcache::testing::scripted_loader<int, int> load{w.work};
  load.answers_with([](int k) { return k; }).takes(5ms);
  numbers g{w.options(), load};
  constexpr int hung = 10;
  struct row {
    duration patience;
    duration left{};
    int answers = 0;
  };
  std::vector<row> waiters;
  for (int i = 0; i != 500; ++i) waiters.push_back({.patience = 1ms + (i * 37 % 500) * 1999us});
  for (int k = 0; k != hung; ++k) load.blocks(k);
  for (std::size_t i = 0; i != waiters.size(); ++i)
    g.async_get(static_cast<int>(i) % hung, w.start + waiters[i].patience,
                [&w, &at = waiters[i]](numbers::answer const& a) {
                  CHECK((!a && a.error() == errc::deadline));
                  at.left = w.clock.now() - w.start;
                  ++at.answers;
                });
  int answers = 0;
  for (int k = hung; k != 1'000; ++k) {
    auto const asked = w.clock.now();
    g.async_get(k, [&, k, asked](numbers::answer const& a) {
      CHECK((a && **a == k));
      CHECK(w.clock.now() - asked == 5ms);
      ++answers;
    });
    w.work.run_for(1ms);
  }
  CHECK(answers == 1'000 - hung - 4);  // the last four are on their way
  // Who blocks leaves as punctually.
  auto const asked = w.clock.now();
  CHECK(g.get(0, 123ms).error() == errc::deadline);
  CHECK(w.clock.now() - asked == 123ms);
  w.work.run_for(1s);
  for (auto const& at : waiters) {
    CHECK(at.answers == 1);
    CHECK(at.left == at.patience);
  }
  CHECK(g.flights() == hung);
  CHECK(load.calls() == 1'000);
  CHECK(load.release_all() == hung);
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
  for (int k = 0; k != hung; ++k) CHECK(g.contains(k));
}
