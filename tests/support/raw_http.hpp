// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_RAW_HTTP_HPP
#define KCACHE_TESTS_SUPPORT_RAW_HTTP_HPP
/// \file
/// Plain sockets for tests that send and receive bytes as they are, right or wrong. Every wait has
/// a limit (`patience`), so a test of something that hangs fails instead.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace kcache_tests {

inline constexpr int patience_ms = 10'000;

/// A connection.
class raw_socket {
 public:
  raw_socket() = default;
  explicit raw_socket(int fd) : fd_{fd} {}
  raw_socket(raw_socket&& other) noexcept : fd_{other.fd_.exchange(-1)} {}
  raw_socket& operator=(raw_socket&& other) noexcept {
    close();
    fd_ = other.fd_.exchange(-1);
    return *this;
  }
  ~raw_socket() { close(); }

  static raw_socket connect(std::uint16_t port) {
    auto s = unconnected();
    s.connect_to(port);
    return s;
  }
  static raw_socket unconnected() {
    return raw_socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  }
  void connect_to(std::uint16_t port) const {
    auto const to = loopback(port);
    if (::connect(fd_, reinterpret_cast<sockaddr const*>(&to), sizeof to) != 0)
      throw std::runtime_error{"raw_socket: cannot connect"};
  }

  /// Begins to connect, and does not wait for it.
  void begin_connect(std::uint16_t port) const {
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
    auto const to = loopback(port);
    static_cast<void>(::connect(fd_, reinterpret_cast<sockaddr const*>(&to), sizeof to));
  }
  /// Listens on a free port, which is returned. With a backlog of 0, nothing accepted and two
  /// connections made, Linux leaves those who connect without an answer.
  std::uint16_t listen(int backlog) const {
    auto at = loopback(0);
    socklen_t size = sizeof at;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(fd_, backlog) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      throw std::runtime_error{"raw_socket: cannot listen"};
    return ntohs(at.sin_port);
  }
  /// The next connection; none once `shut`.
  std::optional<raw_socket> accept() const {
    int const fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return std::nullopt;
    return raw_socket{fd};
  }

  /// All of it; false: the other side has closed.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      auto const n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  /// Some bytes; empty at the end of the stream, after a reset, or when patience is over.
  std::string receive(std::size_t most = 65'536) {
    pollfd p{fd_, POLLIN, 0};
    outcome_ = outcome::late;
    if (::poll(&p, 1, patience_ms) <= 0) return {};
    std::string bytes(most, '\0');
    auto const n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    outcome_ = n > 0 ? outcome::data : n == 0 ? outcome::end : outcome::reset;
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
  }
  /// Everything until the end of the stream.
  std::string receive_all() {
    std::string all;
    for (std::string part = receive(); !part.empty(); part = receive()) all += part;
    return all;
  }
  /// The other side has closed or reset, rather than kept us waiting.
  [[nodiscard]] bool was_closed() const {
    return outcome_ == outcome::end || outcome_ == outcome::reset;
  }
  /// Nothing has come, and nothing is closed, up to now.
  [[nodiscard]] bool is_quiet() const {
    pollfd p{fd_, POLLIN, 0};
    return ::poll(&p, 1, 0) == 0;
  }

  void finish() const { ::shutdown(fd_, SHUT_WR); }
  void shut() const { ::shutdown(fd_, SHUT_RDWR); }
  void close() {
    if (int const fd = fd_.exchange(-1); fd >= 0) ::close(fd);
  }
  /// Closes with a reset.
  void reset() {
    linger const now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
  }
  enum class outcome { data, end, reset, late };
  std::atomic<int> fd_{-1};  // a server shuts connections that their scripts may be closing
  outcome outcome_ = outcome::data;
};

/// A reply or a request, as it came.
struct raw_message {
  int status = 0;  ///< of a reply; 0: what came is not one
  std::string head;
  std::string body;

  [[nodiscard]] bool has(std::string_view line) const {
    return head.find(std::string{line} + "\r\n") != std::string::npos;
  }
};

/// Reads messages with a Content-Length, keeping what is behind them for the next.
class raw_reader {
 public:
  explicit raw_reader(raw_socket& s) : socket_{s} {}

  /// Empty `head`: the stream ended first.
  raw_message next(bool has_body = true) {
    raw_message m;
    std::size_t end = std::string::npos;
    while ((end = ahead_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return m;
    m.head = ahead_.substr(0, end + 4);
    ahead_.erase(0, end + 4);
    if (m.head.rfind("HTTP/1.1 ", 0) == 0) m.status = std::atoi(m.head.c_str() + 9);
    auto const at = m.head.find("Content-Length: ");
    std::size_t const size =
        at == std::string::npos || !has_body
            ? 0
            : static_cast<std::size_t>(std::strtoull(m.head.c_str() + at + 16, nullptr, 10));
    while (ahead_.size() < size)
      if (!more()) return {};
    m.body = ahead_.substr(0, size);
    ahead_.erase(0, size);
    return m;
  }

 private:
  bool more() {
    auto const part = socket_.receive();
    ahead_ += part;
    return !part.empty();
  }
  raw_socket& socket_;
  std::string ahead_;
};

/// Listens on a free loopback port and runs a script on each connection, numbered from 0, each on
/// a thread of its own. When the server goes, all its connections are shut, so that every script
/// that waits for bytes ends.
class raw_server {
 public:
  using script = std::function<void(raw_socket&, int number)>;

  explicit raw_server(script s) : script_{std::move(s)} {
    port_ = listener_.listen(128);
    acceptor_ = std::thread{[this] { accept(); }};
  }
  raw_server(raw_server const&) = delete;
  raw_server& operator=(raw_server const&) = delete;
  ~raw_server() {
    listener_.shut();
    acceptor_.join();
    {
      std::lock_guard lock{mutex_};
      for (auto& c : connections_)
        if (!c.ended) c.socket.shut();
    }
    for (auto& c : connections_) c.thread.join();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return count_; }

 private:
  struct connection {
    raw_socket socket;
    std::thread thread;
    bool ended = false;
  };

  void accept() {
    while (auto socket = listener_.accept()) {
      std::lock_guard lock{mutex_};
      auto& c = connections_.emplace_back();
      c.socket = std::move(*socket);
      c.thread = std::thread{[this, &c, number = count_++] {
        script_(c.socket, number);
        std::lock_guard own{mutex_};
        c.ended = true;
        c.socket.close();
      }};
    }
  }

  script script_;
  raw_socket listener_ = raw_socket::unconnected();
  std::uint16_t port_ = 0;
  std::atomic<int> count_{0};
  std::mutex mutex_;
  std::list<connection> connections_;
  std::thread acceptor_;
};

/// The port at the end of `host:port`.
inline std::uint16_t port_of(std::string_view address) {
  return static_cast<std::uint16_t>(std::atoi(address.data() + address.rfind(':') + 1));
}

}  // namespace kcache_tests

#endif
