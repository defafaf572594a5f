// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_KCACHE_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_KCACHE_HPP
/// \file
/// kcache::cache under each of its eviction policies, all else by default but the TTL.

#include "../kinds.hpp"
#include "contestant.hpp"

#include <kcache/cache.hpp>
#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/lru.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>
#include <kcache/policies/ticking_clock.hpp>
#include <kcache/policies/w_tinylfu.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace bench {

/// How a value is read: as suits its type best (numbers and strings by visitor, others by handle),
/// or by handle whatever it is.
enum class reading { as_suits, by_handle };

struct lru_entry {
  using eviction = kcache::lru;
  static constexpr char const* name = "kcache lru";
  static constexpr char const* handle_name = "kcache lru, by handle";
  static constexpr char const* policy = "lru";
};
struct fifo_entry {
  using eviction = kcache::fifo;
  static constexpr char const* name = "kcache fifo";
  static constexpr char const* policy = "fifo";
};
struct clock_hand_entry {
  using eviction = kcache::clock_hand;
  static constexpr char const* name = "kcache clock_hand";
  static constexpr char const* policy = "clock_hand";
};
struct sieve_entry {
  using eviction = kcache::sieve;
  static constexpr char const* name = "kcache sieve";
  static constexpr char const* policy = "sieve";
};
struct s3_fifo_entry {
  using eviction = kcache::s3_fifo;
  static constexpr char const* name = "kcache s3_fifo";
  static constexpr char const* policy = "s3_fifo";
};
struct w_tinylfu_entry {
  using eviction = kcache::w_tinylfu;
  static constexpr char const* name = "kcache w_tinylfu";
  static constexpr char const* policy = "w_tinylfu";
};

/// With the clock that costs a load.
struct ticking_lru_entry {
  using eviction = kcache::lru;
  using clock = kcache::ticking_clock;
  static constexpr char const* name = "kcache lru, ticking clock";
};
struct ticking_fifo_entry {
  using eviction = kcache::fifo;
  using clock = kcache::ticking_clock;
  static constexpr char const* name = "kcache fifo, ticking clock";
};
struct ticking_sieve_entry {
  using eviction = kcache::sieve;
  using clock = kcache::ticking_clock;
  static constexpr char const* name = "kcache sieve, ticking clock";
};

/// Calls `f<Entry>()` for each policy that there is.
template <class F>
void each_policy(F f) {
  f.template operator()<lru_entry>();
  f.template operator()<fifo_entry>();
  f.template operator()<clock_hand_entry>();
  f.template operator()<sieve_entry>();
  f.template operator()<s3_fifo_entry>();
  f.template operator()<w_tinylfu_entry>();
}

/// The same, and three of them with another clock.
template <class F>
void each_bundle(F f) {
  each_policy(f);
  f.template operator()<ticking_lru_entry>();
  f.template operator()<ticking_fifo_entry>();
  f.template operator()<ticking_sieve_entry>();
}

template <class Entry>
struct policies_of : kcache::with_eviction<typename Entry::eviction> {};
template <class Entry>
  requires requires { typename Entry::clock; }
struct policies_of<Entry> : kcache::with_eviction<typename Entry::eviction> {
  using clock = typename Entry::clock;
};

template <class Kind, class Entry, reading Reading = reading::as_suits>
class kcache_with {
 public:
  static constexpr bool is_lru = std::is_same_v<Entry, lru_entry>;
  static constexpr char const* name = [] {
    if constexpr (Reading == reading::by_handle) return Entry::handle_name;
    else return Entry::name;
  }();
  static constexpr role part = Reading == reading::by_handle ? role::peer
                               : is_lru                      ? role::lru
                                                             : role::policy;

  explicit kcache_with(std::size_t capacity)
      : cache_{{.capacity = capacity, .ttl = time_to_live}} {}

  template <class F>
  bool read(typename Kind::key_arg k, F f) {
    if constexpr (Reading == reading::by_handle || std::is_same_v<Kind, general_kind>) {
      auto const handle = cache_.get(k);
      if (!handle) return false;
      f(*handle);
      return true;
    } else {
      return cache_.visit(k, f);
    }
  }
  void put(typename Kind::key_arg k, typename Kind::value_arg v) { cache_.put(k, v); }
  [[nodiscard]] std::size_t size() const { return cache_.size(); }
  /// As the cache tells it.
  [[nodiscard]] std::uint64_t bytes() const { return cache_.memory_usage(); }

 private:
  kcache::cache<typename Kind::key, typename Kind::value, policies_of<Entry>> cache_;
};

}  // namespace bench

#endif
