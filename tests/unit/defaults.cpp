// SPDX-License-Identifier: BSL-1.0
#include <kcache/defaults.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

using namespace std::chrono_literals;

static_assert(kcache::cluster_policies<kcache::default_cluster_policies>);
static_assert(std::is_same_v<kcache::cluster::policies_type, kcache::default_cluster_policies>);

/// One node of a cluster in this process, with two groups of different types.
struct node {
  explicit node(std::atomic<int>& loads)
      : cluster{{.self = "http://127.0.0.1:0"}},
        scores{{.name = "scores", .capacity = 1'000, .deadline = 5s},
               [&loads](std::string const& key) -> std::optional<std::string> {
                 ++loads;
                 if (key.starts_with("no")) return std::nullopt;
                 if (key.starts_with("bad")) throw std::runtime_error{"the source is down"};
                 return "value of " + key;
               }},
        squares{{.name = "squares", .capacity = 1'000, .deadline = 5s},
                [&loads](std::int64_t const& n) {
                  ++loads;
                  return n * n;
                }} {
    cluster.add(scores).value();
    cluster.add(squares).value();
    cluster.start().value();
  }
  [[nodiscard]] std::string url() { return "http://" + cluster.address(); }

  kcache::cluster cluster;
  kcache::group<std::string, std::string> scores;
  kcache::group<std::int64_t, std::int64_t> squares;
};

struct nodes {
  explicit nodes(int n) {
    std::vector<std::string> peers;
    for (int i = 0; i != n; ++i) {
      all.push_back(std::make_unique<node>(loads));
      peers.push_back(all.back()->url());
    }
    for (auto const& one : all) one->cluster.set_peers(peers).value();
  }
  node& operator[](std::size_t i) { return *all[i]; }

  std::atomic<int> loads{0};
  std::vector<std::unique_ptr<node>> all;
};

TEST_CASE("three nodes over sockets answer every key through each, and load it once") {
  nodes n{3};
  for (int k = 0; k != 100; ++k) {
    std::string const key = "key " + std::to_string(k) + "/%?#+\xff";
    for (auto const& one : n.all) {
      auto const v = one->scores.get(key);
      REQUIRE(v);
      REQUIRE(**v == "value of " + key);
    }
  }
  CHECK(n.loads == 100);
  for (std::int64_t k = -50; k != 50; ++k)
    for (auto const& one : n.all) REQUIRE(**one->squares.get(k) == k * k);
  CHECK(n.loads == 200);
}

TEST_CASE("the owner's word reaches every caller, and nobody loads because of it") {
  nodes n{3};
  for (int k = 0; k != 10; ++k) {
    n.loads = 0;
    std::string const none = "no " + std::to_string(k), bad = "bad " + std::to_string(k);
    CHECK(n[0].scores.get(none).error() == kcache::errc::not_found);
    CHECK(n.loads == 1);
    auto const failed = n[0].scores.get(bad);
    CHECK(failed.error() == kcache::errc::loader_failed);
    CHECK(failed.error().message() == "the source is down");
    CHECK(n.loads == 2);
  }
}

TEST_CASE("100 cold reads at once, spread over three nodes, make one load", "[concurrent]") {
  nodes n{3};
  std::vector<std::thread> callers;
  std::atomic<int> right{0};
  for (std::size_t i = 0; i != 100; ++i)
    callers.emplace_back([&, i] {
      auto const v = n[i % 3].scores.get("Tom", 30s);
      if (v && **v == "value of Tom") ++right;
    });
  for (auto& c : callers) c.join();
  CHECK(right == 100);
  CHECK(n.loads == 1);
}

TEST_CASE("a node that has gone costs its readers nothing but a load", "[concurrent]") {
  nodes n{2};
  std::string key;
  for (int k = 0; key.empty(); ++k) {
    auto candidate = "k" + std::to_string(k);
    if (n[0].cluster.owner_of(candidate) == n[1].cluster.self()) key = candidate;
  }
  CHECK(**n[0].scores.get(key) == "value of " + key);
  n[1].cluster.stop();
  CHECK(**n[0].scores.get(key) == "value of " + key);
  CHECK(n.loads == 2);
  CHECK(**n[1].scores.get(key) == "value of " + key);  // a group whose cluster is gone
  CHECK(n[0].cluster.stats().unreachable >= 1);
}

TEST_CASE("a blocking get that must wait is refused on an I/O thread") {
  nodes n{2};
  auto const refused = std::make_shared<std::promise<kcache::errc>>();
  auto answer = refused->get_future();
  std::string foreign;
  for (int k = 0; foreign.empty(); ++k) {
    auto candidate = "k" + std::to_string(k);
    if (n[0].cluster.owner_of(candidate) == n[1].cluster.self()) foreign = candidate;
  }
  n[0].scores.async_get(foreign, [&](auto const&) {  // ends on an I/O thread of the transport
    refused->set_value(n[0].scores.get("another").error().code());
  });
  CHECK(answer.get() == kcache::errc::would_block);
}

TEST_CASE("a port in use is one clear error, and the node can be started again elsewhere") {
  std::atomic<int> loads{0};
  node first{loads};
  kcache::cluster second{{.self = first.url()}};
  auto const r = second.start();
  REQUIRE_FALSE(r);
  CHECK(r.error() == kcache::errc::cannot_listen);
  CHECK(std::string{r.error().message()}.find(first.cluster.address()) != std::string::npos);
}

}  // namespace
