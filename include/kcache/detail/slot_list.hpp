// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SLOT_LIST_HPP
#define KCACHE_DETAIL_SLOT_LIST_HPP
/// \file
/// Floor 1. A doubly linked list of slots, whose links live in the policy's hooks.

#include <kcache/policies/eviction.hpp>

#include <cassert>
#include <cstdint>

namespace kcache::detail {

/// The links of a slot: to its neighbours on the way to the front and to the back.
struct slot_links {
  slot newer = no_slot;
  slot older = no_slot;
};

/// A slot below 2^24 - 1, or `no_slot`, in three bytes that need no alignment: for hooks that keep
/// two links and what else they need in 8 bytes.
class short_slot {
 public:
  /// Slots are numbered below this.
  static constexpr slot limit = 0xffffff;

  constexpr short_slot() noexcept = default;
  short_slot& operator=(slot s) noexcept {
    assert(s < limit || s == no_slot);
    low_ = static_cast<std::uint8_t>(s);
    middle_ = static_cast<std::uint8_t>(s >> 8U);
    high_ = static_cast<std::uint8_t>(s >> 16U);
    return *this;
  }
  // NOLINTNEXTLINE(google-explicit-constructor): it is a slot, stored
  [[nodiscard]] constexpr operator slot() const noexcept {
    slot const s = low_ | static_cast<slot>(middle_) << 8U | static_cast<slot>(high_) << 16U;
    return s == limit ? no_slot : s;
  }

 private:
  std::uint8_t low_ = 0xff;
  std::uint8_t middle_ = 0xff;
  std::uint8_t high_ = 0xff;
};

/// Both links and the mark of readers, in 8 bytes.
struct marked_links {
  slot newer = no_slot;
  short_slot older;
  read_mark reads;
};
static_assert(sizeof(marked_links) == 8);

/// What is at the front came last. `links(s)` yields a reference to what holds the links of a
/// slot, as `newer` and `older`; every call takes it, so that a list is two words. All are O(1).
class slot_list {
 public:
  [[nodiscard]] bool empty() const noexcept { return front_ == no_slot; }
  [[nodiscard]] slot front() const noexcept { return front_; }
  [[nodiscard]] slot back() const noexcept { return back_; }

  template <class Links>
  void push_front(slot s, Links const& links) noexcept {
    auto& l = links(s);
    l.newer = no_slot;
    l.older = front_;
    if (front_ == no_slot) back_ = s;
    else links(front_).newer = s;
    front_ = s;
  }
  template <class Links>
  void erase(slot s, Links const& links) noexcept {
    auto const& l = links(s);
    slot const newer = l.newer;
    slot const older = l.older;
    if (newer == no_slot) front_ = older;
    else links(newer).older = older;
    if (older == no_slot) back_ = newer;
    else links(older).newer = newer;
  }
  template <class Links>
  void move_to_front(slot s, Links const& links) noexcept {
    if (s == front_) return;
    // It has a newer neighbour.
    auto& l = links(s);
    slot const newer = l.newer;
    slot const older = l.older;
    l.newer = no_slot;
    l.older = front_;
    links(newer).older = older;
    if (older == no_slot) back_ = newer;
    else links(older).newer = newer;
    links(front_).newer = s;
    front_ = s;
  }

 private:
  slot front_ = no_slot;
  slot back_ = no_slot;
};

}  // namespace kcache::detail

#endif
