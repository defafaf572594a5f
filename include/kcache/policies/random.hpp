// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_RANDOM_HPP
#define KCACHE_POLICIES_RANDOM_HPP
/// \file
/// Floor 1. The random policy: where hash keys, jitter and identities come from.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `R r;` `R s{r};` | | an object that the owner stores |
/// | `r.next()` | `std::uint64_t` | all 64 bits uniform; used by one thread at a time; may throw |
///
/// Models, cheapest first: `seeded_random` (reproducible), `system_random` (the default).
///
///     struct replay : kcache::default_policies { using random = kcache::seeded_random; };
///     kcache::cache<int, int, replay> c{{.capacity = 8, .random = kcache::seeded_random{42}}};

#include <cerrno>
#include <concepts>
#include <cstdint>
#include <system_error>

#include <sys/random.h>
#include <unistd.h>

namespace kcache {

template <class R>
concept random_source = std::copy_constructible<R> && requires(R& r) {
  { r.next() } -> std::same_as<std::uint64_t>;
};

/// The operating system's entropy (`getentropy`): not to be guessed, about 300 ns a number.
/// Thread safe.
struct system_random {
  /// \throws std::system_error if the system has none to give.
  [[nodiscard]] std::uint64_t next() {
    std::uint64_t number = 0;
    if (::getentropy(&number, sizeof number) != 0) {
      throw std::system_error{errno, std::generic_category(), "kcache: getentropy"};
    }
    return number;
  }
};

/// SplitMix64 (Steele, Lea, Flood 2014): one seed, one sequence. For tests and replays, not
/// against an adversary.
class seeded_random {
 public:
  constexpr seeded_random() noexcept = default;
  explicit constexpr seeded_random(std::uint64_t seed) noexcept : state_{seed} {}

  [[nodiscard]] constexpr std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

 private:
  std::uint64_t state_ = 0;
};

static_assert(random_source<system_random> && random_source<seeded_random>);

}  // namespace kcache

#endif
