// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_EXAMPLES_CLUSTER_STATS_HPP
#define KCACHE_EXAMPLES_CLUSTER_STATS_HPP
/// \file
/// What a node tells of itself at `GET /stats`.

#include <kcache/cluster/cluster_options.hpp>
#include <kcache/group_options.hpp>

#include <string>
#include <vector>

namespace demo {

struct node_stats {
  std::string node;
  std::string dialect;
  std::vector<std::string> peers;
  std::string group;
  kcache::group_stats of_group;
  kcache::cluster_stats of_cluster;
};

[[nodiscard]] std::string to_json(node_stats const& s);

}  // namespace demo

#endif
