// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_SHARD_FACTS_HPP
#define KCACHE_IMPL_SHARD_FACTS_HPP
/// \file
/// Floor 2. The bodies of `shard` that tell facts, of one slot or of all; included by
/// detail/shard.hpp.

#include <kcache/detail/shard.hpp>

namespace kcache::detail {

template <class Key, class Value, class Policies>
std::uint64_t shard<Key, Value, Policies>::hash_at(slot s) const noexcept {
  if constexpr (plan::keeps_hash) {
    return at(s).hash.value;
  } else {
    return hash_of(hash_, at(s).key());
  }
}

template <class Key, class Value, class Policies>
std::uint64_t shard<Key, Value, Policies>::weight_of(slot_type const& e) noexcept {
  if constexpr (plan::weighed) {
    return e.weight.value;
  } else {
    return static_cast<void>(e), 1;
  }
}

template <class Key, class Value, class Policies>
time_point shard<Key, Value, Policies>::expiry_of(slot_type const& e) noexcept {
  time_point const t = e.expires_at();
  if constexpr (plan::idle) {
    std::int64_t const idle = e.idle_until.value.load(std::memory_order_relaxed);
    return min_of(t, time_point{duration{idle}});
  } else {
    return t;
  }
}

template <class Key, class Value, class Policies>
removal_cause shard<Key, Value, Policies>::cause_of(slot s, time_point now,
                                                    removal_cause live) const noexcept {
  return expiry_at(s) <= now ? removal_cause::expired : live;
}

template <class Key, class Value, class Policies>
std::size_t shard<Key, Value, Policies>::size() const {
  spin_guard const lock{lock_};
  return size_;
}

template <class Key, class Value, class Policies>
std::uint64_t shard<Key, Value, Policies>::weight() const {
  spin_guard const lock{lock_};
  return weight_;
}

template <class Key, class Value, class Policies>
std::size_t shard<Key, Value, Policies>::bytes() const {
  spin_guard const lock{lock_};
  std::size_t all = sizeof *this + cell_bytes_ + expiry_.bytes();
  if constexpr (requires { retired_.bytes(); }) all += retired_.bytes();
  if constexpr (requires { queue_.heap_bytes(); }) all += queue_.heap_bytes();
  all += heap_size(table().bytes() + 64);
  for (table_type const* first : {old_tables_, cleared_}) {
    for (table_type const* t = first; t; t = t->linked) all += heap_size(t->bytes() + 64);
  }
  return all;
}

}  // namespace kcache::detail

#endif
