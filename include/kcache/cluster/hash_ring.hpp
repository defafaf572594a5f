// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_HASH_RING_HPP
#define KCACHE_CLUSTER_HASH_RING_HPP
/// \file
/// Floor 4. `hash_ring`: which node owns a key, and every node's answer is the same.
///
/// # Points
/// Take the numbers of a hash as a circle. Each peer has some points on it, a key falls on one
/// place, and the first point at that place or after it (the first of all, past the end) names the
/// owner. A peer that joins takes only the stretches in front of its own points, a peer that
/// leaves gives back only those: of N peers 1/N of the keys move, and no key moves between two
/// peers that stay.
///
/// # Balance
/// A peer's share varies by about 1/sqrt(points) from even. The native dialect has 1,024 points a
/// peer: over 14,553 peers (rings of 2 to 64, seven families of addresses, seeds and ports) the
/// largest share was 1.113 of even and the smallest 0.890; with 512 points they were 1.170 and
/// 0.860, with 160 points 1.318 and 0.746. Kcache's and groupcache's 50 points of a CRC gave 2.005
/// and 0.439, and half of the peers were off by more than 15 in 100. That cannot be mended: those
/// points are their protocol.
///
/// # Ties
/// Two points may have one hash. Under 64 bits nobody will see it; under CRC-32 it happens
/// (`1http://10.0.32.90:8080` and `38http://10.0.60.200:8080`). The Go programs keep points in a
/// map, so the peer *added last* owns a tied point. Hence order matters in the Go dialects, and
/// only there: the peers stay in the order in which they were added, a peer added again stays where
/// it was, and a ring without one of the two gives the point back because it is built anew. In the
/// native dialect peers are sorted by canonical address first and the smaller one owns a tie:
/// the same set gives the same ring, indices included, whatever the order of the list.
///
/// # Hashes
/// Native: SipHash-1-3 keyed by `ring_options::seed`; of the canonical address and the number of
/// the point (4 bytes, little-endian), or of the key. While the seed is secret nobody can craft
/// keys that all fall to one node. Kcache and groupcache: CRC-32 (IEEE) of the point's decimal
/// number followed by the *spelling* of the peer, or of the key.

#include <kcache/bytes.hpp>
#include <kcache/cluster/dialect.hpp>
#include <kcache/cluster/message.hpp>
#include <kcache/config.hpp>
#include <kcache/detail/crc32.hpp>
#include <kcache/detail/siphash.hpp>
#include <kcache/error.hpp>
#include <kcache/peer.hpp>
#include <kcache/result.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kcache {

/// What, besides the peers, decides a ring. Equal on all nodes of a cluster.
struct ring_options {
  dialect speaks = dialect::native;
  /// The key of the native hash. A secret keeps outsiders from aiming keys at one node; the Go
  /// dialects do not use it.
  std::uint64_t seed = 0;
  /// Points for each peer; 0 stands for the dialect's own: 1,024, or Go's 50 replicas.
  std::uint32_t points = 0;

  [[nodiscard]] constexpr std::uint32_t points_per_peer() const noexcept {
    if (points != 0) return points;
    return speaks == dialect::native ? 1'024 : 50;
  }
};

/// An immutable consistent-hash ring.
///
/// Built in O(P log P) for P points in all: 0.2 ms for 3 native peers, 6 ms for 64. A lookup is
/// O(size of the key) and O(1) in the mean, O(log P) at worst, and allocates nothing: 23 ns for 3
/// native peers and 28 ns for 64, with random keys of 16 bytes. Takes 14 to 18 bytes a point.
/// Thread safety: const calls from any thread. Building may throw `bad_alloc`; lookups never throw.
class hash_ring {
 public:
  /// The most peers, and the most points of all peers together.
  static constexpr std::size_t max_peers = 4'096;
  static constexpr std::size_t max_points = std::size_t{1} << 24;

  /// `invalid_options` if a ring of so many peers exceeds a limit.
  [[nodiscard]] static result<void> check(ring_options const& options, std::size_t peers) {
    if (peers <= max_peers && peers * options.points_per_peer() <= max_points) return {};
    return kcache::error{
        errc::invalid_options,
        std::to_string(peers) + " peers of " + std::to_string(options.points_per_peer()) +
            " points each exceed the limits of a ring: " + std::to_string(max_peers) + " peers, " +
            std::to_string(max_points) + " points"};
  }

  /// A ring of no peers, which owns nothing.
  hash_ring() : hash_ring{ring_options{}, {}} {}

  /// A ring of `peers`, given in the order in which they were added. A peer that equals an earlier
  /// one is left out. \throws failure (`invalid_options`) where `check` would complain.
  hash_ring(ring_options options, std::vector<peer_address> peers) : options_{options} {
    check(options, peers.size()).value();
    peers_.reserve(peers.size());
    for (auto& p : peers)
      if (!find(p)) peers_.push_back(std::move(p));
    if (options.speaks == dialect::native) std::sort(peers_.begin(), peers_.end());
    place_points();
    digest_ = compute_digest();
  }

  [[nodiscard]] bool empty() const noexcept { return peers_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return peers_.size(); }
  [[nodiscard]] ring_options const& options() const noexcept { return options_; }
  /// The peers, indexed as `owner` answers: sorted by canonical address in the native dialect, in
  /// the order of adding in the others.
  [[nodiscard]] std::vector<peer_address> const& peers() const noexcept { return peers_; }
  [[nodiscard]] peer_address const& peer(std::size_t index) const noexcept {
    KCACHE_ASSERT(index < peers_.size());
    return peers_[index];
  }
  /// The index of `peer`, by canonical address; none if it is not in the ring. O(peers).
  [[nodiscard]] std::optional<std::size_t> find(peer_address const& peer) const noexcept {
    auto const it = std::find(peers_.begin(), peers_.end(), peer);
    if (it == peers_.end()) return std::nullopt;
    return static_cast<std::size_t>(it - peers_.begin());
  }

  /// The index of the peer that owns `key`; none only if the ring is empty.
  [[nodiscard]] std::optional<std::size_t> owner(byte_view key) const noexcept {
    if (hashes_.empty()) return std::nullopt;
    auto const h = hash(key);
    auto const slice = static_cast<std::size_t>(h >> slice_shift_);
    auto const at =
        std::lower_bound(hashes_.data() + slices_[slice], hashes_.data() + slices_[slice + 1], h) -
        hashes_.data();
    auto const i = static_cast<std::size_t>(at);
    return owners_[i == hashes_.size() ? 0 : i];
  }

  /// The part of the circle that a peer owns, 0 to 1. O(points).
  [[nodiscard]] double share(std::size_t index) const noexcept {
    if (hashes_.size() == 1) return owners_.front() == index ? 1 : 0;
    double sum = 0;
    for (std::size_t i = 0; i != hashes_.size(); ++i)
      if (owners_[i] == index) sum += static_cast<double>(stretch(i));
    double const circle = options_.speaks == dialect::native ? 0x1p64 : 0x1p32;
    return sum / circle;
  }

  /// Names the ring: nodes with equal digests agree about every key (but for tied points in the Go
  /// dialects, where order counts). Made of the sorted members, points, seed, dialect and version
  /// of the wire. Never 0, which stands for "not told" on the wire. A random seed stays secret.
  [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }

 private:
  // Told apart by the second half of SipHash's key: points, keys and digests are unrelated.
  static constexpr std::uint64_t of_points = 1;
  static constexpr std::uint64_t of_keys = 2;
  static constexpr std::uint64_t of_digest = 3;

  [[nodiscard]] std::uint64_t keyed_hash(std::uint64_t what, byte_view bytes) const noexcept {
    auto const seed = options_.speaks == dialect::native ? options_.seed : 0;
    return detail::siphash<1, 3>({seed, what}, bytes.data(), bytes.size());
  }

  [[nodiscard]] std::uint64_t hash(byte_view key) const noexcept {
    return options_.speaks == dialect::native ? keyed_hash(of_keys, key) : detail::crc32(key);
  }

  /// From the point before this one to this one.
  [[nodiscard]] std::uint64_t stretch(std::size_t i) const noexcept {
    if (i != 0) return hashes_[i] - hashes_[i - 1];
    auto const around = hashes_.front() - hashes_.back();
    return options_.speaks == dialect::native ? around : around & 0xffff'ffff;
  }

  static void append_number(std::string& out, std::uint64_t n, int bytes) {
    for (int i = 0; i != bytes; ++i) out += static_cast<char>(n >> (8 * i) & 0xff);
  }

  void place_points() {
    struct point {
      std::uint64_t hash;
      std::uint16_t peer;
    };
    bool const native = options_.speaks == dialect::native;
    auto const each = options_.points_per_peer();
    std::vector<point> points;
    points.reserve(peers_.size() * each);
    std::string text;
    for (std::size_t p = 0; p != peers_.size(); ++p) {
      for (std::uint32_t i = 0; i != each; ++i) {
        if (native) {
          text = peers_[p].canonical();
          append_number(text, i, 4);
        } else {
          text = std::to_string(i);
          text += peers_[p].spelling();
        }
        points.push_back({native ? keyed_hash(of_points, text) : detail::crc32(text),
                          static_cast<std::uint16_t>(p)});
      }
    }
    // Of tied points the first stays: native, the smaller address; else, the peer added last.
    std::sort(points.begin(), points.end(), [native](point const& a, point const& b) {
      if (a.hash != b.hash) return a.hash < b.hash;
      return native ? a.peer < b.peer : a.peer > b.peer;
    });
    points.erase(std::unique(points.begin(), points.end(),
                             [](point const& a, point const& b) { return a.hash == b.hash; }),
                 points.end());
    // Apart, so that a search touches hashes only.
    hashes_.reserve(points.size());
    owners_.reserve(points.size());
    for (auto const& p : points) {
      hashes_.push_back(p.hash);
      owners_.push_back(p.peer);
    }
    // One to two slices of the circle for each point: hashes are uniform, so most slices hold one
    // point or none, and a search seldom looks at more. A search through all points mispredicts
    // half of its steps: 116 ns at 64 peers.
    auto const bits = static_cast<int>(std::bit_width(hashes_.size() | 1));
    slice_shift_ = (native ? 64 : 32) - bits;
    slices_.resize((std::size_t{1} << bits) + 1);
    for (auto const h : hashes_) ++slices_[static_cast<std::size_t>(h >> slice_shift_) + 1];
    std::partial_sum(slices_.begin(), slices_.end(), slices_.begin());
  }

  [[nodiscard]] std::uint64_t compute_digest() const {
    bool const native = options_.speaks == dialect::native;
    std::vector<byte_view> members;
    members.reserve(peers_.size());
    for (auto const& p : peers_) members.push_back(native ? p.canonical() : p.spelling());
    std::sort(members.begin(), members.end());
    std::string text;
    append_number(text, wire::native_version, 4);
    append_number(text, static_cast<std::uint64_t>(options_.speaks), 1);
    append_number(text, options_.points_per_peer(), 4);
    for (auto const m : members) {
      append_number(text, m.size(), 4);
      text += m;
    }
    auto const d = keyed_hash(of_digest, text);
    return d != 0 ? d : 1;
  }

  ring_options options_;
  std::vector<peer_address> peers_;
  std::vector<std::uint64_t> hashes_;  // sorted, distinct
  std::vector<std::uint16_t> owners_;  // of hashes_[i]: an index into peers_
  std::vector<std::uint32_t> slices_;  // where the points of each slice begin; one more at the end
  int slice_shift_ = 0;                // hash >> slice_shift_ is its slice
  std::uint64_t digest_ = 0;
};

}  // namespace kcache

#endif
