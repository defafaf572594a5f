// SPDX-License-Identifier: BSL-1.0
// Clusters under real threads, over the loopback transport.
#include <kcache/cluster/cluster.hpp>

#include "support/catch.hpp"

#include <kcache/cluster/loopback_transport.hpp>
#include <kcache/testing/plain_codec.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::result;

namespace {

struct policies : kcache::core_cluster_policies {
  using transport = kcache::loopback_transport;
  using codec = kcache::testing::plain_codec;
};
using strings = kcache::group<std::string, std::string>;

std::vector<std::string> const addresses{"http://n0:1", "http://n1:1", "http://n2:1"};

struct node {
  node(std::string const& self, kcache::loopback_transport::options const& wire,
       kcache::thread_pool const& pool, std::atomic<int>& all_loads)
      : cluster{{.self = self,
                 .ring_points = 64,
                 .probe_after = 1ms,
                 .probe_timeout = 5s,
                 .transport = wire,
                 .executor = pool}},
        scores{{.name = "scores", .capacity = 10'000, .deadline = 1min, .executor = pool},
               [&all_loads](std::string const& key) {
                 ++all_loads;
                 std::this_thread::yield();
                 return "v:" + key;
               }} {
    cluster.add(scores).value();
    cluster.start().value();
  }
  kcache::basic_cluster<policies> cluster;
  strings scores;
};

struct world {
  world() {
    for (auto const& self : addresses)
      nodes.push_back(std::make_unique<node>(self, wire, pool, loads));
    for (auto& n : nodes) n->cluster.set_peers(addresses).value();
  }
  kcache::thread_pool pool{{.max_threads = 4}};
  kcache::loopback_transport::options wire;
  std::atomic<int> loads{0};
  std::vector<std::unique_ptr<node>> nodes;
};

void in_parallel(std::size_t threads, std::function<void(std::size_t)> const& work) {
  std::vector<std::thread> all;
  for (std::size_t i = 0; i != threads; ++i) all.emplace_back(work, i);
  for (auto& t : all) t.join();
}

}  // namespace

TEST_CASE("threads on three nodes make one load for each key", "[concurrent]") {
  world w;
  constexpr int keys = 60;
  std::atomic<int> wrong{0};
  in_parallel(6, [&](std::size_t t) {
    for (int k = 0; k != keys; ++k) {
      std::string const key = "k" + std::to_string(k);
      auto const r = w.nodes[t % 3]->scores.get(key);
      if (!r || **r != "v:" + key) ++wrong;
    }
  });
  CHECK(wrong == 0);
  CHECK(w.loads == keys);
}

TEST_CASE("a ring changes, and nodes come and go, under readers", "[concurrent]") {
  world w;
  std::atomic<int> wrong{0};
  std::atomic<bool> over{false};
  std::thread changer{[&] {
    std::vector<std::string> const two{addresses[0], addresses[1]};
    for (int i = 0; i != 30; ++i) {
      for (std::size_t n : {0u, 1u}) {
        (void)w.nodes[n]->cluster.remove_peers({addresses[2]});
        std::this_thread::yield();
        (void)w.nodes[n]->cluster.add_peers({addresses[2]});
      }
      (void)w.nodes[0]->cluster.set_peers(i % 2 ? two : addresses);
    }
    w.nodes[2]->cluster.stop();
    for (std::size_t n : {0u, 1u}) (void)w.nodes[n]->cluster.set_peers(addresses);
    over = true;
  }};
  in_parallel(3, [&](std::size_t t) {
    for (int k = 0; k < 200 || !over; ++k) {
      std::string const key = "k" + std::to_string(k % 500);
      auto const r = w.nodes[t % 2]->scores.get(key);
      if (!r || **r != "v:" + key) ++wrong;
    }
  });
  changer.join();
  CHECK(wrong == 0);
}

TEST_CASE("nodes go while others ask them", "[concurrent]") {
  for (int round = 0; round != 15; ++round) {
    world w;
    std::atomic<int> wrong{0}, answered{0};
    std::thread reader{[&] {
      for (int k = 0; k != 60; ++k) {
        std::string const key = "k" + std::to_string(k);
        auto const r = w.nodes[0]->scores.get(key);
        if (!r || **r != "v:" + key) ++wrong;
      }
    }};
    for (int k = 0; k != 20; ++k)
      w.nodes[1]->scores.async_get("a" + std::to_string(k),
                                   [&](strings::answer const&) { ++answered; });
    w.nodes[2].reset();
    w.nodes[1].reset();
    reader.join();
    REQUIRE(wrong == 0);
    REQUIRE(answered == 20);
  }
}

TEST_CASE("slow loads keep their peers, while probes come and go", "[concurrent]") {
  kcache::thread_pool const pool{{.max_threads = 4}};
  kcache::loopback_transport::options const wire;
  struct open {
    kcache::load_completion<std::string> done;
    std::string key;
  };
  std::mutex mutex;
  std::vector<open> held;
  std::vector<std::unique_ptr<kcache::basic_cluster<policies>>> clusters;
  std::vector<std::unique_ptr<strings>> groups;
  for (int i = 0; i != 2; ++i) {
    clusters.push_back(std::make_unique<kcache::basic_cluster<policies>>(
        kcache::cluster_options<policies>{.self = addresses[static_cast<std::size_t>(i)],
                                          .probe_after = 1us,
                                          .probe_timeout = 5s,
                                          .transport = wire,
                                          .executor = pool}));
    groups.push_back(std::make_unique<strings>(
        strings::options_type{
            .name = "scores", .capacity = 100, .deadline = 1min, .executor = pool},
        [&](std::string const& key, kcache::load_context,
            kcache::load_completion<std::string> done) {
          std::lock_guard lock{mutex};
          held.push_back({std::move(done), key});
        }));
    clusters.back()->add(*groups.back()).value();
    clusters.back()->start().value();
  }
  for (auto& c : clusters) c->set_peers({addresses[0], addresses[1]}).value();
  std::atomic<int> answered{0}, wrong{0};
  for (int k = 0; k != 40; ++k)
    groups[0]->async_get("k" + std::to_string(k), [&, k](strings::answer const& a) {
      if (!a || **a != "k" + std::to_string(k)) ++wrong;
      ++answered;
    });
  while (clusters[0]->stats().probes < 1) std::this_thread::yield();
  while (answered != 40) {
    std::optional<open> one;
    {
      std::lock_guard lock{mutex};
      if (!held.empty()) {
        one.emplace(std::move(held.back()));
        held.pop_back();
      }
    }
    if (one) one->done(result<std::string>{one->key});
    else std::this_thread::yield();
  }
  CHECK(wrong == 0);
  CHECK(clusters[0]->stats().peers_lost == 0);
  clusters.clear();
  groups.clear();
}
