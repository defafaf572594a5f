// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_MESSAGE_HPP
#define KCACHE_CLUSTER_MESSAGE_HPP
/// \file
/// Floor 4. What peers say to each other: the messages of the native dialect, as plain structs.
///
/// The structs hold views into the buffer they were decoded from. Fields that no code reads yet
/// (versions, leases, epochs) are on the wire from the first version, so that no version has to
/// be broken later. Times travel as remaining milliseconds, never as wall-clock instants. How a
/// struct becomes bytes is the codec's affair (codec.hpp).

#include <kcache/bytes.hpp>

#include <cstdint>
#include <vector>

namespace kcache::wire {

/// The version of the native dialect that this header describes; it stands in every target.
inline constexpr std::uint32_t native_version = 1;

/// Why a request was sent.
enum class hop : std::uint32_t {
  client = 0,  ///< a node asks the owner for one of its callers
  mirror = 1,  ///< a node that keeps a mirrored copy renews it
  deputy = 2,  ///< the owner is down and the receiver stands in for it
};

/// How a request ended. Unknown numbers from newer peers read as `unsupported`.
enum class status : std::uint32_t {
  ok = 0,
  not_modified = 1,
  not_found = 2,
  loader_failed = 3,
  deadline = 4,
  overloaded = 5,
  wrong_owner = 6,
  unknown_group = 7,
  recursive_load = 8,
  unsupported = 9,
};

/// Who speaks, and by which ring; in every request and reply.
struct envelope {
  std::uint64_t incarnation = 0;  ///< drawn at the node's start; a restarted node has another
  std::uint64_t ring_digest = 0;  ///< of members, points, seed and dialect; 0: not told
  std::uint64_t ring_epoch = 0;   ///< counts the sender's membership changes; 0: not told
};

struct hello_request {
  envelope from;
  std::uint32_t min_version = native_version;
  std::uint32_t max_version = native_version;
};

struct hello_reply {
  envelope from;
  status outcome = status::ok;
  std::uint32_t min_version = native_version;
  std::uint32_t max_version = native_version;
};

struct get_request {
  envelope from;
  byte_view group;
  byte_view key;
  std::uint32_t budget_ms = 0;      ///< what is left of the caller's deadline; 0: not told
  std::uint64_t known_version = 0;  ///< the version the asker holds; 0: none
  hop kind = hop::client;
};

struct get_reply {
  envelope from;
  status outcome = status::ok;
  byte_view value;
  /// Remaining time to live in ms, rounded up; `no_expiry` where the entry never expires.
  std::uint64_t ttl_ms = no_expiry;
  std::uint64_t version = 0;
  std::uint32_t lease_ms = 0;
  byte_view message;           ///< for people; empty where there is nothing to say
  std::uint64_t echo = 0;      ///< `echo_of(group, key)`: the asker compares

  static constexpr std::uint64_t no_expiry = ~std::uint64_t{0};
};

// The messages below are part of version 1 so that later nodes can speak them to this one; this
// version answers each of them with `status::unsupported`.

struct get_many_request {
  envelope from;
  byte_view group;
  std::vector<byte_view> keys;
  std::uint32_t budget_ms = 0;
  hop kind = hop::client;
};

struct put_request {
  envelope from;
  byte_view group;
  byte_view key;
  byte_view value;
  std::uint64_t ttl_ms = get_reply::no_expiry;
  std::uint32_t budget_ms = 0;
};

struct invalidate_request {
  envelope from;
  byte_view group;
  std::vector<byte_view> keys;
  std::uint64_t version = 0;
  std::uint32_t budget_ms = 0;
};

/// A hash of (group, key) that a reply carries back, so that a reply to another question is never
/// taken for an answer: FNV-1a over group, its length and key, finalised by murmur3's mixer.
[[nodiscard]] constexpr std::uint64_t echo_of(byte_view group, byte_view key) noexcept {
  std::uint64_t h = 0xcbf29ce484222325;
  auto const add = [&h](unsigned char c) { h = (h ^ c) * 0x100000001b3; };
  for (char const c : group) add(static_cast<unsigned char>(c));
  for (unsigned i = 0; i != 4; ++i) add(static_cast<unsigned char>(group.size() >> (8 * i)));
  for (char const c : key) add(static_cast<unsigned char>(c));
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccd;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53;
  return h ^ (h >> 33);
}

}  // namespace kcache::wire

#endif
