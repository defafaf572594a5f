// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/cluster.hpp>

#include "support/catch.hpp"
#include "support/simulated_cluster.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::result;
using test::listener;
using test::simulated_cluster;
using test::simulated_node;
using test::told;

namespace {

struct point {
  std::int32_t x, y;
  friend bool operator==(point, point) = default;
};

}  // namespace

template <>
struct kcache::wire_traits<point> : kcache::trivially_copied<point> {};
template <>
struct kcache::wire_traits<double> : kcache::trivially_copied<double> {};

TEST_CASE("a hundred cold reads over three nodes make one load, at the owner") {
  simulated_cluster c;
  for (std::size_t owner = 0; owner != 3; ++owner) {
    std::string const key = c.key_of(owner);
    int const before = c.nodes[owner]->loads;
    int const all = c.loads();
    listener l;
    for (std::size_t i = 0; i != 100; ++i) c.nodes[i % 3]->get(key, l);
    c.work.run_for(1s);
    CHECK(l.heard == std::vector<std::string>(100, "value v:" + key));
    CHECK(c.nodes[owner]->loads == before + 1);
    CHECK(c.loads() == all + 1);
  }
}

TEST_CASE("every key is read right through every node") {
  simulated_cluster c{{.seed = 7}};
  for (int k = 0; k != 100; ++k)
    for (auto& n : c.nodes)
      REQUIRE(n->get("k" + std::to_string(k)) == "value v:k" + std::to_string(k));
  CHECK(c.loads() == 100);
  for (auto& n : c.nodes) {
    CHECK(n->loads > 15);
    CHECK(n->scores.size() == static_cast<std::size_t>(n->loads));
    CHECK(n->cluster.stats().unreachable == 0);
    CHECK(n->cluster.stats().bad_replies == 0);
  }
}

TEST_CASE("the bytes of keys and values are theirs alone") {
  simulated_cluster c;
  std::string all;
  for (int b = 0; b != 256; ++b) all += static_cast<char>(b);
  for (std::string const& key : {all, std::string{}, std::string{"a b/../%2F?#+"},
                                 std::string(1'024, 'x'), std::string("\0\r\n", 3)}) {
    for (auto& n : c.nodes) REQUIRE(n->get(key) == "value v:" + key);
  }
  c.source = [](std::string const&) { return std::string{}; };
  for (auto& n : c.nodes) CHECK(n->get("empty") == "value ");
  c.source = [&](std::string const&) { return std::string(1 << 20, 'y') + all; };
  for (auto& n : c.nodes) CHECK(n->get("large") == "value " + std::string(1 << 20, 'y') + all);
}

TEST_CASE("what the owner says of a key is said to all, and nobody else loads for it") {
  simulated_cluster c;
  std::string const key = c.key_of(1);
  c.source = [](std::string const&) -> result<std::string> { return errc::not_found; };
  CHECK(c.nodes[0]->get(key) == "not_found");
  c.source = [](std::string const&) -> result<std::string> {
    return kcache::error{errc::loader_failed, "no such table"};
  };
  CHECK(c.nodes[2]->get(key) == "loader_failed: no such table");
  c.source = [](std::string const&) -> result<std::string> { throw std::runtime_error{"boo"}; };
  CHECK(c.nodes[0]->scores.get(key).error() == errc::loader_failed);
  c.source = [](std::string const&) -> result<std::string> { return errc::overloaded; };
  CHECK(c.nodes[0]->get(key) == "overloaded");
  CHECK(c.nodes[1]->loads == 4);
  CHECK(c.loads() == 4);
  // A loader that failed is asked again.
  c.source = [](std::string const& k) { return k; };
  CHECK(c.nodes[0]->get(key) == "value " + key);
}

TEST_CASE("the rest of a value's life comes with it") {
  simulated_cluster c{{.ttl = 5s}};
  std::string const key = c.key_of(1);
  CHECK(c.nodes[1]->get(key) == "value v:" + key);
  c.clock.advance(2s);
  auto const h = c.nodes[0]->scores.get(key).value();
  // It has travelled for a millisecond since the owner worked the rest out.
  CHECK(h.expires_at() - c.clock.now() == 3s - 1ms);
  c.clock.advance(3s);
  CHECK(c.nodes[0]->get(key) == "value v:" + key);
  CHECK(c.loads() == 2);
}

TEST_CASE("a node without peers serves itself") {
  kcache::testing::manual_executor const work;
  test::manual_strings g{{.name = "scores", .capacity = 10, .executor = work},
                         [](std::string const& key) { return key; }};
  simulated_node alone{{.self = "http://n0:1", .executor = work}};
  CHECK(alone.add(g));
  CHECK(told(g.get("before the start")) == "value before the start");
  CHECK(alone.start());
  CHECK(told(g.get("after it")) == "value after it");
  CHECK(alone.peers().size() == 1);
  CHECK(alone.address() == "n0:1");
}

TEST_CASE("lists that cannot be are refused, and change nothing") {
  simulated_cluster c;
  auto& n = c.nodes[0]->cluster;
  CHECK(n.set_peers({"http://n1:1", "http://n2:1"}).error() == errc::self_not_in_peers);
  CHECK(n.set_peers({}).error() == errc::self_not_in_peers);
  CHECK(n.set_peers({"http://n0:1", "http://n1:1", "HTTP://N1:1/"}).error() ==
        errc::duplicate_peer);
  CHECK(n.set_peers({"http://n0:1", "n1:1"}).error() == errc::bad_peer_address);
  CHECK(n.add_peers({"http://n1:1/"}));  // the same peer once more changes nothing
  CHECK(n.remove_peers({"http://n0:1"}).error() == errc::self_not_in_peers);
  CHECK(n.remove_peers({"http://n9:1"}).error() == errc::bad_peer_address);
  CHECK(n.peers().size() == 3);
  CHECK(c.nodes[0]->get(c.key_of(1)) == "value v:" + c.key_of(1));
}

TEST_CASE("this node is recognised however its address is spelled") {
  kcache::testing::manual_executor const work;
  kcache::testing::simulated_network const net;
  int loads = 0;
  test::manual_strings g{{.name = "scores", .capacity = 1'000, .executor = work},
                         [&](std::string const& key) {
                           ++loads;
                           return key;
                         }};
  simulated_node n{{.self = "http://127.0.0.1:8001", .transport = {net}, .executor = work}};
  n.add(g).value();
  n.start().value();
  n.set_peers({"HTTP://LocalHost:8001/", "http://[::ffff:127.0.0.1]:8002"}).value();
  for (int k = 0; k != 50; ++k) CHECK(g.get("k" + std::to_string(k)));
  CHECK(loads == 50);
  CHECK(n.stats().requests == 0);  // it never called itself
  CHECK(n.self().canonical() == "http://127.0.0.1:8001");
}

TEST_CASE("groups join once, under one name, and are found by it") {
  simulated_cluster c{{.nodes = 1}};
  auto& n = c.nodes[0]->cluster;
  auto const make = [&](std::string name) {
    return test::manual_strings{{.name = std::move(name), .capacity = 10, .executor = c.work},
                                [](std::string const& key) { return key; }};
  };
  CHECK(n.find_group("scores")->name() == "scores");
  CHECK(n.find_group("other") == nullptr);
  CHECK(n.find_group("") == nullptr);
  {
    auto second = make("scores");
    CHECK(n.add(second).error() == errc::duplicate_group);
    CHECK(n.add(second).error() == errc::duplicate_group);  // and it is not half in
    CHECK(told(second.get("k")) == "value k");
    auto other = make("other");
    CHECK(n.add(other));
    CHECK(n.add(other).error() == errc::invalid_options);
    CHECK(n.find_group("other") != nullptr);
  }
  CHECK(n.find_group("other") == nullptr);
  CHECK(n.find_group("scores") != nullptr);  // the second one did not take the first with it
  auto again = make("other");
  CHECK(n.add(again));
  auto nameless = make("");
  CHECK(n.add(nameless).error() == errc::invalid_options);
  auto longest = make(std::string(64, 'g'));
  CHECK(n.add(longest));
  auto longer = make(std::string(65, 'g'));
  CHECK(n.add(longer).error() == errc::invalid_options);
  auto const owned = n.new_group<std::string, std::string, test::manual_policies>(
      "original", 10, 5s, [](std::string const& key) { return key + key; });
  CHECK(n.find_group("original") != nullptr);
  CHECK_THROWS_AS((n.new_group<std::string, std::string, test::manual_policies>(
                      "original", 10, 5s, [](std::string const& key) { return key; })),
                  kcache::failure);
  CHECK(owned->name() == "original");
}

TEST_CASE("a cluster serves groups of different types") {
  kcache::testing::manual_executor const work;
  kcache::testing::simulated_network const net;
  using squares = kcache::group<std::int64_t, double, test::manual_policies>;
  using points = kcache::group<std::string, point, test::manual_policies>;
  struct node {
    node(std::string self, kcache::testing::simulated_network const& net,
         kcache::testing::manual_executor const& work)
        : c{{.self = std::move(self), .transport = {net}, .executor = work}},
          numbers{{.name = "numbers", .capacity = 1'000, .executor = work},
                  [this](std::int64_t k) {
                    ++loads;
                    return static_cast<double>(k) / 2;
                  }},
          places{{.name = "places", .capacity = 1'000, .executor = work},
                 [this](std::string const& k) {
                   ++loads;
                   return point{static_cast<std::int32_t>(k.size()), -1};
                 }},
          texts{{.name = "texts", .capacity = 1'000, .executor = work},
                [this](std::string const& k) {
                  ++loads;
                  return k + "!";
                }} {
      c.add(numbers).value();
      c.add(places).value();
      c.add(texts).value();
      c.start().value();
      c.set_peers({"http://n0:1", "http://n1:1"}).value();
    }
    int loads = 0;
    simulated_node c;
    squares numbers;
    points places;
    test::manual_strings texts;
  };
  node a{"http://n0:1", net, work}, b{"http://n1:1", net, work};
  for (std::int64_t k = -20; k != 20; ++k)
    for (node* n : {&a, &b}) {
      auto const text = std::to_string(k);
      CHECK(*n->numbers.get(k).value() == static_cast<double>(k) / 2);
      CHECK(*n->places.get(text).value() == point{static_cast<std::int32_t>(text.size()), -1});
      CHECK(*n->texts.get(text).value() == text + "!");
    }
  CHECK(a.loads + b.loads == 120);
  CHECK(a.loads > 20);
  CHECK(b.loads > 20);
}

TEST_CASE("two nodes of one address, and one that starts twice") {
  kcache::testing::manual_executor const work;
  kcache::testing::simulated_network const net;
  simulated_node first{{.self = "http://n0:1", .transport = {net}, .executor = work}};
  simulated_node second{{.self = "http://N0:1", .transport = {net}, .executor = work}};
  CHECK(first.start());
  CHECK(first.start().error() == errc::invalid_options);
  CHECK(second.start().error() == errc::cannot_listen);
  first.stop();
  CHECK(second.start());  // the address is free, and the node may try again
}

TEST_CASE("a node of port 0 has no peers before it has started, and loads for itself") {
  kcache::testing::manual_executor const work;
  kcache::testing::simulated_network const net;
  test::manual_strings g{{.name = "scores", .capacity = 10, .executor = work},
                         [](std::string const& key) { return key; }};
  simulated_node n{{.self = "http://127.0.0.1:0", .transport = {net}, .executor = work}};
  n.add(g).value();
  CHECK(told(g.get("early")) == "value early");
  CHECK(n.address().empty());
  CHECK_THROWS_AS(n.set_peers({"http://127.0.0.1:1"}), kcache::failure);
  CHECK_THROWS_AS(n.self(), kcache::failure);
  n.start().value();
  CHECK(n.address().starts_with("127.0.0.1:"));
  CHECK(n.self().port() != 0);
  CHECK(n.set_peers({"http://" + n.address(), "http://n9:1"}));
  simulated_node other{{.self = "http://127.0.0.1:0", .transport = {net}, .executor = work}};
  other.start().value();
  CHECK(other.self() != n.self());
}

TEST_CASE("options that cannot be are refused with a message") {
  auto const refused = [](test::simulated_policies, auto change) {
    kcache::cluster_options<test::simulated_policies> o{.self = "http://n0:1"};
    change(o);
    try {
      simulated_node const n{o};
    } catch (kcache::failure const& e) {
      return e.kind();
    }
    return errc{};
  };
  test::simulated_policies const p;
  CHECK(refused(p, [](auto&) {}) == errc{});
  CHECK(refused(p, [](auto& o) { o.self = ""; }) == errc::bad_peer_address);
  CHECK(refused(p, [](auto& o) { o.self = "n0:1"; }) == errc::bad_peer_address);
  CHECK(refused(p, [](auto& o) { o.deadline = 0s; }) == errc::invalid_options);
  CHECK(refused(p, [](auto& o) { o.probe_timeout = 0s; }) == errc::invalid_options);
  CHECK(refused(p, [](auto& o) { o.probe_again = -1s; }) == errc::invalid_options);
  CHECK(refused(p, [](auto& o) { o.ring_points = 1u << 30; }) == errc::invalid_options);
}

TEST_CASE("a node that was stopped loads for itself, and the others for it") {
  simulated_cluster c;
  std::string const theirs = c.key_of(1), own = c.key_of(0);
  c.nodes[0]->cluster.stop();
  c.nodes[0]->cluster.stop();
  CHECK(c.nodes[0]->get(theirs) == "value v:" + theirs);
  CHECK(c.nodes[0]->loads == 1);
  CHECK(c.nodes[1]->get(own) == "value v:" + own);
  CHECK(c.nodes[1]->loads == 1);
  CHECK(c.nodes[0]->cluster.find_group("scores") == nullptr);
  test::manual_strings late{{.name = "late", .capacity = 1, .executor = c.work},
                            [](std::string const& k) { return k; }};
  CHECK(c.nodes[0]->cluster.add(late).error() == errc::cancelled);
}

TEST_CASE("a ring may change while the cluster runs") {
  simulated_cluster c;
  for (int k = 0; k != 60; ++k)
    CHECK(c.nodes[0]->get("k" + std::to_string(k)).starts_with("value"));
  CHECK(c.loads() == 60);
  // One node leaves: what it owned is loaded elsewhere, once.
  int const gone = c.nodes[2]->loads;
  for (std::size_t i : {0u, 1u}) c.nodes[i]->cluster.remove_peers({"http://n2:1"}).value();
  for (int k = 0; k != 60; ++k)
    for (std::size_t i : {0u, 1u})
      CHECK(c.nodes[i]->get("k" + std::to_string(k)) == "value v:k" + std::to_string(k));
  CHECK(c.loads() == 60 + gone);
  CHECK(c.nodes[2]->loads == gone);
  // Another comes.
  c.nodes.push_back(c.make(3));
  for (std::size_t i : {0u, 1u, 3u}) {
    std::vector<std::string> const all{"http://n0:1", "http://n1:1", "http://n3:1"};
    c.nodes[i]->cluster.set_peers(all).value();
  }
  for (int k = 60; k != 120; ++k)
    for (std::size_t i : {0u, 1u, 3u})
      CHECK(c.nodes[i]->get("k" + std::to_string(k)) == "value v:k" + std::to_string(k));
  CHECK(c.nodes[3]->loads > 5);
}

TEST_CASE("group and cluster may go in any order, with reads under way") {
  simulated_cluster c;
  c.load_time = 100ms;
  listener l;
  std::string const theirs = c.key_of(1), own = c.key_of(0);
  c.nodes[0]->get(theirs, l);
  c.nodes[0]->get(own, l);
  c.nodes[1]->get(own, l);
  c.work.run_for(10ms);
  SECTION("the node that asks") { c.nodes.erase(c.nodes.begin()); }
  SECTION("the node that is asked") { c.nodes.erase(c.nodes.begin() + 1); }
  SECTION("the cluster only") { c.nodes[0]->cluster.stop(); }
  SECTION("the other's cluster only") { c.nodes[1]->cluster.stop(); }
  SECTION("all") { c.nodes.clear(); }
  SECTION("none") {}
  c.work.run_for(5s);
  CHECK(l.heard.size() == 3);
}

TEST_CASE("an executor may go first") {
  listener l;
  std::optional<kcache::testing::manual_executor> work{std::in_place};
  kcache::testing::simulated_network const net;
  simulated_node n{{.self = "http://n0:1", .transport = {net}, .executor = *work}};
  simulated_node other{{.self = "http://n1:1", .transport = {net}, .executor = *work}};
  test::manual_strings g{{.name = "scores", .capacity = 10, .executor = *work},
                         [](std::string const& key) { return key; }};
  n.add(g).value();
  for (auto* one : {&n, &other}) {
    one->start().value();
    one->set_peers({"http://n0:1", "http://n1:1"}).value();
  }
  for (int k = 0; k != 10; ++k) g.async_get("k" + std::to_string(k), l.handler());
  work->run_for(1ms);
  work.reset();
  n.stop();
  CHECK(l.heard.size() == 10);
}

TEST_CASE("a group outlives its cluster, and a cluster its group") {
  kcache::testing::manual_executor const work;
  kcache::testing::simulated_network const net;
  std::optional<simulated_node> n{std::in_place,
                                  kcache::cluster_options<test::simulated_policies>{
                                      .self = "http://n0:1", .transport = {net}, .executor = work}};
  std::optional<test::manual_strings> g{
      std::in_place,
      test::manual_strings::options_type{.name = "scores", .capacity = 10, .executor = work},
      [](std::string const& key) { return key; }};
  n->add(*g).value();
  n->start().value();
  n->set_peers({"http://n0:1", "http://n1:1"}).value();
  SECTION("one way") {
    n.reset();
    for (int k = 0; k != 20; ++k)
      CHECK(told(g->get("k" + std::to_string(k))) == "value k" + std::to_string(k));
  }
  SECTION("the other way") {
    auto const served = n->find_group("scores");
    g.reset();
    CHECK(n->find_group("scores") == nullptr);
    CHECK_FALSE(served->cached("k"));
    errc told_code{};
    served->serve({"k", kcache::never}, [&](result<kcache::served_value> r) {
      told_code = r.error().code();
    });
    CHECK(told_code == errc::unknown_group);
  }
}
