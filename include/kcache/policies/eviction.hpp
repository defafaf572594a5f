// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_EVICTION_HPP
#define KCACHE_POLICIES_EVICTION_HPP
/// \file
/// Floor 1. The eviction policy: which entry goes when a shard is full.
///
/// A policy `E` nests a hook, which every entry carries as a base class, and a queue of entries,
/// of which each shard has one. `Node` stands for the entry, `n` for one of them.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `E::hook` | | default constructible; the policy's own fields in each entry, to be reached as `hook& h = n`, as the entry has members of its own |
/// | `E::template queue<Node>` | | `Node` derives from `E::hook`; incomplete when this is named |
/// | `queue<Node> q{capacity}` | | `capacity`: the shard's share (`std::uint64_t`); may throw |
/// | `q.insert(n)` | | `n` joins; it is in no queue |
/// | `q.touch(n)` | | `n`, which is in `q`, was read |
/// | `q.erase(n)` | | `n`, which is in `q`, leaves, for whatever reason |
/// | `q.victim()` | `Node*` | whom to evict next; null only if `q` is empty. The cache erases it at once |
/// | `n.hash()`, `n.weight()` | `std::uint64_t` | what the policy may ask of an entry, const |
///
/// Every call is made under the shard's lock, so a queue needs none of its own; it must not call
/// the cache. `insert`, `touch`, `erase` and `victim` are `noexcept`: whatever a queue must
/// allocate it allocates when it is made. They should take O(1), amortised. A queue stays where it
/// was made and does not outlive its nodes; nodes may leave it only by `erase`. Expired entries go
/// without the queue being asked. Replacing a value inserts the new entry and erases the old one.
///
/// Models, cheapest first: `fifo`, `lru` (the default). `testing/eviction_laws.hpp` checks yours:
///
///     kcache::testing::check_eviction_laws<my_policy>(
///         [](bool kept, char const* law) { if (!kept) std::puts(law); });

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace kcache {

namespace detail {

/// The least that a queue may expect of its nodes.
template <class Hook>
struct eviction_node : Hook {
  [[nodiscard]] std::uint64_t hash() const noexcept;
  [[nodiscard]] std::uint64_t weight() const noexcept;
};

template <class Queue, class Node>
concept eviction_queue =
    std::constructible_from<Queue, std::uint64_t> && requires(Queue& q, Node& n) {
      { q.insert(n) } noexcept -> std::same_as<void>;
      { q.touch(n) } noexcept -> std::same_as<void>;
      { q.erase(n) } noexcept -> std::same_as<void>;
      { q.victim() } noexcept -> std::same_as<Node*>;
    };

}  // namespace detail

template <class E>
concept eviction =
    std::is_class_v<typename E::hook> && std::default_initializable<typename E::hook> &&
    detail::eviction_queue<
        typename E::template queue<detail::eviction_node<typename E::hook>>,
        detail::eviction_node<typename E::hook>>;

}  // namespace kcache

#endif
