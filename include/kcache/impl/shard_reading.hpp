// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_SHARD_READING_HPP
#define KCACHE_IMPL_SHARD_READING_HPP
/// \file
/// Floor 2. The bodies of `shard` that read; included by detail/shard.hpp.

#include <kcache/detail/shard.hpp>

namespace kcache::detail {

template <class Key, class Value, class Policies>
template <bool Trace, class Clock, class Take>
bool shard<Key, Value, Policies>::read(key_view key, std::uint64_t hash, Clock const& clock,
                                       removed_type& removed, Take const& take) {
  if constexpr (plan::lock_free) {
    if (reader* const r = this_reader()) [[likely]] {
      sight const seen = look<Trace>(*r, key, hash, clock, take);
      if (seen <= sight::miss) [[likely]] return seen == sight::hit;
      return read_again<Trace>(*r, seen, key, hash, clock, removed, take);
    }
  }
  return read_locked(Trace, key, hash, clock.now(), removed, take);
}

template <class Key, class Value, class Policies>
template <bool Trace, class Clock, class Take>
bool shard<Key, Value, Policies>::read_again(reader& r, sight seen, key_view key,
                                             std::uint64_t hash, Clock const& clock,
                                             removed_type& removed, Take const& take) {
  for (int i = 0; i != tries && seen == sight::disturbed; ++i) {
    pause();
    seen = look<Trace>(r, key, hash, clock, take);
  }
  if (seen <= sight::miss) return seen == sight::hit;
  return read_locked(Trace, key, hash, clock.now(), removed, take);
}

template <class Key, class Value, class Policies>
template <bool Trace, class Clock, class Take>
auto shard<Key, Value, Policies>::look(reader& r, key_view key, std::uint64_t hash,
                                       Clock const& clock, Take const& take) -> sight {
  slot found = no_slot;
  [[maybe_unused]] bool noted_down = true;
  sight seen;
  {
    read_section const in = section(r);
    std::uint64_t const before = sequence_.load(std::memory_order_acquire);
    table_type& t = *table_.load(std::memory_order_acquire);
    if constexpr (plan::inline_pairs) {
      seen = look_at_pairs(t, before, key, hash, clock, take, Trace, found);
    } else {
      seen = look_at_cells(t, before, key, hash, clock, take, Trace, found);
    }
    if constexpr (Trace && marked) {
      if (seen == sight::hit) eviction_type::mark(t[found].hook.value);
    }
    if constexpr (Trace && noted) {
      if (seen == sight::hit) noted_down = rings_.note(found, r.number);
    }
  }
  if constexpr (Trace && noted) {
    if (!noted_down) [[unlikely]] note_later(found, r);
  }
  return seen;
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::note_later(slot s, reader const& r) noexcept {
  spin_guard const lock{lock_};
  tell();
  if constexpr (noted) {
    rings_.set_teller(r.number);
    static_cast<void>(rings_.note(s, r.number));
  }
}

template <class Key, class Value, class Policies>
template <class Clock, class Take>
auto shard<Key, Value, Policies>::look_at_pairs(table_type& t, std::uint64_t before, key_view key,
                                                std::uint64_t hash, Clock const& clock,
                                                Take const& take, bool trace, slot& found) const
    -> sight {
  if (before % 2 != 0) return sight::disturbed;
  slot at = no_slot;
  typename slot_type::value_words::copy value;
  time_point expires_at;
  t.find(hash, [&](slot s) {
    slot_type& e = t[s];
    auto const words = e.key_copy();
    if constexpr (std::is_integral_v<Key> || std::is_enum_v<Key>) {
      if (words != slot_type::key_words::words_of(key)) return false;
    } else {
      // The user's == must not see a key that is half another's.
      if (sequence_.load(std::memory_order_relaxed) != before) return true;
      if (!(slot_type::key_words::object(words) == key)) return false;
    }
    value = e.value_copy();
    expires_at = e.expires_at();
    at = s;
    return true;
  });
  if (sequence_.load(std::memory_order_relaxed) != before) return sight::disturbed;
  if (at == no_slot) return sight::miss;
  sight const seen = judge(t[at], expires_at, clock, trace);
  if constexpr (plan::idle) {
    // The slot's next entry has a later deadline.
    if (sequence_.load(std::memory_order_relaxed) != before) return sight::disturbed;
  }
  found = at;
  if (seen == sight::hit) take(slot_type::value_words::object(value), expires_at);
  return seen;
}

template <class Key, class Value, class Policies>
template <class Clock, class Take>
auto shard<Key, Value, Policies>::look_at_cells(table_type& t, std::uint64_t before, key_view key,
                                                std::uint64_t hash, Clock const& clock,
                                                Take const& take, bool trace, slot& found) const
    -> sight {
  cell<Value>* seen_cell = nullptr;
  t.find(hash, [&](slot s) {
    auto* const c = t[s].look();
    if (!c || !(node::key(*c) == key)) return false;
    seen_cell = c;
    found = s;
    return true;
  });
  if (!seen_cell) {
    bool const still = sequence_.load(std::memory_order_relaxed) == before;
    return still && before % 2 == 0 ? sight::miss : sight::disturbed;
  }
  sight const seen = judge(t[found], seen_cell->expires_at(), clock, trace);
  if constexpr (plan::idle) {
    // The slot's next entry has a later deadline; in an outgrown table deadlines move no more.
    if (t[found].look() != seen_cell || table_.load(std::memory_order_relaxed) != &t) {
      return sight::lock;
    }
  }
  return seen != sight::hit || take(*seen_cell) ? seen : sight::lock;
}

template <class Key, class Value, class Policies>
template <class Clock>
auto shard<Key, Value, Policies>::judge(slot_type const& e, time_point expires_at,
                                        Clock const& clock, bool trace) const noexcept -> sight {
  auto const expired = trace ? sight::lock : sight::miss;
  if constexpr (plan::idle) {
    time_point const now = clock.now();
    time_point const idle{duration{e.idle_until.value.load(std::memory_order_acquire)}};
    if (expires_at <= now || idle <= now) return expired;
    return trace && after(now, idle_) > idle ? sight::lock : sight::hit;
  } else {
    static_cast<void>(e);
    return expires_at == never || expires_at > clock.now() ? sight::hit : expired;
  }
}

template <class Key, class Value, class Policies>
template <class Take>
bool shard<Key, Value, Policies>::read_locked(bool trace, key_view key, std::uint64_t hash,
                                              time_point now, removed_type& removed,
                                              Take const& take) {
  spin_guard const lock{lock_};
  slot const s = find(key, hash);
  if (s == no_slot) return false;
  if (expiry_at(s) <= now) {
    if (!trace) return false;
    tell();
    writing const w{*this};
    take_out(s, removal_cause::expired, removed);
    return false;
  }
  slot_type& e = at(s);
  if constexpr (plan::inline_pairs) {
    take(slot_type::value_words::object(e.value_copy()), e.expires_at());
  } else {
    static_cast<void>(take(e.get()));
  }
  if (!trace) return true;
  tell();
  touch(s);
  if constexpr (plan::idle) {
    e.idle_until.value.store(after(now, idle_).time_since_epoch().count(),
                             std::memory_order_release);
  }
  return true;
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::prefetch(std::uint64_t hash, int step) const noexcept {
  table_type& t = *table_.load(std::memory_order_acquire);
  if (step == 0) return t.prefetch(hash);
  t.find(hash, [&](slot s) {
    if (step == 1) {
      __builtin_prefetch(&t[s]);
    } else if constexpr (!plan::inline_pairs) {
      __builtin_prefetch(t[s].look());
    }
    return true;
  });
}

}  // namespace kcache::detail

#endif
