// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_SHARD_HPP
#define KCACHE_IMPL_SHARD_HPP
/// \file
/// Floor 2. The bodies of `shard` that change it. Beside it: those that read (shard_reading.hpp),
/// that clear it (shard_clearing.hpp), that make room (shard_growth.hpp), and that tell facts
/// (shard_facts.hpp).

#include <kcache/detail/shard.hpp>

namespace kcache::detail {

template <class Key, class Value, class Policies>
shard<Key, Value, Policies>::shard(std::uint64_t share, std::uint64_t heaviest, duration idle,
                                   hash_type const& hash, listener_type const& listener,
                                   stats_type& stats)
    : table_{nullptr},
      share_{share},
      stats_{stats},
      queue_{entries{this}, share},
      heaviest_{heaviest},
      hash_{hash},
      listener_{listener},
      idle_{idle} {
  slot const slots = min_of(least_slots, most_slots());
  if constexpr (requires { queue_.reserve(std::size_t{}); }) queue_.reserve(slots);
  if constexpr (requires { retired_.reserve(); }) retired_.reserve();
  reserved_ = slots;
  use(*table_type::make(slots));
}

template <class Key, class Value, class Policies>
shard<Key, Value, Policies>::~shard() {
  release_cells(table(), 0, unused_);
  while (table_type* t = cleared_) {
    cleared_ = t->linked;
    for (slot s = t->next_cleared; t->left != 0; ++s) {
      if (!(*t)[s].resident()) continue;
      release_cells(*t, s, s + 1);
      --t->left;
    }
    table_type::destroy(t);
  }
  while (table_type* t = old_tables_) {
    old_tables_ = t->linked;
    table_type::destroy(t);
  }
  table_type::destroy(&table());
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::release_cells(table_type& t, slot first, slot last) noexcept {
  if constexpr (!plan::inline_pairs) {
    for (slot s = first; s != last; ++s) {
      if (!t[s].resident()) continue;
      auto& c = t[s].get();
      node::destroy_key(c);
      if constexpr (plan::lock_free) node::heap::unpin(c);
      node::heap::release(c);
    }
  } else {
    static_cast<void>(t), static_cast<void>(first), static_cast<void>(last);
  }
}

template <class Key, class Value, class Policies>
template <class Guard>
bool shard<Key, Value, Policies>::put(fresh_type const& fresh, key_view key,
                                      facts_type const& facts, time_point now, Guard& guard,
                                      removed_type& removed) {
  spin_guard const lock{lock_};
  slot old = find(key, facts.hash);
  prepare(old == no_slot, facts.expires_at != never || plan::idle);
  auto const present = [&]() -> slot_type const* {
    return old != no_slot && expiry_at(old) > now ? &at(old) : nullptr;
  };
  if (!guard(present)) return false;

  writing const w{*this};
  if (cleared_) [[unlikely]] take_cleared(cleared_at_once, removed, cleared_looked_at);
  if (replaces_only(old, facts, now)) {
    set_value(old, fresh, removed);
    set_facts(old, facts, now);
    return true;
  }
  tell();
  bool const lives = facts.expires_at > now;
  bool const fits = facts.weight <= heaviest_;
  if (old != no_slot) {
    auto const cause = cause_of(old, now, removal_cause::replaced);
    if (cause == removal_cause::expired || !lives || !fits) {
      take_out(old, cause, removed);
      old = no_slot;
    }
  }
  if (!lives) return false;
  if (!fits) {
    stats_.on_refusal();
    return false;
  }
  if constexpr (requires { queue_.missed(facts.hash); }) {
    if (old == no_slot) queue_.missed(facts.hash);
  }
  if (expiry_.due(now) != expiry_blocks::none) take_expired(now, removed);
  if (old != no_slot) {
    replace(old, fresh, facts, now, removed);
    return true;
  }
  while (room() < facts.weight) make_way(now, removed);
  while (free_ == no_slot && unused_ == table().slots()) make_way_among_live(now, removed);
  insert(fresh, facts, now);
  return true;
}

template <class Key, class Value, class Policies>
template <class Guard>
bool shard<Key, Value, Policies>::erase(key_view key, std::uint64_t hash, time_point now,
                                        Guard& guard, removed_type& removed) {
  spin_guard const lock{lock_};
  slot const s = find(key, hash);
  if (s == no_slot || !guard()) return false;
  tell();
  writing const w{*this};
  auto const cause = cause_of(s, now, removal_cause::erased);
  take_out(s, cause, removed);
  return cause == removal_cause::erased;
}

template <class Key, class Value, class Policies>
std::size_t shard<Key, Value, Policies>::remove_expired(time_point now, std::size_t most,
                                                        removed_type& removed) noexcept {
  spin_guard const lock{lock_};
  tell();
  writing const w{*this};
  std::size_t total = 0;
  while (total < most) {
    std::size_t const n = take_expired(now, removed);
    if (n == 0) break;
    total += n;
  }
  return total;
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::set_share(std::uint64_t share, std::uint64_t heaviest,
                                            time_point now, removed_type& removed) noexcept {
  spin_guard const lock{lock_};
  tell();
  writing const w{*this};
  bool const grows = share > std::exchange(share_, share);
  heaviest_ = heaviest;
  if constexpr (requires { queue_.resize(share); }) queue_.resize(share);
  if (grows) reserve_again();
  while (weight_ + cleared_weight_ > share_) make_way(now, removed);
}

// What may throw.

template <class Key, class Value, class Policies>
slot shard<Key, Value, Policies>::find(key_view key, std::uint64_t hash) const {
  slot found = no_slot;
  table().find(hash, [&](slot s) {
    if (!at(s).resident() || !(at(s).key() == key)) return false;
    found = s;
    return true;
  });
  return found;
}

// What may not.

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::tell() noexcept {
  if constexpr (noted) {
    rings_.tell([this](slot s) {
      // A reader may have left its note in a larger table, which was cleared.
      if (s < unused_ && at(s).resident()) queue_.touch(s);
    });
  }
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::touch(slot s) noexcept {
  if constexpr (touched) queue_.touch(s);
  if constexpr (marked) eviction_type::mark(hook_at(s));
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::insert(fresh_type const& fresh, facts_type const& facts,
                                         time_point now) noexcept {
  slot const s = free_ != no_slot ? free_ : unused_;
  slot_type& e = at(s);
  if (s == free_) {
    free_ = e.next_free();
  } else {
    ++unused_;
  }
  hook_at(s) = {};
  if constexpr (plan::inline_pairs) {
    e.set(fresh);
  } else {
    e.set(*fresh);
    cell_bytes_ += node::bytes(*fresh);
  }
  set_facts(s, facts, now);
  table().insert(facts.hash, s);
  queue_.insert(s);
  ++size_;
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::replace(slot s, fresh_type const& fresh,
                                          facts_type const& facts, time_point now,
                                          removed_type& removed) noexcept {
  bool stays = false;
  weight_ -= weight_at(s);
  while (cleared_ && room() < facts.weight) take_cleared(1, removed);
  if constexpr (has_replaced) stays = room() >= facts.weight;
  if (!stays) queue_.erase(s);
  while (room() < facts.weight) make_way_among_live(now, removed);
  set_value(s, fresh, removed);
  set_facts(s, facts, now);
  if constexpr (has_replaced) {
    if (stays) return queue_.replaced(s);
  }
  queue_.insert(s);
}

/// True if `s` takes a new value and nothing else changes: then it is noted as a read, so that the
/// notes before it need not be told now. `s` is noted if so.
template <class Key, class Value, class Policies>
bool shard<Key, Value, Policies>::replaces_only(slot s, facts_type const& facts,
                                                time_point now) noexcept {
  if constexpr (noted && has_replaced && !plan::weighed) {
    if (s == no_slot || facts.expires_at <= now || expiry_at(s) <= now) return false;
    if (expiry_.due(now) != expiry_blocks::none) return false;
    reader const* const r = this_reader();
    if (!r || !rings_.note(s, r->number)) return false;
    weight_ -= facts.weight;  // set_facts adds it
    return true;
  } else {
    return static_cast<void>(s), static_cast<void>(facts), static_cast<void>(now), false;
  }
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::set_value(slot s, fresh_type const& fresh,
                                            removed_type& removed) noexcept {
  stats_.on_removal(removal_cause::replaced);
  if constexpr (plan::inline_pairs) {
    at(s).set_value(fresh);
  } else {
    // Readers see the old cell or the new one, never none.
    auto& old = at(s).get();
    std::size_t const bytes = node::bytes(old);
    cell_bytes_ += node::bytes(*fresh) - bytes;
    at(s).set(*fresh);
    dismiss(old, bytes, removal_cause::replaced, removed);
  }
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::set_facts(slot s, facts_type const& facts,
                                            time_point now) noexcept {
  slot_type& e = at(s);
  if constexpr (plan::weighed) e.weight.value = facts.weight;
  if constexpr (plan::keeps_hash) e.hash.value = facts.hash;
  if constexpr (plan::idle) {
    e.idle_until.value.store(after(now, idle_).time_since_epoch().count(),
                             std::memory_order_release);
  }
  if constexpr (plan::dated && plan::inline_pairs) e.dates.value.store(facts.dates.value);
  weight_ += facts.weight;
  if (time_point const t = expiry_at(s); t != never) expiry_.note(s, t);
}

template <class Key, class Value, class Policies>
std::size_t shard<Key, Value, Policies>::take_expired(time_point now,
                                                      removed_type& removed) noexcept {
  for (;;) {
    std::uint32_t const block = expiry_.due(now);
    if (block == expiry_blocks::none) return 0;
    std::size_t taken = 0;
    time_point bound = never;
    slot const first = block * expiry_blocks::block_slots;
    for (slot s = first; s != min_of(unused_, first + expiry_blocks::block_slots); ++s) {
      if (!at(s).resident()) continue;
      time_point const t = expiry_at(s);
      if (t > now) {
        bound = min_of(bound, t);
        continue;
      }
      take_out(s, removal_cause::expired, removed);
      ++taken;
    }
    expiry_.settle(block, bound);
    if (taken != 0) return taken;
  }
}

/// What was cleared goes first.
template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::make_way(time_point now, removed_type& removed) noexcept {
  if (cleared_) [[unlikely]] {
    take_cleared(1, removed);
  } else {
    make_way_among_live(now, removed);
  }
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::make_way_among_live(time_point now,
                                                      removed_type& removed) noexcept {
  if (expiry_.due(now) != expiry_blocks::none && take_expired(now, removed) != 0) return;
  slot const victim = queue_.evict();
  KCACHE_ASSERT(victim != no_slot);
  drop(victim, removal_cause::size, removed);
  if constexpr (!plan::inline_pairs && requires { queue_.soon(); }) {
    if (slot const next = queue_.soon(); next != no_slot) __builtin_prefetch(&at(next).get());
  }
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::take_out(slot s, removal_cause cause,
                                           removed_type& removed) noexcept {
  queue_.erase(s);
  drop(s, cause, removed);
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::drop(slot s, removal_cause cause,
                                       removed_type& removed) noexcept {
  slot_type& e = at(s);
  table().erase(hash_at(s), s);
  stats_.on_removal(cause);
  weight_ -= weight_at(s);
  --size_;
  if constexpr (!plan::inline_pairs) {
    auto& c = e.get();
    std::size_t const bytes = node::bytes(c);
    cell_bytes_ -= bytes;
    e.set_free(free_);
    dismiss(c, bytes, cause, removed);
  } else {
    e.set_free(free_);
  }
  free_ = s;
}

/// A cell that is in no slot any more.
template <class Key, class Value, class Policies>
template <class Cell>
void shard<Key, Value, Policies>::dismiss(Cell& c, std::size_t bytes, removal_cause cause,
                                          removed_type& removed) noexcept {
  static_cast<void>(cause);
  if constexpr (!plan::lock_free) {
    static_cast<void>(bytes);
    if constexpr (plan::linked) {
      removed.add(c, cause);
    } else if (c.count().release()) {
      removed.add(c);
    }
  } else if constexpr (plan::linked) {
    // Pinned still, so its memory outlives the share that goes next.
    removed.add(c, cause);
    retired_.add(c, bytes);
  } else {
    retired_.add(c, bytes, [&removed](Cell& gone) noexcept { removed.add(gone); });
  }
}

}  // namespace kcache::detail

#endif
