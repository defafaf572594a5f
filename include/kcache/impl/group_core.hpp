// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_GROUP_CORE_HPP
#define KCACHE_IMPL_GROUP_CORE_HPP
/// \file
/// Floor 3. The bodies of detail/group_core.hpp: how it is made, what it answers at once, changes.
/// Beside it: what waits (group_core_waiting.hpp), what sees a load to its place
/// (group_core_gate.hpp), what loads (group_core_loading.hpp), what asks owners
/// (group_core_fetching.hpp).

#include <kcache/detail/group_core.hpp>

#include <algorithm>
#include <iterator>
#include <string>

namespace kcache::detail {

template <class K, class V, class P>
group_core<K, V, P>::group_core(options_type o, loader<K, V> load)
    : options_{checked(std::move(o))},
      executor_{options_.executor},
      cache_{cache_options_of(options_)},
      absences_{absence_options_of(options_)},
      freshness_{options_.expiry, freshness_of(options_)},
      loads_{flight_hash{options_}, options_.max_waiters, flight_timers{this, false}},
      fetches_{flight_hash{options_}, options_.max_waiters, flight_timers{this, true}},
      loader_{std::move(load)},
      gate_{options_.max_loads, options_.max_queued_loads} {}

template <class K, class V, class P>
auto group_core<K, V, P>::checked(options_type o) -> options_type {
  auto const need = [](bool holds, char const* what) {
    if (!holds)
      throw failure{error{errc::invalid_options, std::string{"kcache: group options: "} + what}};
  };
  constexpr duration none{};
  need(o.jitter >= 0 && o.jitter <= 1, "jitter must be from 0 to 1");
  need(o.refresh_ahead >= 0, "refresh_ahead must not be negative");
  need(o.stale_while_revalidate >= none && o.stale_if_error >= none,
       "stale_while_revalidate and stale_if_error must not be negative");
  need(o.retry_after >= none, "retry_after must not be negative");
  need(o.negative_ttl >= none && o.error_ttl >= none,
       "negative_ttl and error_ttl must not be negative");
  need(o.negative_ttl <= o.max_negative_ttl && o.error_ttl <= o.max_negative_ttl,
       "negative_ttl or error_ttl is more than max_negative_ttl (5 s): to remember absence for "
       "longer raise both");
  need(o.max_negative != 0, "max_negative must be at least 1 (negative_ttl = 0 switches it off)");
  need(o.max_loads != 0, "max_loads must be at least 1");
  need(o.max_batch != 0, "max_batch must be at least 1");
  return o;
}

template <class K, class V, class P>
cache_options<grouped<P>> group_core<K, V, P>::cache_options_of(options_type const& o) {
  return {.capacity = o.capacity,
          .ttl = o.ttl,
          .shards = o.shards,
          .max_entry_weight = o.max_entry_weight,
          .clock = o.clock,
          .random = o.random,
          .hash = o.hash,
          .weigher = o.weigher,
          .expiry = freshness_type{o.expiry, freshness_of(o)},
          .stats = o.stats,
          .on_removal = o.on_removal};
}

template <class K, class V, class P>
cache_options<absent_policies<P>> group_core<K, V, P>::absence_options_of(options_type const& o) {
  return {
      .capacity = o.max_negative, .clock = o.clock, .random = o.random, .hash = o.hash};
}

template <class K, class V, class P>
freshness_options group_core<K, V, P>::freshness_of(options_type const& o) {
  return {.jitter = o.jitter,
          .refresh_ahead = o.refresh_ahead,
          .grace = std::max(o.stale_while_revalidate, o.stale_if_error)};
}

template <class K, class V, class P>
timer_id group_core<K, V, P>::flight_timers::arm(std::size_t stripe, time_point at) const {
  return core->executor_.schedule_at(
      at, [weak = core->weak_from_this(), stripe, asks_owner = fetches] {
        auto const c = weak.lock();
        if (!c) return;
        (asks_owner ? c->fetches_ : c->loads_).expire(stripe, c->executor_.now());
      });
}

// Freshness.

template <class K, class V, class P>
bool group_core<K, V, P>::fresh(sight const& s) const noexcept {
  return s.entry && s.now < freshness_.fresh_until(s.entry.expires_at());
}

template <class K, class V, class P>
auto group_core<K, V, P>::aged(key_view key, sight&& s) -> handle_type {
  if (!s.entry) return {};
  duration const age = s.now - s.dates.written_at;
  if (is_current(s)) return {std::move(s.entry), age, false};
  time_point const stale_from = freshness_.fresh_until(s.entry.expires_at());
  bool const stale = s.now >= stale_from;
  if (stale && s.now - stale_from >= options_.stale_while_revalidate) return {};
  if (!refresh(key) && stale) return {};
  if (stale) count(counts_.stale);
  return {std::move(s.entry), age, stale};
}

/// What can be served in place of an error, which is to be counted.
template <class K, class V, class P>
auto group_core<K, V, P>::stale_of(key_view key) -> handle_type {
  auto found = cache_.peek_dated(key);
  if (!found.entry) return {};
  duration const age = found.now - found.dates.written_at;
  time_point const stale_from = freshness_.fresh_until(found.entry.expires_at());
  if (found.now < stale_from) return {std::move(found.entry), age, false};
  if (found.now - stale_from >= options_.stale_if_error) return {};
  count(counts_.stale);
  return {std::move(found.entry), age, true};
}

template <class K, class V, class P>
auto group_core<K, V, P>::peek(key_view key) const -> handle_type {
  auto found = cache_.peek_dated(key);
  if (!found.entry) return {};
  duration const age = found.now - found.dates.written_at;
  time_point const stale_from = freshness_.fresh_until(found.entry.expires_at());
  if (found.now < stale_from) return {std::move(found.entry), age, false};
  if (found.now - stale_from >= options_.stale_while_revalidate) return {};
  return {std::move(found.entry), age, true};
}

/// Behind a reader. False, and nothing done, if another node owns the key: this one has an
/// emergency's copy, and asks the owner when that is over.
template <class K, class V, class P>
bool group_core<K, V, P>::refresh(key_view key) noexcept {
  try {
    if (attached() && origin_for(key)) return false;
    if (closed_.load(std::memory_order_relaxed) || absences_.peek(key)) return true;
    K const owned(key);
    auto const hash = loads_.hash_of(owned);
    auto const generation = generations_.of(hash);
    if (auto const f = loads_.open(owned, hash)) {
      f->generation = generation;
      lead_load(f, load_kind::refresh, false);
    }
  } catch (...) {  // the next reader tries again
  }
  return true;
}

// Errors.

/// Failures of the source, as against what the caller did or the source said.
[[nodiscard]] inline bool is_failure(error const& e) noexcept {
  return e == errc::loader_failed || e == errc::deadline || e == errc::overloaded ||
         e == errc::unreachable;
}

template <class K, class V, class P>
auto group_core<K, V, P>::known_absent(key_view key) -> std::optional<answer> {
  auto const a = absences_.get(key);
  if (!a) return std::nullopt;
  if (may_be_stale() && is_failure(a->why))
    if (auto stale = stale_of(key)) return answer{std::move(stale)};
  if (!a->answers) return std::nullopt;
  count(counts_.absent);
  return answer{a->why};
}

/// The answer, or a stale value in its place.
template <class K, class V, class P>
auto group_core<K, V, P>::settled(key_view key, answer&& a) noexcept -> answer {
  if (a || !may_be_stale() || !is_failure(a.error())) return std::move(a);
  try {
    if (auto stale = stale_of(key)) return answer{std::move(stale)};
  } catch (...) {  // a hash or a comparison of the user's: then the error stands
  }
  return std::move(a);
}

template <class K, class V, class P>
template <class Handler>
auto group_core<K, V, P>::settling(K const& key, Handler h) {
  // `K(key)`: a capture of `key` would be const, and copied where it should be moved.
  return [core = this->shared_from_this(), key = K(key), h = std::move(h)](answer a) mutable {
    h(core->settled(storage_traits<K>::view(key), std::move(a)));
  };
}

// Changes.

/// From here on no load that has begun may store, and no get may join one.
template <class K, class V, class P>
std::uint64_t group_core<K, V, P>::supersede(K const& key) {
  std::uint64_t const hash = loads_.hash_of(key);
  generations_.raise(hash);
  if constexpr (!faults::join_detached) {
    loads_.detach(key, hash);
    fetches_.detach(key, fetches_.hash_of(key));
  }
  return hash;
}

template <class K, class V, class P>
void group_core<K, V, P>::invalidate(key_view key) {
  K const owned(key);
  supersede(owned);
  absences_.erase(key);
  cache_.erase(key);
}

template <class K, class V, class P>
template <class Key, class Value>
auto group_core<K, V, P>::put(Key&& key, Value&& value, ttl lives, bool only_if_absent)
    -> put_outcome {
  K owned(std::forward<Key>(key));
  std::uint64_t const hash = supersede(owned);
  absences_.erase(storage_traits<K>::view(owned));
  // Once more under the lock: nor may a load store that has begun since.
  auto const newest = [this, hash] {
    generations_.raise(hash);
    return true;
  };
  return only_if_absent
             ? cache_.put_if_absent(std::move(owned), std::forward<Value>(value), lives, newest)
             : cache_.put_if(std::move(owned), std::forward<Value>(value), newest, lives);
}

template <class K, class V, class P>
void group_core<K, V, P>::clear() {
  generations_.raise_all();
  if constexpr (!faults::join_detached) {
    loads_.detach_all();
    fetches_.detach_all();
  }
  absences_.clear();
  cache_.clear();
}

template <class K, class V, class P>
void group_core<K, V, P>::close() noexcept {
  if (closed_.exchange(true)) return;
  std::shared_ptr<origin_type> origin;
  {
    std::lock_guard lock{origin_mutex_};
    has_origin_.store(false, std::memory_order_release);
    origin.swap(origin_);
  }
  if (origin) origin->leave();
  answer const cancelled{errc::cancelled};
  fetches_.close(cancelled);
  loads_.close(cancelled);
  gate_.clear();
  std::size_t const ours = ending::of(*this);
  if (running_.fetch_sub(ours) != ours)
    executor_.wait_until(drained_, after(executor_.now(), options_.drain));
  running_.fetch_add(ours);
}

template <class K, class V, class P>
kcache::explanation group_core<K, V, P>::explain(key_view key) const {
  kcache::explanation e;
  if (auto const found = cache_.peek_dated(key); found.entry) {
    e.cached = true;
    e.stale = !fresh(found);
    e.age = found.now - found.dates.written_at;
    time_point const until = freshness_.fresh_until(found.entry.expires_at());
    if (until != never) e.lives = until - found.now;
    if (found.dates.refresh_at < until) e.refresh_in = found.dates.refresh_at - found.now;
  }
  if constexpr (requires { cache_.hits_of(key); }) e.hits = cache_.hits_of(key);
  if (auto const a = absences_.peek(key); a && a->answers) {
    e.absent = true;
    e.reason = a->why.message();
  }
  K const owned(key);
  if (auto const load = loads_.look(owned)) {
    e.loading = true;
    e.queued = load->first->stage.load() == queued;
    e.waiters = load->second;
  }
  if (auto const fetch = fetches_.look(owned)) {
    e.fetching = true;
    e.waiters += fetch->second;
  }
  e.load_queue = gate_.waiting();
  return e;
}

template <class K, class V, class P>
group_stats group_core<K, V, P>::stats() const {
  auto const count = [](std::atomic<std::uint64_t> const& n) {
    return n.load(std::memory_order_relaxed);
  };
  group_stats s;
  s.cache = cache_.stats();
  s.loads = count(counts_.loads);
  s.load_failures = count(counts_.load_failures);
  s.not_found = count(counts_.not_found);
  s.fallback_loads = count(counts_.fallback_loads);
  s.refreshes = count(counts_.refreshes);
  s.batches = count(counts_.batches);
  s.shed = count(counts_.shed);
  s.absent = count(counts_.absent);
  s.stale = count(counts_.stale);
  s.fetches = count(counts_.fetches);
  s.fetch_failures = count(counts_.fetch_failures);
  s.served = count(counts_.served);
  return s;
}

}  // namespace kcache::detail

#endif
