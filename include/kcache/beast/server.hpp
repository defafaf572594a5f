// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_SERVER_HPP
#define KCACHE_BEAST_SERVER_HPP
/// \file
/// Floor 5. `http_server`: a small, strict HTTP/1.1 server for a `wire_server` handler.

#include <kcache/beast/detail/acceptor.hpp>
#include <kcache/beast/io_threads.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/detail/session.hpp>
#include <kcache/cluster/transport.hpp>
#include <kcache/config.hpp>
#include <kcache/result.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace kcache::beast {

/// Listens on one address and gives each request to a handler, as the transport does for peers;
/// useful by itself for a front end beside the peers' port:
///
///     kcache::beast::http_server api{{.listen = "127.0.0.1", .port = 9999}};
///     auto ok = api.listen([](kcache::wire_request_view request, kcache::wire_responder reply) {
///       reply({.status = 200, .type = kcache::media::text, .head = "hello\n", .tail = {}});
///     });
///
/// The handler is called on the I/O threads, by several at once, and must not block; its request is
/// valid during the call only, while the responder may be kept, called from any thread, or
/// destroyed, which closes the connection. What is not a proper request never reaches it
/// (request_parser.hpp says what is answered instead).
///
/// Thread safety: all but destruction; `stop` and the destructor never on an I/O thread.
class http_server {
 public:
  /// With threads (or strands over `o.executor`) of its own.
  explicit http_server(options o) : http_server{o, std::make_shared<io_threads>(o)} {
    owns_threads_ = true;
  }
  /// On threads that others use too, and that are stopped after this.
  http_server(options o, std::shared_ptr<io_threads> threads)
      : threads_{std::move(threads)},
        core_{std::make_shared<server_core>(std::move(o), threads_->size())} {}
  http_server(http_server const&) = delete;
  http_server& operator=(http_server const&) = delete;
  ~http_server() { stop(std::chrono::milliseconds{0}); }

  /// Serves on `options.listen` at `options.port`, or at `port` if that is not set (0: any free
  /// one). `cannot_listen`, with a message for people, if the address cannot be had. At most once.
  result<void> listen(wire_server handler, std::uint16_t port = 0) {
    std::lock_guard lock{mutex_};
    if (stopped_ || acceptor_) return kcache::error{errc::cannot_listen, "cannot listen twice"};
    std::vector<std::shared_ptr<lane>> lanes;
    for (std::size_t i = 0; i != threads_->size(); ++i) lanes.push_back(threads_->at(i));
    auto fresh = std::make_shared<acceptor>(std::move(lanes), core_);
    core_->handler = std::move(handler);
    auto outcome = fresh->listen(core_->o.port.value_or(port));
    if (outcome) acceptor_ = std::move(fresh);
    return outcome;
  }

  /// `host:port`; empty before `listen` has succeeded.
  [[nodiscard]] std::string address() const {
    std::lock_guard lock{mutex_};
    return acceptor_ ? acceptor_->address() : std::string{};
  }
  /// How many connections are open.
  [[nodiscard]] std::size_t connections() const { return core_->open(); }

  /// Accepts nothing more, closes idle connections, lets requests that are being answered finish
  /// for up to `grace`, then closes the rest. The handler is not called after it has returned.
  /// Idempotent.
  void stop(std::chrono::milliseconds grace) {
    std::lock_guard once{stopping_};
    std::shared_ptr<acceptor> listening;
    {
      std::lock_guard lock{mutex_};
      if (std::exchange(stopped_, true)) return;
      listening = acceptor_;
    }
    auto const limit = std::chrono::steady_clock::now() + grace;
    if (listening) {
      core_->draining = true;
      threads_->on_each(
          [core = core_, listening](std::size_t i) {
            if (i == 0) listening->close();
            for (auto const& s : sessions_of(*core, i)) s->drain();
          },
          std::max(grace, least_wait));
      core_->wait_until_empty(limit);
      bool const all = threads_->on_each(
          [core = core_](std::size_t i) {
            for (auto const& s : sessions_of(*core, i)) s->close();
          },
          least_wait);
      if (all) core_->handler = nullptr;
    }
    if (owns_threads_) threads_->stop();
  }

 private:
  /// For strands over an executor that does not run: nothing else can keep a lane waiting.
  static constexpr std::chrono::milliseconds least_wait{1'000};

  /// Of one lane, on that lane; held, for they leave the roster while it is walked.
  static std::vector<std::shared_ptr<session>> sessions_of(server_core& core, std::size_t i) {
    std::vector<std::shared_ptr<session>> all;
    for (session* s : core.rosters[i]) all.push_back(s->shared_from_this());
    return all;
  }

  std::shared_ptr<io_threads> threads_;
  std::shared_ptr<server_core> core_;
  bool owns_threads_ = false;
  std::mutex stopping_;
  mutable std::mutex mutex_;  // of the two below; never held while a lane is waited for
  std::shared_ptr<acceptor> acceptor_;
  bool stopped_ = false;
};

}  // namespace kcache::beast

#endif
