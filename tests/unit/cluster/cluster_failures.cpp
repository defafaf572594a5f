// SPDX-License-Identifier: BSL-1.0
// Whichever allocation fails, at either end, a cluster answers every read and serves the next.
#include <kcache/cluster/cluster.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/failing_new.hpp"
#include "support/frugal_executor.hpp"

#include <kcache/cluster/loopback_transport.hpp>
#include <kcache/testing/manual_clock.hpp>
#include <kcache/testing/plain_codec.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::result;

namespace {

struct policies : kcache::core_cluster_policies {
  using executor = test::frugal_executor;
  using random = kcache::seeded_random;
  using transport = kcache::loopback_transport;
  using codec = kcache::testing::plain_codec;
};
struct group_policies : kcache::default_policies {
  using clock = kcache::testing::manual_clock;
  using executor = test::frugal_executor;
};
using strings = kcache::group<std::string, std::string, group_policies>;

std::string const tail = " and so long that it is not kept in place";
std::string const expected = "v" + tail;

/// Two nodes; what the first reads, the second owns.
struct world {
  struct node {
    kcache::basic_cluster<policies> cluster;
    strings scores;
  };

  explicit world(kcache::dialect d) {
    kcache::loopback_transport::options const wire;
    for (char const* self : {"http://n0:1", "http://n1:1"}) {
      nodes.push_back(std::unique_ptr<node>{
          new node{kcache::basic_cluster<policies>{{.self = self,
                                                    .dialect = d,
                                                    .ring_points = 16,
                                                    .transport = wire,
                                                    .executor = work}},
                   strings{{.name = "scores", .capacity = 100, .executor = work},
                           [this](std::string const& key) -> result<std::string> {
                             ++loads;
                             if (key.starts_with("broken"))
                               return kcache::error{errc::loader_failed, "broken" + tail};
                             return expected;
                           }}}});
      nodes.back()->cluster.add(nodes.back()->scores).value();
      nodes.back()->cluster.start().value();
    }
    for (auto& n : nodes) n->cluster.set_peers({"http://n0:1", "http://n1:1"}).value();
  }
  ~world() { work.drop_all(); }

  std::string theirs(std::string const& kind) {
    for (int i = 0;; ++i)
      if (std::string key = kind + std::to_string(i) + tail;
          nodes[0]->cluster.owner_of(key) == nodes[1]->cluster.self())
        return key;
  }

  test::frugal_executor work;
  int loads = 0;
  std::vector<std::unique_ptr<node>> nodes;
};

}  // namespace

TEST_CASE("reads through another node survive every failing allocation") {
  auto const speaks = GENERATE(kcache::dialect::native, kcache::dialect::kcache);
  std::string const kind = GENERATE(as<std::string>{}, "plain", "broken");
  bool const blocking = GENERATE(true, false);
  bool happened = true;
  std::size_t n = 1;
  for (; happened; ++n) {
    world w{speaks};
    std::string const key = w.theirs(kind);
    auto& g = w.nodes[0]->scores;
    int answers = 0;
    bool wrong = false, thrown = false;
    auto const hear = [&](strings::answer const& a) {
      ++answers;
      if (a && **a != expected) wrong = true;
    };
    {
      test::failing_allocation const nth{n};
      try {
        if (blocking) hear(g.get(key));
        else g.async_get(key, hear);
        w.work.run_until(w.work.now() + 1500ms);
      } catch (std::bad_alloc const&) {
        thrown = true;
      }
      happened = nth.happened();
    }
    w.work.run_until(w.work.now() + 5s);
    CAPTURE(n, kind, blocking);
    REQUIRE(answers == (thrown ? 0 : 1));
    REQUIRE_FALSE(wrong);
    REQUIRE(w.loads <= 2);
    for (auto& one : w.nodes) REQUIRE(one->scores.flights() == 0);
    REQUIRE(w.work.pending() == 0);  // no probe goes on for a call that is gone
    // The same read works once there is memory, and asks the owner.
    g.clear();
    auto const calls = w.nodes[0]->cluster.stats().calls;
    auto const again = g.get(key);
    REQUIRE(again.has_value() == (kind == "plain"));
    if (again) REQUIRE(**again == expected);
    REQUIRE(w.nodes[0]->cluster.stats().calls == calls + 1);
  }
  CHECK(n > 10);
}

TEST_CASE("a request survives every failing allocation, and so does the node") {
  std::string const target =
      GENERATE(as<std::string>{}, "/_kcache/scores/plain-and-rather-long-to-be-kept-in-place",
               "/_kcache/none-of-a-rather-long-name-that-is-not-kept/k", "/_kcache/scores/%zz",
               "/_kcache.native/1/get", "/_kcache.native/1/hello", "/elsewhere");
  auto const verb = target.find("native") == std::string::npos ? kcache::wire_verb::get
                                                                 : kcache::wire_verb::post;
  bool happened = true;
  for (std::size_t n = 1; happened; ++n) {
    world w{kcache::dialect::native};
    kcache::wire::get_request m;
    m.group = "scores";
    std::string const key = w.theirs("plain");
    m.key = key;
    std::string const body = target.ends_with("get") ? policies::codec::encode(m)
                                                     : policies::codec::encode(
                                                           kcache::wire::hello_request{});
    int status = 0, answers = 0;
    {
      test::failing_allocation const nth{n};
      w.nodes[1]->cluster.handle({verb, target, body}, [&](kcache::wire_response r) {
        ++answers;
        status = r.status;
      });
      w.work.run_until(w.work.now() + 1500ms);
      happened = nth.happened();
    }
    w.work.run_until(w.work.now() + 5s);
    CAPTURE(n, target, status);
    REQUIRE(answers <= 1);
    if (!happened) REQUIRE(answers == 1);
    REQUIRE(w.nodes[1]->scores.flights() == 0);
    REQUIRE(w.work.pending() == 0);
    REQUIRE(**w.nodes[1]->scores.get(key) == expected);
  }
}

TEST_CASE("joining a cluster survives every failing allocation: a group is in it or not") {
  bool happened = true;
  for (std::size_t n = 1; happened; ++n) {
    world w{kcache::dialect::native};
    strings late{{.name = "a group of a rather long name", .capacity = 10, .executor = w.work},
                 [](std::string const& key) { return key; }};
    bool added = false;
    {
      test::failing_allocation const nth{n};
      try {
        added = w.nodes[0]->cluster.add(late).has_value();
      } catch (std::bad_alloc const&) {
      }
      happened = nth.happened();
    }
    CAPTURE(n);
    REQUIRE(added == (w.nodes[0]->cluster.find_group(late.name()) != nullptr));
    if (!added) REQUIRE(w.nodes[0]->cluster.add(late));
  }
}

TEST_CASE("a lost peer is found again, though timers and probes find no memory") {
  // Each allocation of the watch over a peer fails once while the peer is away and comes back.
  bool happened = true;
  for (std::size_t n = 1; happened && n < 200; ++n) {
    world w{kcache::dialect::native};
    auto& g = w.nodes[0]->scores;
    std::string const key = w.theirs("plain");
    w.nodes[1]->cluster.stop();
    int answers = 0;
    {
      test::failing_allocation const nth{n};
      for (int i = 0; i != 4; ++i) {
        try {
          g.async_get(key, [&](strings::answer const&) { ++answers; });
        } catch (std::bad_alloc const&) {
          ++answers;
        }
        w.work.run_until(w.work.now() + 700ms);
      }
      happened = nth.happened();
    }
    w.work.run_until(w.work.now() + 5s);
    CAPTURE(n);
    REQUIRE(answers == 4);
    for (auto& one : w.nodes) REQUIRE(one->scores.flights() == 0);
  }
}
