// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_SHARD_READING_HPP
#define KCACHE_IMPL_SHARD_READING_HPP
/// \file
/// Floor 2. The bodies of `shard` that read; included by detail/shard.hpp.
///
/// # Short and long
/// How many reads a processor has under way at once, and so how much of the memory's slowness it
/// hides, is how many of them fit into its window of some hundred instructions. So the way of
/// nearly all reads is expanded where they are called and kept as short as it can be: it looks in
/// the key's home group, and at nothing that it does not need. Whatever else may happen (a writer
/// came between, the key lies further on, the entry has expired, notes must be told first) ends it,
/// and the read is begun anew in a function of its own. Nothing of the short way's is passed there
/// by address, which would have the compiler keep it in memory.

#include <kcache/detail/shard.hpp>

namespace kcache::detail {

template <class Key, class Value, class Policies>
template <bool Trace, bool Dated, class Clock, class Then>
auto shard<Key, Value, Policies>::find_pair(Key const& key, std::uint64_t hash,
                                            Clock const& clock, stats_type& stats,
                                            Then const& then) {
  if (reader* const r = own_reader) [[likely]] {
    pair_found<Dated> found;
    sight const seen = look_at_pairs<Trace, Dated, true>(*r, key, hash, clock, stats, found);
    if (seen <= sight::miss) [[likely]] {
      if constexpr (Trace) count(stats, *r, hash, seen);
      found.hit = seen == sight::hit;
      return then(found);
    }
  }
  if constexpr (std::is_integral_v<Key> || std::is_enum_v<Key>) {
    Key const copy{key};  // so that `key` may stay in a register until here
    pair_found<Dated> const found = find_pair_again<Trace, Dated>(copy, hash, clock, stats);
    return then(found);
  } else {
    pair_found<Dated> const found = find_pair_again<Trace, Dated>(key, hash, clock, stats);
    return then(found);
  }
}

template <class Key, class Value, class Policies>
template <bool Trace, bool Dated, class Clock>
auto shard<Key, Value, Policies>::find_pair_again(Key const& key, std::uint64_t hash,
                                                  Clock const& clock, stats_type& stats)
    -> pair_found<Dated> {
  pair_found<Dated> found;
  sight seen = sight::disturbed;
  if (reader* const r = this_reader()) {
    for (int i = 0; i != tries && seen == sight::disturbed; ++i) {
      if (i != 0) pause();
      seen = look_at_pairs<Trace, Dated, false>(*r, key, hash, clock, stats, found);
    }
  }
  if (seen > sight::miss) {
    time_point const now = clock.now();
    seen = read_locked(Trace, key, hash, now, [&found, now](slot_type const& e) {
      static_cast<void>(now);
      found.value = e.value_copy();
      found.expires_at = e.expires_at();
      if constexpr (Dated) found.moment.value = {e.dates.value.load(), now};
      return true;
    });
  }
  if constexpr (Trace) count(stats, hash, seen);
  found.hit = seen == sight::hit;
  return found;
}

template <class Key, class Value, class Policies>
template <bool Trace, bool Dated, class Clock, class Take, class Then>
auto shard<Key, Value, Policies>::read_cell(key_view key, std::uint64_t hash, Clock const& clock,
                                            stats_type& stats, Take take, Then const& then) {
  if constexpr (plan::lock_free) {
    if (reader* const r = own_reader) [[likely]] {
      cell_found<Dated> found;
      sight const seen =
          look_at_cells<Trace, Dated, true>(*r, key, hash, clock, stats, take, found);
      if (seen <= sight::miss) [[likely]] {
        if constexpr (Trace) count(stats, *r, hash, seen);
        found.seen = seen;
        return then(found);
      }
    }
  }
  cell_found<Dated> const found =
      read_cell_again<Trace, Dated>(key, hash, clock, stats, take);
  return then(found);
}

template <class Key, class Value, class Policies>
template <bool Trace, bool Dated, class Clock, class Take>
auto shard<Key, Value, Policies>::read_cell_again(key_view key, std::uint64_t hash,
                                                  Clock const& clock, stats_type& stats,
                                                  Take take) -> cell_found<Dated> {
  cell_found<Dated> found;
  sight seen = sight::disturbed;
  if constexpr (plan::lock_free) {
    if (reader* const r = this_reader()) {
      for (int i = 0; i != tries && seen == sight::disturbed; ++i) {
        if (i != 0) pause();
        seen = look_at_cells<Trace, Dated, false>(*r, key, hash, clock, stats, take, found);
      }
    }
  }
  if (seen > sight::miss) {
    time_point const now = clock.now();
    seen = read_locked(Trace, key, hash, now, [&found, take, now](slot_type const& e) {
      static_cast<void>(now);
      found.at = &e.get();
      if constexpr (Dated) found.moment.value = {node::dates(*found.at), now};
      return take(*found.at);
    });
  }
  if constexpr (Trace) count(stats, hash, seen);
  found.seen = seen;
  return found;
}

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::note_later(slot s, std::uint32_t thread) noexcept {
  spin_guard const lock{lock_};
  tell();
  if constexpr (noted) {
    rings_.set_teller(thread);
    static_cast<void>(rings_.note(s, thread));
  }
}

template <class Key, class Value, class Policies>
template <bool Trace, bool Dated, bool Home, class Clock>
sight shard<Key, Value, Policies>::look_at_pairs(reader& r, Key const& key, std::uint64_t hash,
                                                 Clock const& clock, stats_type const& stats,
                                                 pair_found<Dated>& found) {
  slot at = no_slot;
  bool noted_down = true;
  {
    read_section const in = section(r, stats);
    std::uint64_t const before = sequence_.load(std::memory_order_acquire);
    table_type& t = *table_.load(std::memory_order_acquire);
    if (before % 2 != 0) return sight::disturbed;
    search const end = search_in<Home>(t, hash, [&](slot s) {
      slot_type& e = t[s];
      auto const words = e.key_copy();
      if constexpr (std::is_integral_v<Key> || std::is_enum_v<Key>) {
        if (words != slot_type::key_words::words_of(key)) return false;
      } else {
        // The user's == must not see a key that is half another's.
        if (sequence_.load(std::memory_order_relaxed) != before) return true;
        if (!(slot_type::key_words::object(words) == key)) return false;
      }
      found.value = e.value_copy();
      found.expires_at = e.expires_at();
      if constexpr (Dated) found.moment.value.dates = e.dates.value.load();
      at = s;
      return true;
    });
    if (sequence_.load(std::memory_order_relaxed) != before) return sight::disturbed;
    if (end != search::found) return end == search::absent ? sight::miss : sight::disturbed;
    sight const seen = judge<Trace, Dated>(t[at], found.expires_at, clock, found.moment);
    if constexpr (plan::idle) {
      // The slot's next entry has a later deadline.
      if (sequence_.load(std::memory_order_relaxed) != before) return sight::disturbed;
    }
    if (seen != sight::hit) return seen;
    noted_down = leave_trace<Trace>(t, at, r);
  }
  if (!noted_down) [[unlikely]] note_later(at, r.number);
  return sight::hit;
}

template <class Key, class Value, class Policies>
template <bool Trace, bool Dated, bool Home, class Clock, class Take>
sight shard<Key, Value, Policies>::look_at_cells(reader& r, key_view key, std::uint64_t hash,
                                                 Clock const& clock, stats_type const& stats,
                                                 Take take, cell_found<Dated>& found) {
  slot at = no_slot;
  bool noted_down = true;
  {
    read_section const in = section(r, stats);
    std::uint64_t const before = sequence_.load(std::memory_order_acquire);
    table_type& t = *table_.load(std::memory_order_acquire);
    search const end = search_in<Home>(t, hash, [&](slot s) {
      cell<Value>* const here = t[s].look();
      if (!here || !node::has_key(*here, key)) return false;
      found.at = here;
      at = s;
      return true;
    });
    if (end != search::found) {
      bool const still = sequence_.load(std::memory_order_relaxed) == before;
      return end == search::absent && still && before % 2 == 0 ? sight::miss : sight::disturbed;
    }
    if constexpr (Dated) found.moment.value.dates = node::dates(*found.at);
    sight const seen = judge<Trace, Dated>(t[at], found.at->expires_at(), clock, found.moment);
    if constexpr (plan::idle) {
      // The slot's next entry has a later deadline; in an outgrown table deadlines move no more.
      if (t[at].look() != found.at || table_.load(std::memory_order_relaxed) != &t) {
        return sight::lock;
      }
    }
    if (seen != sight::hit) return seen;
    if (!take(*found.at)) return sight::lock;
    noted_down = leave_trace<Trace>(t, at, r);
  }
  if (!noted_down) [[unlikely]] note_later(at, r.number);
  return sight::hit;
}

template <class Key, class Value, class Policies>
template <bool Home, class Look>
search shard<Key, Value, Policies>::search_in(table_type& t, std::uint64_t hash,
                                              Look const& look) {
  if constexpr (Home) {
    return t.find_at_home(hash, look);
  } else {
    return t.find(hash, look) ? search::found : search::absent;
  }
}

/// False if there is no room for a note.
template <class Key, class Value, class Policies>
template <bool Trace>
bool shard<Key, Value, Policies>::leave_trace(table_type& t, slot s, reader const& r) noexcept {
  static_cast<void>(t), static_cast<void>(s), static_cast<void>(r);
  if constexpr (Trace && marked) eviction_type::mark(t[s].hook.value);
  if constexpr (Trace && noted) {
    return rings_.note(s, r.number);
  } else {
    return true;
  }
}

/// Live and, if it leaves a trace, with nothing to be written to it.
template <class Key, class Value, class Policies>
template <bool Trace, bool Dated, class Clock>
sight shard<Key, Value, Policies>::judge(slot_type const& e, time_point expires_at,
                                         Clock const& clock,
                                         moment_field<Dated>& moment) const noexcept {
  constexpr auto expired = Trace ? sight::lock : sight::miss;
  if constexpr (plan::idle) {
    time_point const now = clock.now();
    if constexpr (Dated) moment.value.now = now;
    time_point const idle{duration{e.idle_until.value.load(std::memory_order_acquire)}};
    if (expires_at <= now || idle <= now) return expired;
    return Trace && after(now, idle_) > idle ? sight::lock : sight::hit;
  } else if constexpr (Dated) {
    static_cast<void>(e);
    moment.value.now = clock.now();
    return expires_at > moment.value.now ? sight::hit : expired;
  } else {
    static_cast<void>(e), static_cast<void>(moment);
    return expires_at == never || expires_at > clock.now() ? sight::hit : expired;
  }
}

template <class Key, class Value, class Policies>
template <class Take>
sight shard<Key, Value, Policies>::read_locked(bool trace, key_view key, std::uint64_t hash,
                                               time_point now, Take take) {
  removed_type removed{listener_};
  spin_guard const lock{lock_};
  slot const s = find(key, hash);
  if (s == no_slot) return sight::miss;
  if (expiry_at(s) <= now) {
    if (!trace) return sight::miss;
    tell();
    writing const w{*this};
    take_out(s, removal_cause::expired, removed);
    return sight::miss;
  }
  if (!take(at(s))) return sight::lock;
  if (!trace) return sight::hit;
  tell();
  touch(s);
  if constexpr (plan::idle) {
    at(s).idle_until.value.store(after(now, idle_).time_since_epoch().count(),
                                 std::memory_order_release);
  }
  return sight::hit;
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
