// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_SESSION_HPP
#define KCACHE_BEAST_DETAIL_SESSION_HPP
/// \file
/// Floor 5. `session`: one connection of a server, from its first request to its last.

#include <kcache/beast/detail/http_text.hpp>
#include <kcache/beast/detail/input_buffer.hpp>
#include <kcache/beast/detail/lane.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/detail/request_parser.hpp>
#include <kcache/beast/detail/socket_io.hpp>
#include <kcache/cluster/transport.hpp>
#include <kcache/policies/executor.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace kcache::beast {

class session;

/// What the sessions of one server share. It outlives the server while a session or an
/// unanswered request does.
struct server_core {
  server_core(options settings, std::size_t lanes) : o{std::move(settings)}, rosters(lanes) {}

  options const o;
  wire_server handler;
  std::atomic<bool> draining{false};
  /// The sessions of each lane, to be touched on that lane.
  std::vector<std::unordered_set<session*>> rosters;

  [[nodiscard]] bool enter() {
    std::lock_guard lock{mutex_};
    return open_ < o.max_connections ? (++open_, true) : false;
  }
  void leave() noexcept {
    std::lock_guard lock{mutex_};
    if (--open_ == 0) empty_.notify_all();
  }
  [[nodiscard]] std::size_t open() {
    std::lock_guard lock{mutex_};
    return open_;
  }
  bool wait_until_empty(std::chrono::steady_clock::time_point limit) {
    std::unique_lock lock{mutex_};
    return empty_.wait_until(lock, limit, [&] { return open_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable empty_;
  std::size_t open_ = 0;
};

/// One connection. Requests are served one at a time, in order; what a client sends ahead waits in
/// the buffer and in the socket. The usual request costs one read and one write and nothing else:
/// it is parsed where it lies, answered inside the handler's call, and its reply is formatted into
/// a string used again and sent together with the value's bytes from where they lie.
///
/// All of it runs on one lane, but for the responder, which posts to the lane if it is called
/// outside the handler's call.
class session final : public timed, public std::enable_shared_from_this<session> {
 public:
  /// `core->enter()` has been called for it.
  session(tcp::socket socket, std::shared_ptr<lane> home, std::size_t lane_index,
          std::shared_ptr<server_core> core)
      : home_{std::move(home)},
        core_{std::move(core)},
        lane_index_{lane_index},
        socket_{std::move(socket)},
        buffer_{usual_request},
        parser_{core_->o} {}
  ~session() override { close(); }

  void start() {
    guarded([&] {
      core_->rosters[lane_index_].insert(this);
      listed_ = true;
      set_up(*socket_, core_->o.user_timeout);
      born_ = lane::now();
      link(*home_);
      if (core_->draining) return close();
      run();
    });
  }

  /// The server is stopping: ends what waits for a client, lets what is being answered finish.
  void drain() {
    guarded([&] {
      boost::system::error_code ec;
      bool const asked = phase_ == phase::idle && socket_ && socket_->available(ec) != 0;
      if (phase_ != phase::serving && phase_ != phase::writing && !asked) close();
    });
  }

  void close() noexcept {
    if (!socket_) return;
    phase_ = phase::closed;
    unlink();
    if (listed_) core_->rosters[lane_index_].erase(this);
    socket_.reset();  // here and not later: an unanswered request may outlive the context
    core_->leave();
  }

 private:
  static constexpr std::size_t usual_request = 4 * 1'024;

  enum class phase : unsigned char { idle, head, body, serving, writing, lingering, closed };

  /// What the handler answers through.
  class responder {
   public:
    explicit responder(std::shared_ptr<session> s) noexcept : session_{std::move(s)} {}
    responder(responder&&) noexcept = default;
    responder& operator=(responder&&) = delete;
    ~responder() {
      if (session_) answer(std::move(session_), std::nullopt);
    }
    void operator()(wire_response response) {
      KCACHE_ASSERT(session_);  // called twice
      answer(std::move(session_), std::move(response));
    }

   private:
    static void answer(std::shared_ptr<session> s, std::optional<wire_response> response) {
      if (in_handler_ == s.get()) {
        s->answered_ = true;
        s->answer_ = std::move(response);
        return;
      }
      lane& home = *s->home_;
      home.submit([s = std::move(s), r = std::move(response)]() mutable {
        s->guarded([&] { s->on_answer(std::move(r)); });
      });
    }
    std::shared_ptr<session> session_;
  };

  /// Runs `f`; what it throws (no memory, mostly) costs this connection and no other.
  template <class F>
  void guarded(F const& f) noexcept {
    try {
      f();
    } catch (...) {
      close();
    }
  }

  void due_in(std::chrono::milliseconds d) noexcept { due_at(after(lane::now(), d)); }

  /// Serves what is in the buffer, then reads on.
  void run() {
    using progress = request_parser::progress;
    options const& o = core_->o;
    while (socket_) {
      if (buffer_.size() == 0) {
        buffer_.shrink();
        phase_ = phase::idle;
        due_in(o.idle_timeout);
        return read(0);
      }
      switch (parser_.feed(buffer_.data())) {
        case progress::head:
          if (phase_ != phase::head) due_in(o.head_timeout);
          phase_ = phase::head;
          return read(0);
        case progress::body:
          if (phase_ != phase::body) {
            due_in(o.body_timeout + std::chrono::seconds{parser_.body_size() >> 16});
            phase_ = phase::body;
            if (parser_.expects_continue() && !go_on()) return close();
          }
          return read(parser_.size());
        case progress::refused: return refuse(parser_.refusal(), parser_.why());
        case progress::ready:
          if (!serve()) return;
          break;
      }
    }
  }

  void read(std::size_t message) {
    auto const room = buffer_.prepare(message);
    socket_->async_read_some(
        boost::asio::mutable_buffer{room.data(), room.size()},
        [self = shared_from_this()](boost::system::error_code const& ec, std::size_t n) {
          self->guarded([&] { self->on_read(ec, n); });
        });
  }

  void on_read(boost::system::error_code const& ec, std::size_t n) {
    if (!socket_) return;
    if (ec) return close();
    buffer_.commit(n);
    if (phase_ == phase::lingering) {
      buffer_.consume(buffer_.size());
      return read(0);
    }
    run();
  }

  bool go_on() {
    outgoing line{"HTTP/1.1 100 Continue\r\n\r\n"};
    return !line.write_now(*socket_) && line.done();
  }

  /// True: answered, and ready for the next request.
  bool serve() {
    keep_alive_ = parser_.keep_alive();
    is_head_ = parser_.is_head();
    answered_ = false;
    {
      no_blocking_scope const scope;
      session* const outer = std::exchange(in_handler_, this);
      try {
        core_->handler(parser_.view(buffer_.data()), responder{shared_from_this()});
      } catch (...) {
        answered_ = true;
        keep_alive_ = false;
        answer_ = wire_response{.status = 500, .type = media::text, .head = "internal error\n",
                                .tail = {}};
      }
      in_handler_ = outer;
    }
    buffer_.consume(parser_.size());
    parser_.reset();
    if (answered_) return send(std::exchange(answer_, std::nullopt));
    phase_ = phase::serving;
    due_in(core_->o.service_timeout);
    return false;
  }

  void on_answer(std::optional<wire_response> response) {
    if (phase_ == phase::serving && send(std::move(response))) run();
  }

  /// True: sent, and ready for the next request.
  bool send(std::optional<wire_response> response) {
    if (!response) return close(), false;
    answer_ = std::move(response);
    wire_response const& r = *answer_;
    keep_alive_ = keep_alive_ && !core_->draining.load(std::memory_order_relaxed) &&
                  lane::now() - born_ < core_->o.max_age;
    byte_view const tail = r.tail.view();
    write_reply_head(out_, r.status, r.type, r.head.size() + tail.size(), keep_alive_);
    bool const has_body = !is_head_ && !has_no_body(r.status);
    to_send_ = has_body ? outgoing{out_, r.head, tail} : outgoing{out_};
    if (to_send_.write_now(*socket_)) return close(), false;
    if (to_send_.done()) return sent();
    phase_ = phase::writing;
    due_in(core_->o.write_timeout);
    write_rest();
    return false;
  }

  void write_rest() {
    socket_->async_write_some(
        to_send_.buffers(),
        [self = shared_from_this()](boost::system::error_code const& ec, std::size_t n) {
          self->guarded([&] { self->on_written(ec, n); });
        });
  }

  void on_written(boost::system::error_code const& ec, std::size_t n) {
    if (!socket_) return;
    if (ec) return close();
    to_send_.consume(n);
    if (!to_send_.done()) return write_rest();
    if (sent()) run();
  }

  /// True: the connection goes on.
  bool sent() {
    answer_.reset();
    if (keep_alive_) return true;
    // Closing now, with bytes unread, would reset the connection and take the reply away from the
    // client: say that no more comes, and read until the client has closed, for a short while.
    boost::system::error_code ec;
    socket_->shutdown(tcp::socket::shutdown_send, ec);
    if (ec) return close(), false;
    phase_ = phase::lingering;
    due_in(core_->o.linger);
    buffer_.consume(buffer_.size());
    buffer_.shrink();
    read(0);
    return false;
  }

  void refuse(int status, std::string_view why) {
    keep_alive_ = false;
    is_head_ = false;
    wire_response r{.status = status, .type = media::text, .head = {},
                    .tail = shared_bytes::of_static(why)};
    send(std::move(r));
  }

  void expire(time_point) override {
    guarded([&] {
      // A read is pending in these two; it is the one that the linger after the refusal needs.
      if (phase_ == phase::head || phase_ == phase::body) return time_out();
      close();
    });
  }

  /// Too slow with a request. One try to say so, no lingering: the client is not listening much.
  void time_out() {
    write_reply_head(out_, 408, media::text, timed_out.size(), false);
    outgoing line{out_, timed_out};
    static_cast<void>(line.write_now(*socket_));
    close();
  }

  static constexpr std::string_view timed_out = "request came too slowly\n";

  /// The session whose handler runs on this thread: its answer needs no detour.
  static inline thread_local session* in_handler_ = nullptr;

  std::shared_ptr<lane> home_;
  std::shared_ptr<server_core> core_;
  std::size_t lane_index_;
  std::optional<tcp::socket> socket_;
  input_buffer buffer_;
  request_parser parser_;
  std::string out_;
  std::optional<wire_response> answer_;
  outgoing to_send_;
  time_point born_{};
  phase phase_ = phase::idle;
  bool listed_ = false;
  bool keep_alive_ = true;
  bool is_head_ = false;
  bool answered_ = false;
};

}  // namespace kcache::beast

#endif
