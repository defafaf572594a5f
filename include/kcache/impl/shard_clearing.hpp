// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_SHARD_CLEARING_HPP
#define KCACHE_IMPL_SHARD_CLEARING_HPP
/// \file
/// Floor 2. The bodies of `shard` that clear it, and that take out what was cleared; included by
/// detail/shard.hpp.

#include <kcache/detail/shard.hpp>

namespace kcache::detail {

template <class Key, class Value, class Policies>
void shard<Key, Value, Policies>::clear(time_point now, removed_type& removed) noexcept {
  spin_guard const lock{lock_};
  tell();
  if (size_ == 0) return;
  table_type* const fresh = unused_ <= few_slots ? nullptr : make_fresh();
  if (!fresh) {
    writing const w{*this};
    for (slot s = 0; s != unused_; ++s) {
      if (at(s).resident()) take_out(s, cause_of(s, now, removal_cause::erased), removed);
    }
    return;
  }
  if constexpr (has_clear) {
    queue_.clear();
  } else {
    for (slot s = 0; s != unused_; ++s) {
      if (at(s).resident()) queue_.erase(s);
    }
  }
  table_type& old = table();
  old.left = size_;
  old.cleared_at = now;
  (cleared_ ? last_cleared_->linked : cleared_) = &old;
  last_cleared_ = &old;

  writing const w{*this};
  cleared_weight_ += std::exchange(weight_, 0);
  size_ = 0;
  free_ = no_slot;
  unused_ = 0;
  expiry_ = {};
  use(*fresh);
}

/// Null if there is no memory: then the entries are taken out one by one, for which none is needed.
template <class Key, class Value, class Policies>
auto shard<Key, Value, Policies>::make_fresh() const noexcept -> table_type* {
  try {
    return table_type::make(min_of(least_slots, most_slots()));
  } catch (std::bad_alloc const&) {
    return nullptr;
  }
}

template <class Key, class Value, class Policies>
std::size_t shard<Key, Value, Policies>::remove_cleared(std::size_t most,
                                                        removed_type& removed) noexcept {
  spin_guard const lock{lock_};
  std::size_t const taken = take_cleared(most, removed);
  if (old_tables_) free_old_tables();
  return taken;
}

/// Where there are so many; nothing else is looked at or changed that a reader might see.
template <class Key, class Value, class Policies>
std::size_t shard<Key, Value, Policies>::take_cleared(std::size_t most, removed_type& removed,
                                                      std::size_t most_looks) noexcept {
  std::size_t taken = 0;
  for (std::size_t looks = 0; cleared_ && taken != most && looks != most_looks; ++looks) {
    table_type& t = *cleared_;
    slot_type const& e = t[t.next_cleared++];
    if (!e.resident()) continue;
    ++taken;
    auto const cause =
        expiry_of(e) <= t.cleared_at ? removal_cause::expired : removal_cause::erased;
    stats_.on_removal(cause);
    cleared_weight_ -= weight_of(e);
    if constexpr (!plan::inline_pairs) {
      auto& c = e.get();
      std::size_t const bytes = node::bytes(c);
      cell_bytes_ -= bytes;
      dismiss(c, bytes, cause, removed);
    }
    if (--t.left != 0) continue;
    cleared_ = t.linked;
    give_up(t);
  }
  return taken;
}

}  // namespace kcache::detail

#endif
