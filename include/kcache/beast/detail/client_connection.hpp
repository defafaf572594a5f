// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_CLIENT_CONNECTION_HPP
#define KCACHE_BEAST_DETAIL_CLIENT_CONNECTION_HPP
/// \file
/// Floor 5. `client_connection`: one keep-alive connection to a peer.

#include <kcache/beast/detail/client_call.hpp>
#include <kcache/beast/detail/http_text.hpp>
#include <kcache/beast/detail/input_buffer.hpp>
#include <kcache/beast/detail/lane.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/detail/response_parser.hpp>
#include <kcache/beast/detail/socket_io.hpp>
#include <kcache/config.hpp>
#include <kcache/error.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace kcache::beast {

class client_connection;

/// Who owns connections and hears what becomes of them.
class connection_owner {
 public:
  /// Ready for another exchange.
  virtual void on_free(client_connection& c) = 0;
  /// Closed. `call` is the one that was under way, unanswered, or null; `stale`: it failed on a
  /// connection that had waited in the pool, before any byte of the reply.
  virtual void on_lost(client_connection& c, owned_call call, error const& why, bool stale) = 0;

 protected:
  ~connection_owner() = default;
};

/// One exchange at a time. A read is always pending, so a connection that the peer closes while it
/// is idle is noticed at once; and a peer that answers early and closes (413) is heard, for a
/// failed write only ever waits for what the read brings.
///
/// All of it runs on one lane. `o` outlives it.
class client_connection final : public timed,
                                public std::enable_shared_from_this<client_connection> {
 public:
  client_connection(std::shared_ptr<lane> home, std::shared_ptr<options const> o,
                    std::string host, std::weak_ptr<connection_owner> owner)
      : home_{std::move(home)},
        o_{std::move(o)},
        host_{std::move(host)},
        owner_{std::move(owner)},
        buffer_{usual_reply},
        parser_{*o_} {}
  ~client_connection() override { close(); }

  /// Begins with a call, whose peer's addresses are still being looked up.
  void begin(owned_call call) {
    call_ = std::move(call);
    time_point const now = lane::now();
    born_ = now;
    due_at(std::min(call_->deadline, after(now, o_->connect_timeout)));
    link(*home_);
  }
  /// The addresses are here.
  void connect(std::vector<tcp::endpoint> endpoints) {
    if (phase_ != phase::connecting || socket_) return;
    endpoints_ = std::move(endpoints);
    next_endpoint_ = 0;
    guarded([&] { connect_next(error{errc::unreachable, host_ + " has no address"}); });
  }
  /// They cannot be had.
  void cannot_resolve(error const& why) {
    if (phase_ == phase::connecting && !socket_) lose(why, false);
  }

  /// Another exchange; only when `on_free` has said so.
  void exchange(owned_call call) {
    KCACHE_ASSERT(phase_ == phase::idle && !call_);
    call_ = std::move(call);
    reused_ = true;
    guarded([&] { send(); });
  }

  [[nodiscard]] bool was_connected() const noexcept { return connected_; }
  [[nodiscard]] bool is_open() const noexcept { return phase_ != phase::closed; }

  /// Quietly: the owner hears nothing. Gives back the call that was under way.
  owned_call close() noexcept {
    phase_ = phase::closed;
    unlink();
    socket_.reset();
    return std::move(call_);
  }

 private:
  static constexpr std::size_t usual_reply = 16 * 1'024;

  enum class phase : unsigned char { connecting, busy, idle, closed };

  template <class F>
  void guarded(F const& f) noexcept {
    try {
      f();
    } catch (...) {
      try {
        lose(errc::overloaded, false);  // no memory
      } catch (...) {
        close();
      }
    }
  }

  void connect_next(error why) {
    if (next_endpoint_ == endpoints_.size()) return lose(why, false);
    tcp::endpoint const to = endpoints_[next_endpoint_++];
    boost::system::error_code ec;
    socket_.emplace(home_->executor());
    socket_->open(to.protocol(), ec);
    if (ec)  // out of descriptors: our own trouble, not the peer's
      return lose(error{errc::overloaded, "no socket: " + ec.message()}, false);
    set_up(*socket_, o_->user_timeout);
    socket_->async_connect(to, [self = shared_from_this()](boost::system::error_code const& e) {
      self->guarded([&] { self->on_connect(e); });
    });
  }

  void on_connect(boost::system::error_code const& ec) {
    if (!socket_ || phase_ != phase::connecting) return;
    if (ec)
      return connect_next(
          error{errc::unreachable, "cannot connect to " + host_ + ": " + ec.message()});
    connected_ = true;
    read();
    send();
  }

  void send() {
    phase_ = phase::busy;
    due_at(std::min(call_->deadline, after(lane::now(), o_->call_timeout)));
    parser_.reset();
    replied_ = false;
    write_request_head(out_, call_->request, host_);
    to_send_ = outgoing{out_, call_->request.body};
    if (!to_send_.write_now(*socket_) && !to_send_.done()) write_rest();
  }

  void write_rest() {
    writing_ = true;
    socket_->async_write_some(
        to_send_.buffers(),
        [self = shared_from_this()](boost::system::error_code const& ec, std::size_t n) {
          self->guarded([&] {
            self->writing_ = false;
            if (!self->socket_ || ec) return;
            self->to_send_.consume(n);
            if (!self->to_send_.done()) self->write_rest();
          });
        });
  }

  void read() {
    std::span<char> room = phase_ == phase::busy ? parser_.direct() : std::span<char>{};
    direct_ = !room.empty();
    if (!direct_) room = buffer_.prepare();
    socket_->async_read_some(
        boost::asio::mutable_buffer{room.data(), room.size()},
        [self = shared_from_this()](boost::system::error_code const& ec, std::size_t n) {
          self->guarded([&] { self->on_read(ec, n); });
        });
  }

  void on_read(boost::system::error_code const& ec, std::size_t n) {
    using progress = response_parser::progress;
    if (!socket_) return;
    if (phase_ != phase::busy) return lose(errc::unreachable, false);
    if (ec) {
      bool const stale = reused_ && !replied_;
      std::string why = replied_ ? "the reply of " + host_ + " was cut short: "
                                 : host_ + " gave no reply: ";
      return lose(error{errc::unreachable, std::move(why) + ec.message()}, stale);
    }
    replied_ = true;
    progress state;
    if (direct_) {
      state = parser_.filled(n);
    } else {
      buffer_.commit(n);
      auto const fed = parser_.feed(buffer_.data());
      buffer_.consume(fed.consumed);
      state = fed.state;
    }
    if (state == progress::more) return read();
    if (state == progress::bad)
      return lose(error{errc::bad_message, host_ + " sent something that is no reply, or is too "
                                                   "large"}, false);
    finish();
  }

  void finish() {
    wire_reply reply{parser_.status(), parser_.take_body()};
    bool const reusable = parser_.keep_alive() && buffer_.size() == 0 && !writing_ &&
                          to_send_.done() && lane::now() - born_ < o_->max_age;
    owned_call const call = std::move(call_);
    if (reusable) {
      phase_ = phase::idle;
      due_at(after(lane::now(), o_->peer_idle_timeout));
      buffer_.shrink();
      read();
      if (auto const owner = owner_.lock()) owner->on_free(*this);
    } else {
      lose(errc::unreachable, false);
    }
    call->complete(std::move(reply));
  }

  void lose(error const& why, bool stale) {
    auto const self = shared_from_this();
    owned_call call = close();
    if (auto const owner = owner_.lock()) {
      owner->on_lost(*this, std::move(call), why, stale);
    } else if (call) {
      call->complete(why);
    }
  }

  void expire(time_point now) override {
    guarded([&] {
      if (call_ && (phase_ == phase::busy || now >= call_->deadline))
        return lose(error{errc::deadline, "no reply of " + host_ + " in time"}, false);
      lose(error{errc::unreachable, "no connection to " + host_ + " in time"}, false);
    });
  }

  std::shared_ptr<lane> home_;
  std::shared_ptr<options const> o_;
  std::string host_;  // as in the Host field
  std::weak_ptr<connection_owner> owner_;
  std::optional<tcp::socket> socket_;
  std::vector<tcp::endpoint> endpoints_;
  std::size_t next_endpoint_ = 0;
  owned_call call_;
  input_buffer buffer_;
  response_parser parser_;
  std::string out_;
  outgoing to_send_;
  time_point born_{};
  phase phase_ = phase::connecting;
  bool connected_ = false;
  bool reused_ = false;
  bool replied_ = false;
  bool writing_ = false;
  bool direct_ = false;
};

}  // namespace kcache::beast

#endif
