// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_TRANSPORT_HPP
#define KCACHE_BEAST_TRANSPORT_HPP
/// \file
/// Floor 5. `beast_transport`: the transport policy over HTTP/1.1, with Boost.Beast and Asio.

#include <kcache/beast/detail/client.hpp>
#include <kcache/beast/io_threads.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/server.hpp>
#include <kcache/cluster/transport.hpp>
#include <kcache/peer.hpp>
#include <kcache/policies/clock.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace kcache {

/// The default transport of a cluster: an HTTP/1.1 server and a pool of keep-alive connections to
/// each peer, on a few I/O threads of its own or on the user's executor (`beast::options`, which
/// also holds every limit and deadline).
///
/// Beast's parser is driven by hand from one flat buffer per connection, and one coarse timer a
/// thread keeps all deadlines: an answer given inside the handler's call costs one read and one
/// gathered write, and no allocation.
///
/// Real sockets keep real time: deadlines are turned into what is left of them by the bundle's
/// executor when a call begins, and kept on std's steady clock from there on. A name's addresses
/// are looked up on a thread of their own and kept for `resolve_ttl`.
struct beast_transport {
  using options = beast::options;

  /// The transport of a bundle. Meets `bound_transport`, which says what each function does;
  /// besides:
  /// - `listen` serves on `options.listen`, at `options.port` or else at the port of `self`;
  /// - a request whose target HTTP cannot carry (a space, a control character) is `unsupported`;
  /// - `stop` lets requests that are being served finish, then answers this node's own pending
  ///   calls `cancelled`. Over the user's executor it waits for handlers no more than a second
  ///   past the deadline; that context must outlive the transport.
  ///
  /// Thread safety: all but destruction, which stops without grace.
  template <class Policies>
  class bind {
   public:
    using executor_type = typename Policies::executor;

    /// Starts the I/O threads, which do nothing yet. \throws std::system_error if there are none.
    bind(options o, executor_type executor)
        : executor_{std::move(executor)},
          threads_{std::make_shared<beast::io_threads>(o)},
          server_{o, threads_},
          client_{o, threads_} {}
    bind(bind const&) = delete;
    bind& operator=(bind const&) = delete;
    ~bind() { stop_within(std::chrono::milliseconds{0}); }

    result<void> listen(peer_address const& self, wire_server server) {
      return server_.listen(std::move(server), self.port());
    }

    void call(peer_address const& peer, wire_request request, time_point deadline,
              wire_completion done) {
      time_point const until =
          deadline == never ? never : after(steady_clock{}.now(), deadline - executor_.now());
      client_.call(peer, std::move(request), until, std::move(done));
    }

    [[nodiscard]] std::string address() const { return server_.address(); }

    void stop(time_point deadline) {
      using std::chrono::milliseconds;
      auto const left = deadline == never ? duration{std::chrono::hours{1}}
                                          : std::max(deadline - executor_.now(), duration{});
      stop_within(std::chrono::ceil<milliseconds>(std::min(left, duration{std::chrono::hours{1}})));
    }

    /// The I/O threads, for an `http_server` beside this one; stop that one first.
    [[nodiscard]] std::shared_ptr<beast::io_threads> const& threads() const noexcept {
      return threads_;
    }

   private:
    void stop_within(std::chrono::milliseconds grace) {
      std::lock_guard lock{stopping_};
      server_.stop(grace);
      client_.stop();
      threads_->stop();
    }

    [[no_unique_address]] executor_type executor_;
    std::shared_ptr<beast::io_threads> threads_;
    beast::http_server server_;
    beast::http_client client_;
    std::mutex stopping_;
  };
};

}  // namespace kcache

#endif
