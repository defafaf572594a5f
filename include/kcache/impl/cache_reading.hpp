// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_CACHE_READING_HPP
#define KCACHE_IMPL_CACHE_READING_HPP
/// \file
/// Floor 2. The bodies of `cache` that read; included by cache.hpp.

#include <kcache/cache.hpp>

namespace kcache {

/// What `then(handle, moment)` makes of what is found; of an empty handle, if nothing is.
template <class Key, class Value, class Policies>
template <bool Dated, bool Trace, class Then>
auto cache<Key, Value, Policies>::read_handle_here(key_view key, std::uint64_t hash,
                                                   Then const& then) const {
  if constexpr (storage::inline_pairs) {
    using words = typename shard_type::slot_type::value_words;
    return shard_of(hash).template find_pair<Trace, Dated>(
        key, hash, clock_, stats_,
        [&then](typename shard_type::template pair_found<Dated> const& found) KCACHE_INLINE_LAMBDA {
          if (!found.hit) return then(handle_type{}, found.moment);
          return then(
              detail::handle_access::copy<Value>(words::object(found.value), found.expires_at),
              found.moment);
        });
  } else {
    using cell_found = typename shard_type::template cell_found<Dated>;
    if constexpr (detail::is_small<Value>) {
      handle_type copy;
      return shard_of(hash).template read_cell<Trace, Dated>(
          key, hash, clock_, stats_,
          [&copy](detail::cell<Value>& c) {
            copy = detail::handle_access::copy<Value>(c.value(), c.expires_at());
            return true;
          },
          [&copy, &then](cell_found const& found) KCACHE_INLINE_LAMBDA {
            if (found.seen != detail::sight::hit) return then(handle_type{}, found.moment);
            return then(std::move(copy), found.moment);
          });
    } else {
      return shard_of(hash).template read_cell<Trace, Dated>(
          key, hash, clock_, stats_,
          [](detail::cell<Value>& c) {
            if constexpr (detail::is_flat<Value> || std::is_trivially_destructible_v<Value>) {
              c.count().retain();
              return true;
            } else {
              return c.count().try_retain();
            }
          },
          [&then](cell_found const& found) KCACHE_INLINE_LAMBDA {
            if (found.seen != detail::sight::hit) return then(handle_type{}, found.moment);
            return then(detail::handle_access::adopt<Value>(*found.at), found.moment);
          });
    }
  }
}

template <class Key, class Value, class Policies>
handle<Value> cache<Key, Value, Policies>::get(key_view key) {
  return read_handle<false, true>(key, hash_of(key), just_entry);
}

template <class Key, class Value, class Policies>
auto cache<Key, Value, Policies>::get_dated(key_view key) -> dated_handle_type
  requires dated_expiry<expiry_type>
{
  return read_handle<true, true>(key, hash_of(key), with_dates());
}

template <class Key, class Value, class Policies>
template <class Then>
auto cache<Key, Value, Policies>::get_dated(key_view key, Then const& then)
  requires dated_expiry<expiry_type>
{
  return read_handle_here<true, true>(
      key, hash_of(key),
      [this, &then](handle_type&& entry, detail::moment_field<true> const& m)
          KCACHE_INLINE_LAMBDA {
            entry_dates const dates = dates_of(entry, m);
            return then(std::move(entry), dates, m.value.now);
          });
}

template <class Key, class Value, class Policies>
handle<Value> cache<Key, Value, Policies>::peek(key_view key) const {
  return read_handle<false, false>(key, hash_of(key), just_entry);
}

template <class Key, class Value, class Policies>
auto cache<Key, Value, Policies>::peek_dated(key_view key) const -> dated_handle_type
  requires dated_expiry<expiry_type>
{
  return read_handle<true, false>(key, hash_of(key), with_dates());
}

template <class Key, class Value, class Policies>
template <visitor<typename storage_traits<Value>::view_type> F>
bool cache<Key, Value, Policies>::visit(key_view key, F&& f) {
  std::uint64_t const hash = hash_of(key);
  if constexpr (storage::inline_pairs) {
    using words = typename shard_type::slot_type::value_words;
    return shard_of(hash).template find_pair<true, false>(
        key, hash, clock_, stats_,
        [&f](typename shard_type::template pair_found<false> const& found) {
          if (found.hit) {
            std::forward<F>(f)(static_cast<Value const&>(words::object(found.value)));
          }
          return found.hit;
        });
  } else if constexpr (detail::is_flat<Value> && storage::lock_free) {
    auto const seen = shard_of(hash).template read_cell<true, false>(
        key, hash, clock_, stats_,
        [](detail::flat_cell& c) { return detail::own_reader && detail::own_reader->hold(&c); },
        [&f](typename shard_type::template cell_found<false> const& found) {
          if (found.seen == detail::sight::hit) [[likely]] {
            detail::held_last const holding{*detail::own_reader};
            std::forward<F>(f)(detail::cell_kind<Value>::view(*found.at));
          }
          return found.seen;
        });
    if (seen <= detail::sight::miss) [[likely]] return seen == detail::sight::hit;
  }
  if constexpr (!storage::inline_pairs) {
    // Kept as an object, or too many visitors within each other.
    handle_type const found = read_handle<false, true>(key, hash, just_entry);
    if (found) std::forward<F>(f)(*found);
    return static_cast<bool>(found);
  }
}

template <class Key, class Value, class Policies>
std::optional<Value> cache<Key, Value, Policies>::get_copy(key_view key)
  requires std::copy_constructible<Value>
{
  std::optional<Value> copy;
  visit(key, [&](typename handle_type::view_type v) { copy.emplace(v); });
  return copy;
}

template <class Key, class Value, class Policies>
template <class Keys>
auto cache<Key, Value, Policies>::get_many(Keys const& keys) -> std::vector<handle_type> {
  constexpr std::size_t at_once = 16;
  std::vector<handle_type> found;
  if constexpr (requires { keys.size(); }) found.reserve(keys.size());
  auto next = std::begin(keys);
  auto const end = std::end(keys);
  while (next != end) {
    std::uint64_t hashes[at_once];
    std::size_t n = 0;
    for (auto ahead = next; n != at_once && ahead != end; ++ahead) {
      hashes[n++] = hash_of(static_cast<key_view>(*ahead));
    }
    if constexpr (storage::lock_free) {
      if (detail::reader* const r = detail::this_reader()) {
        detail::read_section const in{*r};
        for (int step = 0; step != 3; ++step) {
          for (std::size_t i = 0; i != n; ++i) shard_of(hashes[i]).prefetch(hashes[i], step);
        }
      }
    }
    for (std::size_t i = 0; i != n; ++i, ++next) {
      found.push_back(
          read_handle<false, true>(static_cast<key_view>(*next), hashes[i], just_entry));
    }
  }
  return found;
}

}  // namespace kcache

#endif
