// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_ERROR_HPP
#define KCACHE_ERROR_HPP
/// \file
/// Floor 0. The failures kcache can report: `errc`, and `error`, which adds a message for people.

#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace kcache {

/// What went wrong. A miss in a cache is not an error; `not_found` is the source's own answer.
enum class errc {
  /// The source says that there is no such key. An answer, not a failure: it is not retried.
  not_found = 1,
  /// No answer before the caller's deadline. The load itself may still end, and be stored.
  deadline,
  /// The work was given up: its group or cluster was closed, or nobody waited any more.
  cancelled,
  /// The loader threw or returned a failure; the message is its own.
  loader_failed,
  /// A load asked, directly or through others, for a key whose load waits for it.
  recursive_load,
  /// A limit was reached (waiters, loads, connections); trying later may succeed.
  overloaded,
  /// A blocking call on a thread that must not block (an I/O thread). Use `async_get` there.
  would_block,
  /// The peer did not answer at all: no connection, a reset, or a dead liveness probe.
  unreachable,
  /// The peer that was asked does not own the key by its own ring: the rings differ.
  wrong_owner,
  /// The peer has no group of that name.
  unknown_group,
  /// The peer, or its dialect, cannot do what was asked.
  unsupported,
  /// Bytes from outside that are not what the protocol says.
  bad_message,
  /// A peer address that is not `http://host:port`.
  bad_peer_address,
  /// One peer twice in a list, perhaps in two spellings.
  duplicate_peer,
  /// The list of peers does not name this node.
  self_not_in_peers,
  /// A second group of one name on one cluster.
  duplicate_group,
  /// Options that contradict each other or are out of range.
  invalid_options,
  /// The network refused to listen: port in use, no such address, no permission.
  cannot_listen,
};

/// The name of a code, as it stands in the enumeration.
[[nodiscard]] constexpr char const* name(errc e) noexcept {
  switch (e) {
    case errc::not_found: return "not_found";
    case errc::deadline: return "deadline";
    case errc::cancelled: return "cancelled";
    case errc::loader_failed: return "loader_failed";
    case errc::recursive_load: return "recursive_load";
    case errc::overloaded: return "overloaded";
    case errc::would_block: return "would_block";
    case errc::unreachable: return "unreachable";
    case errc::wrong_owner: return "wrong_owner";
    case errc::unknown_group: return "unknown_group";
    case errc::unsupported: return "unsupported";
    case errc::bad_message: return "bad_message";
    case errc::bad_peer_address: return "bad_peer_address";
    case errc::duplicate_peer: return "duplicate_peer";
    case errc::self_not_in_peers: return "self_not_in_peers";
    case errc::duplicate_group: return "duplicate_group";
    case errc::invalid_options: return "invalid_options";
    case errc::cannot_listen: return "cannot_listen";
  }
  return "unknown error";
}

/// The category of `errc`, for code that speaks `std::error_code` (Asio completion tokens do).
[[nodiscard]] inline std::error_category const& error_category() noexcept {
  struct category final : std::error_category {
    char const* name() const noexcept override { return "kcache"; }
    std::string message(int code) const override {
      return kcache::name(static_cast<errc>(code));
    }
  };
  static category const instance;
  return instance;
}

[[nodiscard]] inline std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), error_category()};
}

/// A failure: a code for programs and a message for people. Copying may throw `bad_alloc`.
class error {
 public:
  error(errc code) : code_{code} {}
  error(errc code, std::string message) : code_{code}, message_{std::move(message)} {}

  [[nodiscard]] errc code() const noexcept { return code_; }
  /// The message, or the name of the code where there is none.
  [[nodiscard]] std::string_view message() const noexcept {
    return message_.empty() ? std::string_view{name(code_)} : std::string_view{message_};
  }
  friend bool operator==(error const& a, errc b) noexcept { return a.code_ == b; }

 private:
  errc code_;
  std::string message_;
};

/// Thrown by `result<T>::value()` on a failure, and by constructors that cannot return one.
class failure : public std::system_error {
 public:
  explicit failure(kcache::error const& e)
      : std::system_error{make_error_code(e.code()), std::string{e.message()}} {}
  [[nodiscard]] errc kind() const noexcept { return static_cast<errc>(code().value()); }
};

}  // namespace kcache

template <>
struct std::is_error_code_enum<kcache::errc> : std::true_type {};

#endif
