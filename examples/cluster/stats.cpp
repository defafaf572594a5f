// SPDX-License-Identifier: BSL-1.0
#include "stats.hpp"

// Boost.JSON is a compiled library; this is its own way to do without one.
#include <boost/json/src.hpp>

namespace demo {

std::string to_json(node_stats const& s) {
  namespace json = boost::json;
  auto const& g = s.of_group;
  auto const& c = s.of_cluster;
  json::object const document{
      {"node", s.node},
      {"dialect", s.dialect},
      {"peers", json::value_from(s.peers)},
      {"group",
       {{"name", s.group},
        {"hits", g.cache.hits},
        {"misses", g.cache.misses},
        {"loads", g.loads},
        {"load_failures", g.load_failures},
        {"not_found", g.not_found},
        {"fallback_loads", g.fallback_loads},
        {"refreshes", g.refreshes},
        {"shed", g.shed},
        {"absent", g.absent},
        {"stale", g.stale},
        {"fetches", g.fetches},
        {"fetch_failures", g.fetch_failures},
        {"served", g.served},
        {"entries", g.cache.entries},
        {"bytes", g.cache.bytes},
        {"removed",
         {{"expired", g.cache.expired},
          {"evicted", g.cache.evicted},
          {"replaced", g.cache.replaced},
          {"erased", g.cache.erased}}}}},
      {"cluster",
       {{"requests", c.requests},
        {"bad_requests", c.bad_requests},
        {"wrong_owner", c.wrong_owner},
        {"calls", c.calls},
        {"unreachable", c.unreachable},
        {"bad_replies", c.bad_replies},
        {"ring_mismatch", c.ring_mismatch},
        {"probes", c.probes},
        {"peers_lost", c.peers_lost}}},
  };
  return json::serialize(document) + '\n';
}

}  // namespace demo
