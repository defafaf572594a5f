// SPDX-License-Identifier: BSL-1.0
#include <kcache/explanation.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <string>

using namespace std::chrono_literals;
using kcache::explanation;

TEST_CASE("of a key that nobody knows there is nothing to say") {
  explanation const e;
  CHECK(e.text() == "not cached");
}

TEST_CASE("what is cached, for how long, and how often it was hit") {
  explanation e;
  e.cached = true;
  e.age = 1s;
  CHECK(e.text() == "cached, 1.000 s old, lives until it is evicted");
  e.lives = 61'234'567us;
  CHECK(e.text() == "cached, 1.000 s old, 61.234 s to live");
  e.hits = 12;
  CHECK(e.text() == "cached, 1.000 s old, 61.234 s to live, hit 12 times");
  e.hits.reset();
  e.stale = true;
  e.lives = -5ms;
  CHECK(e.text() == "cached, 1.000 s old, stale for 0.005 s");
}

TEST_CASE("why there is no value, who loads it, and who waits") {
  explanation e;
  e.absent = true;
  e.reason = "no such table";
  CHECK(e.text() == "not cached, known absent (no such table)");
  e.absent = false;
  e.loading = true;
  e.waiters = 3;
  CHECK(e.text() == "not cached, being loaded, 3 wait for it");
  e.queued = true;
  e.load_queue = 40;
  CHECK(e.text() == "not cached, its load waits with 40 in the queue, 3 wait for it");
  e.loading = e.queued = false;
  e.fetching = true;
  CHECK(e.text() == "not cached, its owner is being asked, 3 wait for it");
}

TEST_CASE("a refresh is told of beside the value") {
  explanation e;
  e.cached = e.loading = true;
  e.lives = 0ns;
  CHECK(e.text() == "cached, 0.000 s old, 0.000 s to live, being loaded");
}

TEST_CASE("a value that was written after our look at the clock is new") {
  explanation e;
  e.cached = true;
  e.age = -1500ms;
  CHECK(e.text() == "cached, 0.000 s old, lives until it is evicted");
}
