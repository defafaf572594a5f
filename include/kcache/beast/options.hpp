// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_OPTIONS_HPP
#define KCACHE_BEAST_OPTIONS_HPP
/// \file
/// Floor 5. The options of the Beast transport and of `http_server`: addresses, limits, deadlines.

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace kcache::beast {

/// Everything that can be set. A limit is checked before memory is spent on what it limits; every
/// deadline is absolute from its event and at most one `tick` late.
///
///     kcache::beast::options o{.listen = "10.0.0.1", .insecure_ok = true, .io_threads = 4};
struct options {
  /// Where to listen: an address, or a name that resolves to one. Nobody authenticates peers yet,
  /// so anything but loopback is refused unless `insecure_ok` says that the network is trusted.
  std::string listen = "127.0.0.1";
  /// The port; that of `self` if not given. 0: any free one.
  std::optional<std::uint16_t> port = std::nullopt;
  bool insecure_ok = false;

  /// Threads of the transport's own, each with its own connections. 0: half the processors, 1 to 4
  /// (on two processors one thread serves more requests, each for less, than two: they batch). With
  /// `executor`, the number of strands.
  unsigned io_threads = 0;
  /// If set, no thread is started and all runs on strands over this executor. Its context must be
  /// running until `stop` has returned, on some thread other than the one that calls `stop`.
  boost::asio::any_io_executor executor = {};
  /// How often deadlines are looked at.
  std::chrono::milliseconds tick{50};

  // What others may ask of this node.
  std::size_t max_connections = 1'024;     ///< more are answered 503 and closed
  std::size_t max_head = 8 * 1'024;        ///< bytes of a request's or reply's head; beyond: 431
  unsigned max_fields = 32;                ///< fields of a request's head; beyond: 431
  std::size_t max_target = 4 * 1'024;      ///< bytes; beyond: 414
  std::size_t max_request = 64 * 1'024;    ///< bytes of a request's body; beyond: 413
  std::chrono::milliseconds head_timeout{2'000};     ///< from its first byte to its last
  std::chrono::milliseconds body_timeout{5'000};     ///< plus one second for each 64 KiB
  std::chrono::milliseconds service_timeout{60'000}; ///< until the handler must have answered
  std::chrono::milliseconds write_timeout{10'000};   ///< for a whole reply
  std::chrono::milliseconds idle_timeout{60'000};    ///< between requests
  std::chrono::milliseconds max_age{600'000};        ///< then a connection is closed, politely
  std::chrono::milliseconds linger{250};  ///< how long a refused client may take to read why

  // What this node asks of others.
  std::size_t max_value = 1'024 * 1'024;       ///< bytes of a value in a reply
  std::size_t max_peer_connections = 32;       ///< per peer; a probe may open one more
  std::size_t max_waiting = 10'000;            ///< calls per peer waiting for one of them
  std::chrono::milliseconds connect_timeout{500};     ///< resolving included
  std::chrono::milliseconds call_timeout{60'000};     ///< of calls that have no deadline
  std::chrono::milliseconds peer_idle_timeout{50'000};///< shorter than the server's
  std::chrono::milliseconds resolve_ttl{30'000};      ///< how long a name's addresses are kept

  /// Both: how long sent data may stay unacknowledged, or the other side's full buffer full, until
  /// the system breaks the connection (TCP_USER_TIMEOUT, on Linux); 0: the system's default.
  std::chrono::milliseconds user_timeout{2'000};
};

}  // namespace kcache::beast

#endif
