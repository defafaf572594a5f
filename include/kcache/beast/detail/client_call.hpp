// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_CLIENT_CALL_HPP
#define KCACHE_BEAST_DETAIL_CLIENT_CALL_HPP
/// \file
/// Floor 5. `client_call`: a request on its way, and the promise that it is answered exactly once.

#include <kcache/cluster/transport.hpp>
#include <kcache/error.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace kcache::beast {

/// Belongs to whoever works on it: an inbox, a queue, a connection. One that is destroyed without
/// an answer answers `cancelled`, so that no path can lose one.
class client_call {
 public:
  client_call(wire_request what, time_point until, wire_completion whom,
              std::shared_ptr<std::atomic<std::size_t>> counter) noexcept
      : request{std::move(what)},
        deadline{until},
        done_{std::move(whom)},
        counter_{std::move(counter)} {}
  client_call(client_call const&) = delete;
  client_call& operator=(client_call const&) = delete;
  ~client_call() { complete(errc::cancelled); }

  /// The first call answers; the others do nothing.
  void complete(result<wire_reply> reply) {
    if (!done_) return;
    counter_->fetch_sub(1, std::memory_order_relaxed);
    no_blocking_scope const scope;
    std::exchange(done_, nullptr)(std::move(reply));
  }

  wire_request request;
  time_point deadline;   ///< on std's steady timeline
  bool repeated = false; ///< on a second connection, because the first had gone stale

 private:
  wire_completion done_;
  std::shared_ptr<std::atomic<std::size_t>> counter_;
};

using owned_call = std::unique_ptr<client_call>;

}  // namespace kcache::beast

#endif
