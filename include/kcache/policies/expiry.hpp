// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_EXPIRY_HPP
#define KCACHE_POLICIES_EXPIRY_HPP
/// \file
/// Floor 1. The expiry policy: until when an entry is served, and from when on it is to be renewed.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `E e;` `E f{e};` | | an object that the cache stores |
/// | `e.expires_at(key, value, w)` on a const object | `time_point` | `w` is a `write_time`; called once per put, outside the locks, by several threads at once; may throw |
///
/// | `e.idle()` on a const object, optional | `duration` | an entry that was neither written nor read for so long expires too; more than zero; asked once, by the cache's constructor |
/// | `e.dates(w, expires_at)` on a const object, optional | `entry_dates` | asked once per put, after `expires_at`, whose answer it is given; the cache keeps them with the entry, in 8 bytes, and `get_dated` yields them; may throw |
/// | `e.fresh_until(expires_at)` on a const object, optional | `time_point` | for a policy with dates: the end of freshness, where entries are kept beyond it; not after `expires_at`, which it is by default, and `never` for `never`; always the same of the same; asked by reads, does not throw |
///
/// `key` and `value` are views. An entry is served while the clock is before the result; `never`
/// keeps it until it is evicted, an instant that is not after `w.now` stores nothing. The cache
/// itself does nothing at a date: who reads it does, a group for instance.
///
/// Models: `expire_after_write` (the default); `expire_after_access`; `jittered` around either; a
/// policy of yours, by value for instance:
///
///     struct by_lease {
///       auto expires_at(int, lease const& l, kcache::write_time const& w) const {
///         return kcache::after(w.now, l.length);
///       }
///     };

#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <concepts>
#include <cstdint>
#include <utility>

namespace kcache {

/// What is known of a write when its expiry is asked for.
struct write_time {
  /// The cache's clock at the write.
  time_point now;
  /// What the caller asked for; `ttl::use_default()` if it did not say.
  ttl requested;
  /// The cache's default; never `use_default()`.
  ttl default_ttl;
  /// 64 uniform bits, others for each key, instant and cache, for policies that need chance. They
  /// follow from the cache's random source, so that a seeded one makes them reproducible.
  std::uint64_t draw = 0;
  /// How long the source took to make the value; zero if that is not known.
  duration load_time{};
};

/// What a cache keeps of an entry's history, where its expiry policy has `dates`. They are rounded
/// to the earlier, by less than one part in 2^28 of the time that the entry is fresh
/// (detail/compact_dates.hpp); a refresh that would come after the end of that comes with it.
struct entry_dates {
  /// The instant of the write.
  time_point written_at{};
  /// The instant from which a reader should have it renewed; for all that is fresh for ever, and
  /// for no other, `never`.
  time_point refresh_at = never;

  friend constexpr bool operator==(entry_dates const&, entry_dates const&) noexcept = default;
};

template <class E, class Key, class Value>
concept expiry = std::copy_constructible<E> &&
                 requires(E const& e, typename storage_traits<Key>::view_type key,
                          typename storage_traits<Value>::view_type value, write_time const& w) {
                   { e.expires_at(key, value, w) } -> std::same_as<time_point>;
                 };

/// An expiry policy whose entries are dated.
template <class E>
concept dated_expiry = requires(E const& e, write_time const& w, time_point expires_at) {
  { e.dates(w, expires_at) } -> std::same_as<entry_dates>;
};

namespace detail {
template <class E>
concept names_dates = requires(E& e, write_time const& w, time_point t) { e.dates(w, t); };
}  // namespace detail

/// The requested time to live, or the default, counted from the write.
struct expire_after_write {
  template <class Key, class Value>
  [[nodiscard]] constexpr time_point expires_at(Key const&, Value const&,
                                                write_time const& w) const noexcept {
    return w.requested.value_or(w.default_ttl).expires_at(w.now);
  }
};

/// Besides what `Base` says, an entry expires when it was neither written nor read for `idle`:
///
///     struct sessions : kcache::default_policies {
///       using expiry = kcache::expire_after_access<>;
///     };
///     kcache::cache<int, page, sessions> c{
///         {.capacity = 512, .expiry = kcache::expire_after_access<>{30min}}};
///
/// A read that moves an entry's deadline takes the shard's lock; with `coarse_clock` that is at
/// most one read per entry and tick. 8 bytes an entry.
template <class Base = expire_after_write>
class expire_after_access {
 public:
  explicit constexpr expire_after_access(duration idle, Base base = {}) noexcept
      : idle_{idle}, base_(base) {}

  template <class Key, class Value>
  [[nodiscard]] constexpr time_point expires_at(Key const& key, Value const& value,
                                                write_time const& w) const
      noexcept(noexcept(std::declval<Base const&>().expires_at(key, value, w))) {
    return base_.expires_at(key, value, w);
  }
  [[nodiscard]] constexpr duration idle() const noexcept { return idle_; }
  [[nodiscard]] constexpr entry_dates dates(write_time const& w, time_point expires_at) const
    requires dated_expiry<Base>
  {
    return base_.dates(w, expires_at);
  }
  [[nodiscard]] constexpr time_point fresh_until(time_point expires_at) const noexcept
    requires requires(Base const& b) { b.fresh_until(expires_at); }
  {
    return base_.fresh_until(expires_at);
  }

 private:
  duration idle_;
  [[no_unique_address]] Base base_;
};

/// Spreads the expiry of entries that are written together, so that they are not loaded together
/// again: what `Base` says becomes longer or shorter by up to a fraction, uniformly.
///
///     struct spread : kcache::default_policies {
///       using expiry = kcache::jittered<>;
///     };
///     kcache::cache<int, page, spread> c{
///         {.capacity = 512, .ttl = 60s, .expiry = kcache::jittered<>{0.2}}};   // 48 s to 72 s
template <class Base = expire_after_write>
class jittered {
 public:
  /// `fraction`: from 0, no jitter, to 1; what is outside is taken for the nearer of the two. By
  /// default a tenth.
  explicit constexpr jittered(double fraction = 0.1, Base base = {}) noexcept
      : fraction_{fraction > 0 ? (fraction < 1 ? fraction : 1) : 0}, base_(base) {}

  template <class Key, class Value>
  [[nodiscard]] constexpr time_point expires_at(Key const& key, Value const& value,
                                                write_time const& w) const
      noexcept(noexcept(std::declval<Base const&>().expires_at(key, value, w))) {
    time_point const t = base_.expires_at(key, value, w);
    if (t == never || t <= w.now) return t;
    // From -1 to 1, by 53 bits.
    double const chance = static_cast<double>(w.draw >> 11U) * 0x1p-52 - 1;
    double const length = static_cast<double>((t - w.now).count()) * (1 + fraction_ * chance);
    if (length >= 0x1p63) return never;
    // A nanosecond at least: jitter delays or hastens, it does not forbid.
    return after(w.now, duration{length < 1 ? 1 : static_cast<std::int64_t>(length)});
  }
  [[nodiscard]] constexpr duration idle() const noexcept
    requires requires(Base const& b) { b.idle(); }
  {
    return base_.idle();
  }
  /// Of the instant that the jitter made.
  [[nodiscard]] constexpr entry_dates dates(write_time const& w, time_point expires_at) const
    requires dated_expiry<Base>
  {
    return base_.dates(w, expires_at);
  }
  [[nodiscard]] constexpr time_point fresh_until(time_point expires_at) const noexcept
    requires requires(Base const& b) { b.fresh_until(expires_at); }
  {
    return base_.fresh_until(expires_at);
  }

 private:
  double fraction_;
  [[no_unique_address]] Base base_;
};

}  // namespace kcache

#endif
