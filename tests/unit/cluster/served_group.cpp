// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/served_group.hpp>

#include "support/catch.hpp"
#include "support/simulated_cluster.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <type_traits>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::result;
using kcache::served_value;

TEST_CASE("a group is served through an interface that knows no types") {
  STATIC_REQUIRE(std::is_abstract_v<kcache::served_group>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<kcache::served_group>);
  CHECK(served_value{}.remaining == kcache::ttl::never());
  CHECK(kcache::serve_request{.key = "k", .deadline = kcache::never}.store);
}

TEST_CASE("what a found group answers") {
  test::simulated_cluster c{{.nodes = 1, .ttl = 5s}};
  auto const g = c.nodes[0]->cluster.find_group("scores");
  REQUIRE(g);
  CHECK_FALSE(g->cached("Tom"));
  std::optional<served_value> v;
  g->serve({"Tom", kcache::never}, [&](result<served_value> r) { v = r.value(); });
  c.work.run_ready();
  REQUIRE(v);
  CHECK(v->bytes == "v:Tom");
  CHECK(v->remaining == kcache::ttl{5s});
  c.clock.advance(2s);
  auto const hit = g->cached("Tom");
  REQUIRE(hit);
  CHECK(hit->bytes == "v:Tom");
  CHECK(hit->remaining == kcache::ttl{3s});
  CHECK(hit->bytes.data() == (*c.nodes[0]->scores.peek("Tom")).data());  // where it lies
  // The bytes outlive the entry.
  c.nodes[0]->scores.clear();
  CHECK(hit->bytes == "v:Tom");
  CHECK(c.nodes[0]->scores.stats().served == 2);
}

TEST_CASE("a question has a deadline, and may ask for nothing to be kept") {
  test::simulated_cluster c{{.nodes = 1}};
  c.load_time = 1s;
  auto const g = c.nodes[0]->cluster.find_group("scores");
  errc told{};
  g->serve({"slow", c.work.now() + 100ms},
           [&](result<served_value> r) { told = r.error().code(); });
  c.work.run_for(100ms);
  CHECK(told == errc::deadline);
  std::string value;
  g->serve({.key = "foreign", .deadline = kcache::never, .store = false},
           [&](result<served_value> r) { value = r.value().bytes.view(); });
  c.work.run_for(5s);
  CHECK(value == "v:foreign");
  CHECK_FALSE(c.nodes[0]->scores.contains("foreign"));
  CHECK(c.nodes[0]->scores.contains("slow"));
}
