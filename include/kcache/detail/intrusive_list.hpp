// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_INTRUSIVE_LIST_HPP
#define KCACHE_DETAIL_INTRUSIVE_LIST_HPP
/// \file
/// Floor 1. A doubly linked list through its nodes' own hooks; every operation is O(1).

namespace kcache::detail {

struct list_hook {
  list_hook* previous = nullptr;
  list_hook* next = nullptr;
};

/// `Node` derives from `list_hook`. The list owns nothing and never moves.
template <class Node>
class intrusive_list {
 public:
  intrusive_list() noexcept { head_.previous = head_.next = &head_; }
  intrusive_list(intrusive_list const&) = delete;
  intrusive_list& operator=(intrusive_list const&) = delete;

  [[nodiscard]] bool empty() const noexcept { return head_.next == &head_; }
  /// The first node; null if there is none.
  [[nodiscard]] Node* front() noexcept { return empty() ? nullptr : node(head_.next); }
  /// The last node; null if there is none.
  [[nodiscard]] Node* back() noexcept { return empty() ? nullptr : node(head_.previous); }

  void push_front(Node& n) noexcept {
    list_hook& h = n;
    h.previous = &head_;
    h.next = head_.next;
    h.next->previous = &h;
    head_.next = &h;
  }
  void erase(Node& n) noexcept {
    list_hook& h = n;
    h.previous->next = h.next;
    h.next->previous = h.previous;
    h.previous = h.next = nullptr;
  }
  void move_to_front(Node& n) noexcept {
    erase(n);
    push_front(n);
  }

 private:
  static Node* node(list_hook* h) noexcept { return static_cast<Node*>(h); }

  list_hook head_;
};

}  // namespace kcache::detail

#endif
