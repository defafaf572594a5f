// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_CLIENT_POOL_HPP
#define KCACHE_BEAST_DETAIL_CLIENT_POOL_HPP
/// \file
/// Floor 5. `client_pool`: the connections to one peer, and the calls that wait for one.

#include <kcache/beast/detail/client_call.hpp>
#include <kcache/beast/detail/client_connection.hpp>
#include <kcache/beast/detail/lane.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/detail/resolve.hpp>
#include <kcache/peer.hpp>

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kcache::beast {

/// Lives on one lane, so its limits are exact and nothing is locked. An idle connection is used
/// again last in, first out, so that the ones too many grow old and go; calls that find none wait
/// first in, first out, probes before them.
///
/// Thread safety: `call` and `is_unused`; all else on the lane.
class client_pool final : public timed,
                          public connection_owner,
                          public std::enable_shared_from_this<client_pool> {
 public:
  client_pool(std::shared_ptr<lane> home, std::shared_ptr<options const> o, peer_address peer)
      : home_{std::move(home)}, o_{std::move(o)}, peer_{std::move(peer)} {
    boost::system::error_code ec;
    auto const literal = boost::asio::ip::make_address(std::string{peer_.host()}, ec);
    if (!ec) endpoints_.emplace_back(literal, peer_.port());
    is_literal_ = !ec;
  }

  /// Sends `request`; `done` is called on the lane, or here if the answer is known at once.
  void call(wire_request request, time_point deadline, wire_completion done) {
    std::size_t const others = calls_->fetch_add(1, std::memory_order_relaxed);
    bool const too_many =
        others >= o_->max_waiting + o_->max_peer_connections && !request.probe;
    auto c = std::make_unique<client_call>(std::move(request), deadline, std::move(done), calls_);
    if (too_many)
      return c->complete(error{errc::overloaded, "too many calls wait for " + host()});
    // If the lane is closed the call is destroyed, and so answered.
    home_->submit([self = shared_from_this(), c = std::move(c)]() mutable {
      self->start(std::move(c));
    });
  }

  /// No call is under way and no connection is open: it may be forgotten.
  [[nodiscard]] bool is_unused() const noexcept {
    return calls_->load(std::memory_order_relaxed) == 0 &&
           connections_.load(std::memory_order_relaxed) == 0;
  }
  [[nodiscard]] lane& home() const noexcept { return *home_; }

  /// Cancels everything, closes everything, for good.
  void close() noexcept {
    closed_ = true;
    unlink();
    auto const queue = std::exchange(queue_, {});
    auto const all = std::exchange(all_, {});
    idle_.clear();
    resolving_.clear();
    connections_ = 0;
    for (auto const& c : all) c->close();  // their calls are destroyed, and so answered
  }

 private:
  using owned_connection = std::shared_ptr<client_connection>;

  [[nodiscard]] std::string host() const { return std::string{peer_.authority()}; }

  void start(owned_call call) {
    if (closed_) return;
    if (call->deadline <= steady_clock{}.now()) return call->complete(errc::deadline);
    if (!idle_.empty()) {
      auto const c = std::move(idle_.back());
      idle_.pop_back();
      return c->exchange(std::move(call));
    }
    std::size_t const limit = o_->max_peer_connections + (call->request.probe ? 1 : 0);
    if (all_.size() < std::max<std::size_t>(limit, 1)) return open(std::move(call));
    link(*home_);
    due_at(time_point{});  // look at the queue on every tick
    if (call->request.probe) {
      queue_.push_front(std::move(call));
    } else {
      queue_.push_back(std::move(call));
    }
  }

  void open(owned_call call) {
    auto const c = std::make_shared<client_connection>(
        home_, o_, host(), std::static_pointer_cast<connection_owner>(shared_from_this()));
    all_.push_back(c);
    connections_.fetch_add(1, std::memory_order_relaxed);
    c->begin(std::move(call));
    if (is_literal_ || steady_clock{}.now() < endpoints_until_) return c->connect(endpoints_);
    resolving_.push_back(c);
    if (resolving_.size() != 1) return;
    try {
      look_up(home_, std::string{peer_.host()}, peer_.port(),
              [self = weak_from_this()](boost::system::error_code const& ec,
                                        std::vector<tcp::endpoint> found) {
                if (auto const pool = self.lock()) pool->on_resolved(ec, std::move(found));
              });
    } catch (...) {
      on_resolved(boost::asio::error::no_memory, {});
    }
  }

  void on_resolved(boost::system::error_code const& ec, std::vector<tcp::endpoint> found) {
    if (closed_) return;
    bool const good = !ec && !found.empty();
    if (good) {
      endpoints_ = std::move(found);
      endpoints_until_ = after(steady_clock{}.now(), o_->resolve_ttl);
    }
    for (auto const& c : std::exchange(resolving_, {})) {
      if (good) {
        c->connect(endpoints_);
      } else {
        c->cannot_resolve({errc::unreachable, "cannot resolve " + host() + ": " + ec.message()});
      }
    }
  }

  void on_free(client_connection& c) override {
    if (closed_) return;
    owned_call next = pop();
    bool const extra = all_.size() > std::max<std::size_t>(o_->max_peer_connections, 1);
    if (extra && !(next && next->request.probe)) {
      // It was opened for a probe; the next probe may need its place.
      if (next) queue_.push_front(std::move(next));
      forget(c);
      c.close();
      return;
    }
    if (next) return c.exchange(std::move(next));
    idle_.push_back(c.shared_from_this());
  }

  void on_lost(client_connection& c, owned_call call, error const& why, bool stale) override {
    if (closed_) return;
    bool const was_connected = c.was_connected();
    forget(c);
    if (!was_connected && call) endpoints_until_ = time_point{};  // it may have moved
    if (call && stale && !call->repeated && call->deadline > steady_clock{}.now()) {
      call->repeated = true;
      open(std::move(call));
    }
    if (call) call->complete(why);
    // Who waits behind a peer that cannot be reached would only wait to hear the same.
    bool const reached = std::any_of(all_.begin(), all_.end(),
                                     [](auto const& other) { return other->was_connected(); });
    if (!was_connected && !reached)
      for (auto& waiting : std::exchange(queue_, {})) waiting->complete(why);
    while (all_.size() < o_->max_peer_connections) {
      owned_call next = pop();
      if (!next) break;
      open(std::move(next));
    }
  }

  void forget(client_connection const& c) {
    auto const is_it = [&](owned_connection const& other) { return other.get() == &c; };
    std::erase_if(idle_, is_it);
    std::erase_if(resolving_, is_it);
    connections_.fetch_sub(std::erase_if(all_, is_it), std::memory_order_relaxed);
  }

  /// The first that still has time; null if nobody waits.
  owned_call pop() {
    time_point const now = steady_clock{}.now();
    while (!queue_.empty()) {
      owned_call call = std::move(queue_.front());
      queue_.pop_front();
      if (call->deadline > now) return call;
      call->complete(errc::deadline);
    }
    return nullptr;
  }

  void expire(time_point now) override {
    std::vector<owned_call> late;
    for (auto& call : queue_)
      if (call->deadline <= now) late.push_back(std::move(call));
    std::erase(queue_, nullptr);
    if (queue_.empty()) unlink();
    for (auto& call : late)
      call->complete(error{errc::deadline, "no connection to " + host() + " became free in time"});
  }

  std::shared_ptr<lane> home_;
  std::shared_ptr<options const> o_;
  peer_address peer_;
  std::shared_ptr<std::atomic<std::size_t>> calls_ =
      std::make_shared<std::atomic<std::size_t>>(0);
  std::atomic<std::size_t> connections_{0};

  std::vector<owned_connection> all_;
  std::vector<owned_connection> idle_;
  std::vector<owned_connection> resolving_;
  std::deque<owned_call> queue_;
  std::vector<tcp::endpoint> endpoints_;
  time_point endpoints_until_{};
  bool is_literal_ = false;
  bool closed_ = false;
};

}  // namespace kcache::beast

#endif
