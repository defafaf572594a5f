// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/freshness.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

using namespace std::chrono_literals;
using kcache::duration;
using kcache::never;
using kcache::time_point;
using kcache::ttl;
using kcache::write_time;

namespace {

using policy = kcache::detail::freshness<kcache::expire_after_write>;

template <class P>
concept idles = requires(P const& p) {
  p.idle();
};

constexpr time_point now{100s};

policy with(kcache::detail::freshness_options o) { return {kcache::expire_after_write{}, o}; }

write_time written(ttl lives, std::uint64_t draw = 0, duration load_time = {}) {
  return {now, lives, ttl::never(), draw, load_time};
}

time_point expiry(policy const& p, write_time const& w) { return p.expires_at(1, 2, w); }
time_point refresh(policy const& p, write_time const& w) {
  return p.dates(w, expiry(p, w)).refresh_at;
}

}  // namespace

TEST_CASE("it is an expiry policy whose entries are dated") {
  STATIC_REQUIRE(kcache::expiry<policy, int, int>);
  STATIC_REQUIRE(kcache::dated_expiry<policy>);
  auto const p = with({0, 1, 0s});
  CHECK(p.dates(written(10s), now + 10s).written_at == now);
}

TEST_CASE("an idle time is the user's policy's, and is told only if there is one") {
  using idle = kcache::detail::freshness<kcache::expire_after_access<>>;
  CHECK(idle{kcache::expire_after_access<>{7s}, {0, 1, 0s}}.idle() == 7s);
  STATIC_REQUIRE(idles<idle>);
  STATIC_REQUIRE_FALSE(idles<policy>);
}

TEST_CASE("without jitter and grace an entry lives as it would without us") {
  auto const p = with({0, 1, 0s});
  for (auto draw : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    CHECK(expiry(p, written(10s, draw)) == now + 10s);
    CHECK(p.fresh_until(now + 10s) == now + 10s);
    CHECK(expiry(p, written(ttl::never(), draw)) == never);
    CHECK(p.fresh_until(never) == never);
  }
}

TEST_CASE("the grace comes after the entry's life, and never makes one") {
  auto const p = with({0, 1, 5s});
  CHECK(expiry(p, written(10s)) == now + 15s);
  CHECK(p.fresh_until(now + 15s) == now + 10s);
  CHECK(expiry(p, written(ttl::never())) == never);
  CHECK(expiry(p, written(0s)) == now);  // nothing is stored
  CHECK(expiry(p, written(-1s)) == now);
  auto const endless = with({0, 1, duration::max()});
  CHECK(expiry(endless, written(10s)) == never);
}

TEST_CASE("jitter makes lives longer and shorter, by its fraction at most, on average by nothing") {
  double const fraction = GENERATE(0.1, 0.5, 1.0);
  auto const p = with({fraction, 1, 3s});
  kcache::seeded_random random{1};
  double least = 1e9, most = 0, sum = 0;
  constexpr int n = 20'000;
  for (int i = 0; i != n; ++i) {
    auto const until = p.fresh_until(expiry(p, written(10s, random.next())));
    double const lives = std::chrono::duration<double>(until - now).count();
    least = std::min(least, lives);
    most = std::max(most, lives);
    sum += lives;
  }
  CHECK(least >= 10 * (1 - fraction));
  CHECK(most <= 10 * (1 + fraction));
  CHECK(least < 10 * (1 - 0.99 * fraction));
  CHECK(most > 10 * (1 + 0.99 * fraction));
  CHECK(std::abs(sum / n - 10) < 10 * fraction * 0.02);
}

TEST_CASE("a refresh comes ahead by a load time and beta, and by an exponential time more") {
  double const beta = GENERATE(0.5, 1.0, 2.0);
  duration const grace = GENERATE(duration{0s}, duration{1h});
  auto const p = with({0, beta, grace});
  kcache::seeded_random random{7};
  double sum = 0;
  int beyond = 0;
  constexpr int n = 50'000;
  double const load = 0.1, least = load * (1 + beta), mean = load * beta;  // seconds
  for (int i = 0; i != n; ++i) {
    auto const w = written(100s, random.next(), 100ms);
    double const ahead = std::chrono::duration<double>(now + 100s - refresh(p, w)).count();
    REQUIRE(ahead >= least - 1e-9);
    REQUIRE(ahead <= 50);
    sum += ahead - least;
    beyond += ahead - least > 2 * mean;
  }
  CHECK(std::abs(sum / n - mean) < 0.02 * mean);
  CHECK(std::abs(beyond / static_cast<double>(n) - std::exp(-2.0)) < 0.01);
}

TEST_CASE("never before half the value's life") {
  auto const p = with({0, 1, 0s});
  kcache::seeded_random random{3};
  for (duration load : {duration{10ms}, duration{10s}, duration{1h}, duration::max()}) {
    bool half = false;
    for (int i = 0; i != 1'000; ++i) {
      auto const at = refresh(p, written(10s, random.next(), load));
      REQUIRE(at >= now + 5s);
      REQUIRE(at <= now + 10s);
      half = half || at == now + 5s;
    }
    CHECK(half == (load > 1s));
  }
  CHECK(refresh(p, written(10s, 0, 1s)) == now + 5s);            // u = 2^-32
  CHECK(refresh(p, written(10s, 0xffffffffU, 1s)) == now + 8s);  // u = 1
  CHECK(refresh(p, written(1ns, 0, 10s)) == now + 1ns);
}

TEST_CASE("none where the load took no time, where it is off, or where there is no end") {
  CHECK(refresh(with({0, 1, 0s}), written(10s, 0, 0s)) == now + 10s);
  CHECK(refresh(with({0, 1, 5s}), written(10s, 0, 0s)) == now + 10s);  // that of staleness
  CHECK(refresh(with({0, 0, 0s}), written(10s, 0, 1s)) == now + 10s);
  CHECK(refresh(with({0, 1, 5s}), written(ttl::never(), 0, 1s)) == never);
  CHECK(refresh(with({0, 1, 0s}), written(10s, 0, -1s)) == now + 10s);
}
