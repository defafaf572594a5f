// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_SIMULATED_CLUSTER_HPP
#define KCACHE_TESTS_SUPPORT_SIMULATED_CLUSTER_HPP
/// \file
/// Nodes of the production templates in one thread under virtual time, with a loader that does what
/// a test says and is counted.

#include <kcache/cluster/cluster.hpp>
#include <kcache/testing/manual_clock.hpp>
#include <kcache/testing/manual_executor.hpp>
#include <kcache/testing/plain_codec.hpp>
#include <kcache/testing/simulated_network.hpp>

#include "support/manual_policies.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace test {

struct simulated_policies : kcache::core_cluster_policies {
  using executor = kcache::testing::manual_executor;
  using random = kcache::seeded_random;
  using transport = kcache::testing::simulated_network;
  using codec = kcache::testing::plain_codec;
};
using simulated_node = kcache::basic_cluster<simulated_policies>;

/// Nodes `http://n0:1`, `http://n1:1`, …, each with the group `scores`; all know each other.
class simulated_cluster {
 public:
  struct node {
    std::string address;
    simulated_node cluster;
    manual_strings scores;
    int& loads;

    [[nodiscard]] std::string get(std::string const& key) { return told(scores.get(key)); }
    void get(std::string const& key, listener& l) { scores.async_get(key, l.handler()); }
  };
  struct settings {
    std::size_t nodes = 3;
    std::uint64_t seed = 0;  ///< of the order of tasks, and of the network's draws
    kcache::ttl ttl = kcache::ttl::never();
    kcache::duration negative_ttl{};  ///< absence is not remembered
    unsigned max_fallback_loads = 64;
    kcache::dialect dialect = kcache::dialect::native;
    bool rings_differ = false;  ///< each node has a ring seed of its own
  };

  simulated_cluster() : simulated_cluster{settings{}} {}
  explicit simulated_cluster(settings s) : work{clock, s.seed}, net{s.seed + 1}, settings_{s} {
    for (std::size_t i = 0; i != s.nodes; ++i) nodes.push_back(make(i));
    for (auto& n : nodes) n->cluster.set_peers(addresses()).value();
  }
  simulated_cluster(simulated_cluster const&) = delete;
  simulated_cluster& operator=(simulated_cluster const&) = delete;

  [[nodiscard]] std::vector<std::string> addresses() const {
    std::vector<std::string> all;
    for (auto const& n : nodes) all.push_back(n->address);
    return all;
  }
  [[nodiscard]] static std::string address(std::size_t i) {
    return "http://n" + std::to_string(i) + ":1";
  }
  /// A node that is not in the list yet.
  std::unique_ptr<node> make(std::size_t i) {
    auto n = std::unique_ptr<node>{new node{
        address(i),
        simulated_node{{.self = address(i),
                        .dialect = settings_.dialect,
                        .ring_seed = settings_.rings_differ ? i + 1 : 0,
                        .ring_points = 64,  // rings are made by the thousand
                        .transport = {net},
                        .executor = work,
                        .random = kcache::seeded_random{settings_.seed * 100 + i}}},
        manual_strings{{.name = "scores",
                        .capacity = 10'000,
                        .ttl = settings_.ttl,
                        .jitter = 0,
                        .negative_ttl = settings_.negative_ttl,
                        .max_fallback_loads = settings_.max_fallback_loads,
                        .clock = clock,
                        .random = kcache::seeded_random{settings_.seed * 100 + i + 50},
                        .executor = work},
                       loader(i)},
        loads_of(i)}};
    n->cluster.add(n->scores).value();
    n->cluster.start().value();
    return n;
  }

  /// A key that node `i` owns by its own ring; the `n`-th one.
  [[nodiscard]] std::string key_of(std::size_t i, int n = 0) const {
    for (int k = 0;; ++k) {
      std::string key = "key-" + std::to_string(k);
      if (nodes[i]->cluster.owner_of(key) == nodes[i]->cluster.self() && n-- == 0) return key;
    }
  }
  [[nodiscard]] int loads() const {
    return std::accumulate(loads_by_node.begin(), loads_by_node.end(), 0);
  }

  kcache::testing::manual_clock clock;
  kcache::testing::manual_executor work;
  kcache::testing::simulated_network net;
  /// How long a load takes, and what it yields.
  kcache::duration load_time{};
  std::function<kcache::result<std::string>(std::string const& key)> source =
      [](std::string const& key) { return "v:" + key; };
  /// Told of each load that begins, and that is about to end.
  std::function<void(std::size_t node, std::string const& key)> on_load, on_load_end;
  std::deque<int> loads_by_node;  ///< also those of nodes that are gone
  std::vector<std::unique_ptr<node>> nodes;

 private:
  int& loads_of(std::size_t i) {
    if (loads_by_node.size() <= i) loads_by_node.resize(i + 1);
    return loads_by_node[i];
  }
  kcache::loader<std::string, std::string> loader(std::size_t i) {
    return [this, i](std::string const& key, kcache::load_context,
                     kcache::load_completion<std::string> done) {
      ++loads_by_node[i];
      if (on_load) on_load(i, key);
      auto end = [this, i, key, d = std::move(done)]() mutable {
        if (on_load_end) on_load_end(i, key);
        d(source(key));
      };
      if (load_time == kcache::duration::zero()) end();
      else work.schedule_at(work.now() + load_time, std::move(end));
    };
  }

  settings settings_;
};

}  // namespace test

#endif
