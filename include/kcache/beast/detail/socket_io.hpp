// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_SOCKET_IO_HPP
#define KCACHE_BEAST_DETAIL_SOCKET_IO_HPP
/// \file
/// Floor 5. What server and client do alike with a socket: its options, and gathered writes.

#include <kcache/bytes.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>

namespace kcache::beast {

using tcp = boost::asio::ip::tcp;

/// No delay for small messages, no blocking, and an end to connections whose peer has vanished.
/// Failures are ignored: the socket works without, and what is wrong with it shows on first use.
inline void set_up(tcp::socket& socket, std::chrono::milliseconds user_timeout) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay{true}, ignored);
  socket.non_blocking(true, ignored);
#if defined(TCP_USER_TIMEOUT)
  if (user_timeout.count() > 0) {
    auto const ms = static_cast<unsigned>(user_timeout.count());
    static_cast<void>(
        ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms));
  }
#endif
}

/// Up to three pieces that go out one behind the other in one system call. The bytes belong to
/// others and stay until `done()`.
class outgoing {
 public:
  outgoing() = default;
  explicit outgoing(byte_view a, byte_view b = {}, byte_view c = {}) noexcept
      : parts_{boost::asio::const_buffer{a.data(), a.size()},
               boost::asio::const_buffer{b.data(), b.size()},
               boost::asio::const_buffer{c.data(), c.size()}} {}

  [[nodiscard]] bool done() const noexcept {
    return parts_[0].size() + parts_[1].size() + parts_[2].size() == 0;
  }
  [[nodiscard]] auto const& buffers() const noexcept { return parts_; }

  /// The first `n` bytes have gone.
  void consume(std::size_t n) noexcept {
    for (auto& part : parts_) {
      std::size_t const here = n < part.size() ? n : part.size();
      part += here;
      n -= here;
    }
  }

  /// Writes what the socket takes at once. An error other than would_block is returned; no error
  /// and not `done()`: the socket is full.
  boost::system::error_code write_now(tcp::socket& socket) {
    boost::system::error_code ec;
    while (!done()) {
      consume(socket.write_some(parts_, ec));
      if (ec == boost::asio::error::would_block || ec == boost::asio::error::try_again) return {};
      if (ec) return ec;
    }
    return ec;
  }

 private:
  std::array<boost::asio::const_buffer, 3> parts_{};
};

}  // namespace kcache::beast

#endif
