// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_SHARD_GROWTH_HPP
#define KCACHE_IMPL_SHARD_GROWTH_HPP
/// \file
/// Floor 2. The bodies of `shard` that make room in its table; included by detail/shard.hpp.

#include <kcache/detail/shard.hpp>

namespace kcache::detail {

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::prepare(bool new_slot, bool expires) {
  if (old_tables_) [[unlikely]] free_old_tables();
  if (new_slot && free_ == no_slot && unused_ == table().slots() && unused_ < most_slots()) {
    grow();
  }
  if (expires) expiry_.reserve(table().slots());
}

template <class Key, class Value, class Policies>
slot shard<Key, Value, Policies>::most_slots() const noexcept {
  std::uint64_t most = no_slot / 2;
  if constexpr (requires { queue_type::max_slots; }) {
    most = min_of<std::uint64_t>(most, queue_type::max_slots);
  } else if constexpr (requires { eviction_type::max_slots; }) {
    most = min_of<std::uint64_t>(most, eviction_type::max_slots);
  }
  return static_cast<slot>(min_of(most, share_));
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::grow() {
  table_type& old = table();
  // The last step goes to what is needed exactly, and a step before it that would nearly do, too.
  std::uint64_t const most = most_slots();
  std::uint64_t const twice = std::uint64_t{2} * old.slots();
  auto const slots = static_cast<slot>(twice + twice / 4 >= most ? most : twice);
  if constexpr (requires { queue_.reserve(std::size_t{}); }) {
    // A table that was cleared may have been larger.
    queue_.reserve(max_of(slots, reserved_));
    reserved_ = max_of(slots, reserved_);
  }
  table_type& bigger = *table_type::make(slots);

  writing const w{*this};
  for (slot s = 0; s != unused_; ++s) {
    bigger[s].copy(old[s]);
    if constexpr (!plan::hook_inside) bigger.first_apart()[s] = hook_at(s);
    if (old[s].resident()) bigger.insert(hash_at(s), s);
  }
  use(bigger);
  give_up(old);
}

/// What a queue keeps beside its entries may depend on the share. Without memory the next growth
/// asks for it.
template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::reserve_again() noexcept {
  if constexpr (requires { queue_.reserve(std::size_t{}); }) {
    try {
      queue_.reserve(reserved_);
    } catch (std::bad_alloc const&) {
    }
  }
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::use(table_type& t) noexcept {
  table_.store(&t, std::memory_order_release);
  slots_ = t.first_slot();
  if constexpr (!plan::hook_inside) hooks_ = t.first_apart();
}

/// To be freed when no reader is in it any more.
template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::give_up(table_type& t) noexcept {
  t.linked = old_tables_;
  t.stamp = rounds::stamp();
  old_tables_ = &t;
  rounds::advance();
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::free_old_tables() noexcept {
  if (!rounds::over(old_tables_->stamp)) rounds::advance();
  // The first of the list went last.
  if (!rounds::over(old_tables_->stamp)) return;
  while (table_type* t = old_tables_) {
    old_tables_ = t->linked;
    table_type::destroy(t);
  }
}

}  // namespace kcache::detail

#endif
