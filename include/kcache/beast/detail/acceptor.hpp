// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_ACCEPTOR_HPP
#define KCACHE_BEAST_DETAIL_ACCEPTOR_HPP
/// \file
/// Floor 5. `acceptor`: a listening socket that deals its connections out to the lanes.

#include <kcache/beast/detail/http_text.hpp>
#include <kcache/beast/detail/lane.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/detail/session.hpp>
#include <kcache/beast/detail/socket_io.hpp>
#include <kcache/result.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kcache::beast {

/// Accepts on one lane, serves on all, in turn. Where the system has no descriptor or memory left
/// for a connection it waits a moment, for the error would only come again at once.
class acceptor : public std::enable_shared_from_this<acceptor> {
 public:
  acceptor(std::vector<std::shared_ptr<lane>> lanes, std::shared_ptr<server_core> core)
      : lanes_{std::move(lanes)}, core_{std::move(core)} {}

  /// Binds, listens, and begins to accept. A name is resolved here, in the caller's thread.
  result<void> listen(std::uint16_t port) {
    options const& o = core_->o;
    auto const refused = [&](std::string_view why) {
      return kcache::error{errc::cannot_listen, "cannot listen on " + text_of(o.listen, port) +
                                                    ": " + std::string{why}};
    };
    boost::system::error_code ec;
    auto const address = resolve(o.listen, ec);
    if (ec) return refused(in_a_sentence(ec));
    if (!address.is_loopback() && !o.insecure_ok)
      return refused("not a loopback address, and nothing authenticates who connects; "
                     "say insecure_ok if the network is trusted");

    tcp::endpoint const wanted{address, port};
    socket_.emplace(lanes_.front()->executor());
    pause_.emplace(lanes_.front()->executor());
    socket_->open(wanted.protocol(), ec);
    if (!ec) socket_->set_option(tcp::acceptor::reuse_address{true}, ec);
    if (!ec) socket_->bind(wanted, ec);
    if (!ec) socket_->listen(tcp::acceptor::max_listen_connections, ec);
    auto const bound = ec ? wanted : socket_->local_endpoint(ec);
    if (ec) {
      close();
      return refused(in_a_sentence(ec));
    }
    address_ = text_of(bound.address().to_string(), bound.port());
    lanes_.front()->submit([self = shared_from_this()] { self->accept(); });
    return {};
  }

  /// `host:port`; set by `listen`.
  [[nodiscard]] std::string const& address() const noexcept { return address_; }

  /// On the first lane; or before `listen` has succeeded.
  void close() noexcept {
    socket_.reset();
    pause_.reset();
  }

 private:
  static constexpr std::chrono::milliseconds rest{100};

  static std::string text_of(std::string_view host, std::uint16_t port) {
    std::string text{host};
    if (host.find(':') != std::string_view::npos) text = '[' + text + ']';
    return text + ':' + std::to_string(port);
  }
  static std::string in_a_sentence(boost::system::error_code const& ec) {
    std::string text = ec.message();
    if (!text.empty() && text.front() >= 'A' && text.front() <= 'Z')
      text.front() = static_cast<char>(text.front() | 0x20);
    return text;
  }
  static boost::asio::ip::address resolve(std::string const& host, boost::system::error_code& ec) {
    auto const literal = boost::asio::ip::make_address(host, ec);
    if (!ec) return literal;
    boost::asio::io_context context;
    auto const found = tcp::resolver{context}.resolve(host, "", tcp::resolver::passive, ec);
    return ec || found.empty() ? literal : found.begin()->endpoint().address();
  }

  void accept() {
    if (!socket_) return;
    turn_ = (turn_ + 1) % lanes_.size();
    socket_->async_accept(
        lanes_[turn_]->executor(),
        [self = shared_from_this()](boost::system::error_code const& ec, tcp::socket s) {
          self->on_accept(ec, std::move(s));
        });
  }

  void on_accept(boost::system::error_code const& ec, tcp::socket s) {
    if (!socket_) return;
    if (ec && ec != boost::asio::error::connection_aborted) return accept_later();
    try {
      if (!ec) admit(std::move(s));
      accept();
    } catch (...) {  // no memory
      accept_later();
    }
  }

  void accept_later() {
    pause_->expires_after(rest);
    pause_->async_wait([self = shared_from_this()](boost::system::error_code const& ec) {
      if (!ec) self->accept();
    });
  }

  void admit(tcp::socket s) {
    if (!core_->enter()) return turn_away(s);
    std::shared_ptr<session> fresh;
    try {
      fresh = std::make_shared<session>(std::move(s), lanes_[turn_], turn_, core_);
    } catch (...) {
      core_->leave();
      throw;
    }
    if (turn_ == 0) return fresh->start();
    lanes_[turn_]->submit([fresh = std::move(fresh)] { fresh->start(); });
  }

  void turn_away(tcp::socket& s) const {
    static constexpr std::string_view why = "too many connections\n";
    set_up(s, {});
    std::string head;
    write_reply_head(head, 503, media::text, why.size(), false);
    static_cast<void>(outgoing{head, why}.write_now(s));
    boost::system::error_code ignored;
    s.shutdown(tcp::socket::shutdown_send, ignored);
  }

  std::vector<std::shared_ptr<lane>> lanes_;
  std::shared_ptr<server_core> core_;
  std::optional<tcp::acceptor> socket_;
  std::optional<boost::asio::steady_timer> pause_;
  std::string address_;
  std::size_t turn_ = 0;
};

}  // namespace kcache::beast

#endif
