// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_KCACHE_HPP
#define KCACHE_KCACHE_HPP
/// \file
/// Floor 7. The umbrella: every public header, with Boost and nanopb. Programs that need less
/// include less: README.md says which header gives what. The test kit, testing/, is not part of it.

#include <kcache/beast/async_get.hpp>
#include <kcache/beast/io_threads.hpp>
#include <kcache/beast/mount.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/server.hpp>
#include <kcache/beast/transport.hpp>
#include <kcache/bytes.hpp>
#include <kcache/cache.hpp>
#include <kcache/cache_options.hpp>
#include <kcache/cluster/cluster.hpp>
#include <kcache/cluster/cluster_options.hpp>
#include <kcache/cluster/codec.hpp>
#include <kcache/cluster/dialect.hpp>
#include <kcache/cluster/fetch_fsm.hpp>
#include <kcache/cluster/hash_ring.hpp>
#include <kcache/cluster/loopback_transport.hpp>
#include <kcache/cluster/membership.hpp>
#include <kcache/cluster/message.hpp>
#include <kcache/cluster/peer_health.hpp>
#include <kcache/cluster/served_group.hpp>
#include <kcache/cluster/transport.hpp>
#include <kcache/cluster/wire_path.hpp>
#include <kcache/cluster/wire_traits.hpp>
#include <kcache/config.hpp>
#include <kcache/defaults.hpp>
#include <kcache/error.hpp>
#include <kcache/fwd.hpp>
#include <kcache/group.hpp>
#include <kcache/group_options.hpp>
#include <kcache/handle.hpp>
#include <kcache/loader.hpp>
#include <kcache/nanopb/codec.hpp>
#include <kcache/peer.hpp>
#include <kcache/policies.hpp>
#include <kcache/policies/clock.hpp>
#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/eviction.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/policies/expiry.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/hash.hpp>
#include <kcache/policies/key_counting_stats.hpp>
#include <kcache/policies/lru.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/policies/removal.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>
#include <kcache/policies/stats.hpp>
#include <kcache/policies/thread_pool.hpp>
#include <kcache/policies/ticking_clock.hpp>
#include <kcache/policies/w_tinylfu.hpp>
#include <kcache/policies/weigher.hpp>
#include <kcache/remote_origin.hpp>
#include <kcache/result.hpp>
#include <kcache/single_flight.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>
#include <kcache/version.hpp>

#endif
