// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/membership.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using kcache::dialect;
using kcache::errc;
using kcache::membership;
using kcache::peer_address;

namespace {

using list = std::vector<std::string>;

std::string const a = "http://127.0.0.1:8001";
std::string const b = "http://127.0.0.1:8002";
std::string const c = "http://127.0.0.1:8003";

struct node : membership {
  explicit node(dialect d = dialect::native, std::string const& at = a)
      : membership{{.speaks = d}, peer_address::parse(at).value()} {}
};

list spellings(membership const& m) {
  list out;
  for (auto const& p : m.peers()) out.push_back(p.spelling());
  return out;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// `change` must fail with `code` and leave `m` as it was; its message is returned.
template <class Change>
std::string refused(membership const& m, errc code, Change change) {
  auto const before = m.snapshot();
  kcache::result<void> const r = change();
  REQUIRE_FALSE(r);
  CHECK(r.error().code() == code);
  CHECK(m.snapshot().get() == before.get());
  return std::string{r.error().message()};
}

}  // namespace

TEST_CASE("a node without peers is alone and owns every key", "[membership]") {
  for (auto const d : {dialect::native, dialect::kcache, dialect::groupcache}) {
    node const n{d};
    auto const view = n.snapshot();
    CHECK(view->ring.size() == 1);
    CHECK(view->self == 0);
    CHECK(view->epoch == 1);
    CHECK(view->owns("Tom"));
    CHECK(view->owns(""));
    CHECK(spellings(n) == list{a});
    CHECK(n.self().spelling() == a);
  }
}

TEST_CASE("set_peers replaces the list as a whole", "[membership]") {
  node n;
  REQUIRE(n.set_peers({c, a, b}));
  CHECK(spellings(n) == list{a, b, c});
  auto const old = n.snapshot();
  CHECK(old->epoch == 2);
  CHECK(old->ring.peer(old->self) == n.self());
  CHECK(n.digest() == old->ring.digest());

  REQUIRE(n.set_peers({a, c}));
  CHECK(spellings(n) == list{a, c});
  CHECK(n.epoch() == 3);
  CHECK(old->ring.size() == 3);  // who holds a view keeps it
  CHECK(n.digest() != old->ring.digest());

  REQUIRE(n.set_peers({c, a}));
  CHECK(n.epoch() == 3);  // the same members: nothing changed
}

TEST_CASE("every node owns its part and they agree", "[membership]") {
  for (auto const d : {dialect::native, dialect::kcache}) {
    node one{d, a};
    node two{d, "http://localhost:8002"};
    node three{d, c};
    for (node* n : {&one, &two, &three}) REQUIRE(n->set_peers({a, b, c}));
    CHECK(one.digest() == two.digest());
    CHECK(one.digest() == three.digest());
    CHECK(two.snapshot()->self == 1);
    for (int i = 0; i != 300; ++i) {
      auto const key = std::to_string(i);
      int owners = 0;
      for (node const* n : {&one, &two, &three}) owners += n->snapshot()->owns(key);
      if (owners != 1) FAIL(key);
    }
  }
}

TEST_CASE("self is found by canonical address, and spelled as the list does", "[membership]") {
  node n{dialect::kcache, "http://localhost:8001"};
  REQUIRE(n.set_peers({b, a}));
  CHECK(n.snapshot()->self == 1);
  CHECK(spellings(n) == list{b, a});  // what the other nodes hash
  node other{dialect::kcache, b};
  REQUIRE(other.set_peers({b, a}));
  CHECK(n.digest() == other.digest());
}

TEST_CASE("a list without self is refused", "[membership]") {
  node n;
  REQUIRE(n.set_peers({a, b}));
  auto const set = [&](list const& l) {
    return refused(n, errc::self_not_in_peers, [&] { return n.set_peers(l); });
  };
  CHECK(set({}) == "the list of peers is empty; it has to name this node, \"" + a + "\"");
  CHECK(set({b, c}) == "this node, \"" + a + "\", is not among the 2 peers listed");
  CHECK(set({b, "http://[::1]:8001"}) ==
        "this node, \"" + a + "\", is not among the 2 peers listed; \"http://[::1]:8001\" has " +
            "its port: if that is this node, give that address as the node's own");
  CHECK(contains(refused(n, errc::self_not_in_peers, [&] { return n.remove_peers({b, a}); }),
                 "cannot be removed"));
}

TEST_CASE("a bad address or a duplicate leaves the list as it was", "[membership]") {
  node n;
  REQUIRE(n.set_peers({a, b}));
  auto const bad = refused(n, errc::bad_peer_address, [&] { return n.set_peers({a, "b:1"}); });
  CHECK(contains(bad, "\"b:1\""));
  refused(n, errc::bad_peer_address, [&] { return n.add_peers({c, "http://x:0"}); });
  refused(n, errc::bad_peer_address, [&] { return n.remove_peers({b, ""}); });

  CHECK(refused(n, errc::duplicate_peer, [&] { return n.set_peers({a, b, b + "/"}); }) ==
        "peer \"" + b + "\" stands twice in the list");
  CHECK(refused(n, errc::duplicate_peer,
                [&] { return n.set_peers({a, "http://localhost:8002", b}); }) ==
        "peers \"http://localhost:8002\" and \"" + b + "\" are one node in two spellings (" + b +
            ")");
  CHECK(contains(refused(n, errc::duplicate_peer,
                         [&] { return n.add_peers({c, "http://localhost:8002"}); }),
                 "\"http://127.0.0.1:8002\" and \"http://localhost:8002\""));
  refused(n, errc::duplicate_peer, [&] { return n.add_peers({"http://LOCALHOST:8001"}); });
  refused(n, errc::duplicate_peer, [&] { return n.add_peers({c, c}); });
}

TEST_CASE("add_peers and remove_peers change what they name", "[membership]") {
  node n{dialect::kcache};
  REQUIRE(n.add_peers({c}));
  REQUIRE(n.add_peers({b, c}));  // c is there
  CHECK(spellings(n) == list{a, c, b});
  CHECK(n.epoch() == 3);
  REQUIRE(n.add_peers({b, c + "/", a}));
  REQUIRE(n.add_peers({}));
  CHECK(n.epoch() == 3);
  CHECK(spellings(n) == list{a, c, b});  // added again, they stay where they were

  REQUIRE(n.remove_peers({"http://localhost:8003"}));
  CHECK(spellings(n) == list{a, b});
  CHECK(n.epoch() == 4);
  CHECK(refused(n, errc::bad_peer_address, [&] { return n.remove_peers({b, c}); }) ==
        "peer \"" + c + "\" is not in the list and cannot be removed");
  REQUIRE(n.remove_peers({b}));
  CHECK(spellings(n) == list{a});
  CHECK(n.snapshot()->owns("Tom"));
}

TEST_CASE("order and spelling are changes in the Go dialects only", "[membership]") {
  node go{dialect::kcache};
  node native;
  for (node* n : {&go, &native}) REQUIRE(n->set_peers({a, b}));
  for (node* n : {&go, &native}) REQUIRE(n->set_peers({b, a}));
  CHECK(go.epoch() == 3);
  CHECK(native.epoch() == 2);
  for (node* n : {&go, &native}) REQUIRE(n->set_peers({b, "http://localhost:8001"}));
  CHECK(go.epoch() == 4);
  CHECK(native.epoch() == 2);
}

TEST_CASE("a tied point goes back, in whatever order peers come and go", "[membership]") {
  std::string const x = "http://10.0.32.90:8080";
  std::string const y = "http://10.0.60.200:8080";
  node n{dialect::kcache, x};
  auto const owner = [&] {
    auto const v = n.snapshot();
    return v->ring.peer(v->owner("k21")).spelling();
  };
  CHECK(owner() == x);
  REQUIRE(n.add_peers({y}));
  CHECK(owner() == y);
  REQUIRE(n.add_peers({x}));
  CHECK(owner() == y);
  REQUIRE(n.remove_peers({y}));
  CHECK(owner() == x);
  REQUIRE(n.set_peers({y, x}));
  CHECK(owner() == x);
  REQUIRE(n.set_peers({x, y}));
  CHECK(owner() == y);

  node other{dialect::kcache, y};
  REQUIRE(other.set_peers({y, x}));
  REQUIRE(other.remove_peers({x}));
  CHECK(other.snapshot()->ring.size() == 1);
  CHECK(other.snapshot()->owns("k21"));
}

TEST_CASE("more peers than a ring takes are refused", "[membership]") {
  node n;
  list many{a};
  for (int i = 0; i != 4'096; ++i) many.push_back("http://h" + std::to_string(i) + ":1");
  refused(n, errc::invalid_options, [&] { return n.set_peers(many); });
  CHECK_THROWS_AS((membership{{.points = 0xffff'ffff}, n.self()}), kcache::failure);
}

TEST_CASE("readers see whole views, and never an older one again", "[membership][concurrent]") {
  node n{dialect::kcache};
  std::atomic<bool> stop{false};
  std::atomic<int> broken{0};
  std::atomic<std::uint64_t> published{1};
  std::vector<std::thread> readers;
  for (int t = 0; t != 3; ++t) {
    readers.emplace_back([&] {
      std::uint64_t last = 0;
      while (!stop.load(std::memory_order_relaxed)) {
        auto const floor = published.load(std::memory_order_acquire);
        auto const view = n.snapshot();
        auto const size = view->epoch % 2 == 0 ? 3u : 1u;
        bool const whole = view->ring.size() == size && view->owner("k") < size &&
                           view->ring.peer(view->self) == n.self();
        if (!whole || view->epoch < last || view->epoch < floor) ++broken;
        last = view->epoch;
      }
    });
  }
  for (int i = 0; i != 2'000; ++i) {
    auto const done = i % 2 == 0 ? n.add_peers({b, c}) : n.remove_peers({c, b});
    if (!done) ++broken;
    published.store(n.epoch(), std::memory_order_release);
  }
  stop = true;
  for (auto& r : readers) r.join();
  CHECK(broken == 0);
  CHECK(n.epoch() == 2'001);
}

TEST_CASE("changes from several threads follow one another", "[membership][concurrent]") {
  node n;
  std::vector<std::thread> writers;
  std::atomic<int> failed{0};
  for (int t = 0; t != 3; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i != 10; ++i) {
        auto const peer = "http://10.0." + std::to_string(t) + '.' + std::to_string(i) + ":1";
        if (!n.add_peers({peer})) ++failed;
        if (i % 2 != 0 && !n.remove_peers({peer})) ++failed;
      }
    });
  }
  for (auto& w : writers) w.join();
  CHECK(failed == 0);
  CHECK(n.peers().size() == 1 + 3 * 5);  // no change was lost
  CHECK(n.epoch() == 1 + 3 * 15);
}
