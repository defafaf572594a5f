// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_WAIT_GRAPH_HPP
#define KCACHE_DETAIL_WAIT_GRAPH_HPP
/// \file
/// Floor 3. Who waits for whom among loads: finds the cycle before it becomes a hang.
///
/// A load that asks for another key waits for that key's flight. If the chain of such waits comes
/// back to where it began, nobody would ever answer. A look at the thread's own stack finds the
/// load that asks for its own key, but not two loads on two threads that ask for each other's, nor
/// chains through several groups; a graph does. Edges exist only for waits that begin inside a
/// load, so that ordinary gets never come here; one mutex for the process is therefore enough, and
/// only a load that waits pays for more than a pointer.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace kcache::detail {

/// Something that waits or is waited for: a flight. Must outlive its edges.
class load_node {
 public:
  load_node() = default;
  load_node(load_node const&) = delete;
  load_node& operator=(load_node const&) = delete;

 protected:
  ~load_node() = default;

 private:
  friend class wait_graph;
  struct waits {
    std::vector<load_node*> waits_for;
    std::uint64_t seen_by = 0;  // the last walk that came here
    load_node* next_to_see = nullptr;
  };
  std::unique_ptr<waits> waits_;  // made by the first wait, and kept
};

class wait_graph {
 public:
  /// Notes that `from` waits for `to`; false, and nothing noted, if `to` already waits for `from`,
  /// directly or through others. O(edges reachable). May throw `bad_alloc`, noting nothing.
  [[nodiscard]] static bool connect(load_node& from, load_node& to) {
    std::lock_guard lock{mutex_};
    if (reaches(to, from)) return false;
    if (!from.waits_) from.waits_ = std::make_unique<load_node::waits>();
    from.waits_->waits_for.push_back(&to);
    return true;
  }

  /// Takes one such note back.
  static void disconnect(load_node& from, load_node& to) noexcept {
    std::lock_guard lock{mutex_};
    auto& edges = from.waits_->waits_for;
    auto const at = std::find(edges.begin(), edges.end(), &to);
    if (at == edges.end()) return;
    *at = edges.back();
    edges.pop_back();
  }

 private:
  // Sees each node once, however many paths lead there, and keeps what is left to see in the nodes
  // themselves: no recursion, no memory. Who waits for nobody is the end of a path.
  static bool reaches(load_node& from, load_node const& goal) noexcept {
    if (&from == &goal) return true;
    if (!from.waits_) return false;
    std::uint64_t const walk = ++walks_;
    from.waits_->seen_by = walk;
    from.waits_->next_to_see = nullptr;
    for (load_node* left = &from; left;) {
      load_node::waits const& n = *left->waits_;
      left = n.next_to_see;
      for (load_node* next : n.waits_for) {
        if (next == &goal) return true;
        if (next->waits_ && std::exchange(next->waits_->seen_by, walk) != walk)
          next->waits_->next_to_see = std::exchange(left, next);
      }
    }
    return false;
  }

  static inline std::mutex mutex_;
  static inline std::uint64_t walks_ = 0;
};

}  // namespace kcache::detail

#endif
