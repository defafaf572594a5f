// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_LOOPBACK_TRANSPORT_HPP
#define KCACHE_CLUSTER_LOOPBACK_TRANSPORT_HPP
/// \file
/// Floor 4. `loopback_transport`: nodes within one process call each other directly. For tests, and
/// as the smallest model of the transport concept.

#include <kcache/cluster/transport.hpp>
#include <kcache/detail/reply_slot.hpp>
#include <kcache/peer.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace kcache {

/// What the nodes of one test share: who listens where, and which call is to fail. Thread safe.
class loopback_hub {
 public:
  /// The `n`-th call from now on (1 is the next) fails with `code`, without reaching anybody.
  void fail_call(std::uint64_t n, errc code = errc::unreachable) {
    std::lock_guard lock{mutex_};
    fail_at_ = calls_ + n;
    fail_with_ = code;
  }
  /// Calls so far, probes included.
  [[nodiscard]] std::uint64_t calls() const {
    std::lock_guard lock{mutex_};
    return calls_;
  }

 private:
  friend struct loopback_transport;

  struct server {
    explicit server(wire_server f) : serve{std::move(f)} {}
    wire_server serve;
  };

  /// The address that was taken; none if it is in use.
  [[nodiscard]] std::optional<peer_address> listen(peer_address const& self,
                                                   std::shared_ptr<server> s) {
    std::lock_guard lock{mutex_};
    auto at = detail::with_free_port(
        self, [this](peer_address const& a) { return servers_.contains(a.canonical()); });
    if (!servers_.emplace(at.canonical(), std::move(s)).second) return std::nullopt;
    return at;
  }
  void close(std::string const& address) {
    std::lock_guard lock{mutex_};
    servers_.erase(address);
  }
  /// Counts a call: who is to serve it, or why it fails.
  [[nodiscard]] result<std::shared_ptr<server>> next_call(std::string const& address) {
    std::lock_guard lock{mutex_};
    if (++calls_ == fail_at_) return error{fail_with_};
    auto const at = servers_.find(address);
    if (at == servers_.end()) return errc::unreachable;
    return at->second;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<server>> servers_;
  std::uint64_t calls_ = 0, fail_at_ = 0;
  errc fail_with_ = errc::unreachable;
};

/// A call runs the peer's server on the caller's thread. Nodes find each other through the hub in
/// their options; each `options` made by default has a hub of its own, so share one:
///
///     kcache::loopback_transport::options wire;
///     node a{{.self = "http://10.0.0.1:1", .transport = wire}};
///     node b{{.self = "http://10.0.0.2:1", .transport = wire}};
struct loopback_transport {
  struct options {
    std::shared_ptr<loopback_hub> hub = std::make_shared<loopback_hub>();
  };

  template <class Policies>
  class bind {
   public:
    using executor_type = typename Policies::executor;

    bind(options o, executor_type executor)
        : hub_{std::move(o.hub)}, executor_{std::move(executor)} {}
    bind(bind const&) = delete;
    bind& operator=(bind const&) = delete;
    ~bind() { stop(time_point::min()); }

    result<void> listen(peer_address const& self, wire_server server) {
      auto at = hub_->listen(self, std::make_shared<loopback_hub::server>(std::move(server)));
      if (!at)
        return error{errc::cannot_listen,
                     "cannot listen on " + std::string{self.authority()} + ": in use"};
      std::lock_guard lock{mutex_};
      self_ = std::move(at);
      return {};
    }

    void call(peer_address const& peer, wire_request request, time_point deadline,
              wire_completion done) {
      auto const waiting = calls_.open(executor_, deadline, std::move(done));
      if (!waiting) return;
      auto const to = hub_->next_call(peer.canonical());
      if (!to) return waiting->answer(to.error());
      (*to)->serve({request.verb, request.target, request.body},
                   detail::responder_for(
                       [waiting](result<wire_reply> r) { waiting->answer(std::move(r)); }));
    }

    [[nodiscard]] std::string address() const {
      std::lock_guard lock{mutex_};
      return self_ ? std::string{self_->authority()} : std::string{};
    }

    void stop(time_point) {
      {
        std::lock_guard lock{mutex_};
        if (self_) hub_->close(self_->canonical());
        self_.reset();
      }
      calls_.stop();
    }

   private:
    std::shared_ptr<loopback_hub> hub_;
    executor_type executor_;
    mutable std::mutex mutex_;
    std::optional<peer_address> self_;
    detail::open_calls<executor_type> calls_;
  };
};

}  // namespace kcache

#endif
