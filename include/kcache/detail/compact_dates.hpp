// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_COMPACT_DATES_HPP
#define KCACHE_DETAIL_COMPACT_DATES_HPP
/// \file
/// Floor 2. `compact_dates`: an entry's dates in one word.
///
/// A slot of a small pair is a key, a value and an instant of expiry, 24 bytes. Two instants more
/// would make it 40, and every second hit would touch one cache line more; one word makes it 32.
///
/// So dates are kept as distances back from the end of freshness, 29 digits each, and how far both
/// are shifted. What is rounded becomes earlier, by less than one part in 2^28 of the life: an age
/// is never less than it was, a refresh never late, and the end of freshness itself is exact. Whole
/// milliseconds are exact in lives up to half a minute, whole seconds up to four. An entry that is
/// fresh for ever is never to be renewed, and has the word for its other date.

#include <kcache/config.hpp>
#include <kcache/policies/expiry.hpp>
#include <kcache/time.hpp>

#include <bit>
#include <cstdint>

namespace kcache::detail {

class compact_dates {
 public:
  compact_dates() = default;
  /// A date after `fresh_until` counts as at it. Where that is `never`, so is the refresh.
  compact_dates(entry_dates const& d, time_point fresh_until) noexcept {
    if (fresh_until == never) {
      word_ = count(d.written_at);
      return;
    }
    std::uint64_t const written = distance(d.written_at, fresh_until);
    std::uint64_t const refresh = distance(d.refresh_at, fresh_until);
    auto const bits = static_cast<unsigned>(std::bit_width(written | refresh));
    unsigned shift = bits <= digits ? 0 : bits - digits;
    if (rounded_up(written, shift) > most || rounded_up(refresh, shift) > most) ++shift;
    word_ = rounded_up(written, shift) << (shift_bits + digits) |
            rounded_up(refresh, shift) << shift_bits | shift;
  }
  [[nodiscard]] static compact_dates of_word(std::uint64_t word) noexcept {
    compact_dates d;
    d.word_ = word;
    return d;
  }
  [[nodiscard]] std::uint64_t word() const noexcept { return word_; }

  /// `fresh_until` is that which they were made with.
  [[nodiscard]] KCACHE_INLINE entry_dates dates(time_point fresh_until) const noexcept {
    if (fresh_until == never) return {instant(word_), never};
    std::uint64_t const written = word_ >> (shift_bits + digits) << (word_ & shifts);
    std::uint64_t const refresh = (word_ >> shift_bits & most) << (word_ & shifts);
    return {instant(count(fresh_until) - written), instant(count(fresh_until) - refresh)};
  }

 private:
  static constexpr unsigned shift_bits = 6;
  static constexpr std::uint64_t shifts = 63;
  static constexpr unsigned digits = 29;
  static constexpr std::uint64_t most = (std::uint64_t{1} << digits) - 1;

  // Unsigned, since a clock may begin long before its epoch.
  [[nodiscard]] KCACHE_INLINE static std::uint64_t count(time_point t) noexcept {
    return static_cast<std::uint64_t>(t.time_since_epoch().count());
  }
  [[nodiscard]] KCACHE_INLINE static time_point instant(std::uint64_t n) noexcept {
    return time_point{duration{static_cast<std::int64_t>(n)}};
  }
  [[nodiscard]] static std::uint64_t distance(time_point t, time_point fresh_until) noexcept {
    return t >= fresh_until ? 0 : count(fresh_until) - count(t);
  }
  [[nodiscard]] static std::uint64_t rounded_up(std::uint64_t n, unsigned shift) noexcept {
    return (n >> shift) + ((n >> shift) << shift != n ? 1 : 0);
  }

  std::uint64_t word_ = 0;
};

}  // namespace kcache::detail

#endif
