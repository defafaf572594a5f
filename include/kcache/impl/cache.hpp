// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_CACHE_HPP
#define KCACHE_IMPL_CACHE_HPP
/// \file
/// Floor 2. The bodies of `cache`; included by cache.hpp.

#include <kcache/cache.hpp>

namespace kcache {

template <class Key, class Value, class Policies>
cache<Key, Value, Policies>::cache(options_type options)
    : clock_(std::move(options.clock)),
      hash_(std::move(options.hash)),
      weigher_(std::move(options.weigher)),
      expiry_(std::move(options.expiry)),
      on_removal_(std::move(options.on_removal)),
      default_ttl_{options.ttl.value_or(kcache::ttl::never())},
      plan_{plan(options)},
      shards_{plan_.shards(),
              [&](std::size_t i) {
                return shard_type{plan_.share(i), plan_.heaviest(i), options.stats};
              }},
      load_stats_(options.stats) {
  if constexpr (requires { hash_.seed(options.random); }) hash_.seed(options.random);
}

template <class Key, class Value, class Policies>
detail::shard_plan cache<Key, Value, Policies>::plan(options_type const& options) {
  auto const& t = options.ttl;
  if (!t.is_default() && !t.is_never() && t.length() <= duration::zero()) {
    throw failure{error{errc::invalid_options, "kcache: cache options: ttl must be positive"}};
  }
  return detail::shard_plan{{.capacity = options.capacity,
                             .shards = options.shards,
                             .max_entry_weight = options.max_entry_weight,
                             .weighed = !std::same_as<weigher_type, unit_weigher>}};
}

template <class Key, class Value, class Policies>
handle<Value> cache<Key, Value, Policies>::get(key_view key) {
  std::uint64_t const hash = hash_of(key);
  removed_type removed{on_removal_};
  return shard_of(hash).get(key, hash, clock_.now(), removed);
}

template <class Key, class Value, class Policies>
handle<Value> cache<Key, Value, Policies>::peek(key_view key) const {
  std::uint64_t const hash = hash_of(key);
  return shard_of(hash).peek(key, hash, clock_.now());
}

template <class Key, class Value, class Policies>
put_result<Value> cache<Key, Value, Policies>::put(Key key, Value value,
                                                   kcache::ttl time_to_live) {
  return put_if(std::move(key), std::move(value), [] { return true; }, time_to_live);
}

template <class Key, class Value, class Policies>
template <std::predicate Guard>
put_result<Value> cache<Key, Value, Policies>::put_if(Key key, Value value, Guard guard,
                                                      kcache::ttl time_to_live) {
  key_view const k = storage_traits<Key>::view(key);
  typename handle_type::view_type const v = storage_traits<Value>::view(value);
  time_point const now = clock_.now();
  std::uint64_t const weight = weigher_(k, v);
  detail::entry_facts const facts{
      .hash = hash_of(k),
      .weight = weight == 0 ? 1 : weight,
      .expires_at = expiry_.expires_at(k, v, write_time{now, time_to_live, default_ttl_})};

  auto* const fresh = new entry_type{std::move(key), std::move(value), facts};
  put_result_type result{.entry = detail::handle_access::adopt<Value>(fresh)};
  removed_type removed{on_removal_};
  result.stored = shard_of(facts.hash).put(*fresh, now, guard, removed);
  return result;
}

template <class Key, class Value, class Policies>
handle<Value> cache<Key, Value, Policies>::detached(Value value, time_point expires_at) {
  return detail::handle_access::adopt<Value>(
      new detail::detached_cell<Value>{std::move(value), expires_at});
}

template <class Key, class Value, class Policies>
bool cache<Key, Value, Policies>::erase(key_view key) {
  std::uint64_t const hash = hash_of(key);
  removed_type removed{on_removal_};
  return shard_of(hash).erase(key, hash, clock_.now(), removed);
}

template <class Key, class Value, class Policies>
void cache<Key, Value, Policies>::clear() {
  time_point const now = clock_.now();
  for (shard_type& s : shards_) {
    removed_type removed{on_removal_};
    s.clear(now, removed);
  }
}

template <class Key, class Value, class Policies>
std::size_t cache<Key, Value, Policies>::remove_expired() {
  constexpr std::size_t batch = 64;
  time_point const now = clock_.now();
  std::size_t total = 0;
  for (shard_type& s : shards_) {
    for (std::size_t n = batch; n == batch; total += n) {
      removed_type removed{on_removal_};
      n = s.remove_expired(now, batch, removed);
    }
  }
  return total;
}

template <class Key, class Value, class Policies>
std::size_t cache<Key, Value, Policies>::size() const {
  std::size_t total = 0;
  for (shard_type const& s : shards_) total += s.size();
  return total;
}

template <class Key, class Value, class Policies>
std::uint64_t cache<Key, Value, Policies>::weight() const {
  std::uint64_t total = 0;
  for (shard_type const& s : shards_) total += s.weight();
  return total;
}

template <class Key, class Value, class Policies>
cache_stats cache<Key, Value, Policies>::stats() const {
  cache_stats total;
  load_stats_.add_to(total);
  for (shard_type const& s : shards_) s.add_to(total);
  return total;
}

}  // namespace kcache

#endif
