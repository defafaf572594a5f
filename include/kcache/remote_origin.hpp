// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_REMOTE_ORIGIN_HPP
#define KCACHE_REMOTE_ORIGIN_HPP
/// \file
/// Floor 3. `remote_origin`: the seam through which a group reaches the owners of its keys, if it
/// has joined a cluster. A group knows nothing else of peers.

#include <kcache/detail/unique_function.hpp>
#include <kcache/loader.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <variant>

namespace kcache {

/// The owner cannot be reached: this node is to load the key itself, and keep it only briefly.
struct load_here {};

/// What came of asking the owner: its value with what is left of its life, its error, or nothing.
template <class V>
using fetch_outcome = std::variant<loaded<V>, error, load_here>;

/// The cluster's client half, as a group sees it. Thread safe.
template <class K, class V>
class remote_origin {
 public:
  using key_view = typename storage_traits<K>::view_type;

  remote_origin() = default;
  remote_origin(remote_origin const&) = delete;
  remote_origin& operator=(remote_origin const&) = delete;
  virtual ~remote_origin() = default;

  /// Whether this node owns the key by its own ring (also when the cluster is gone).
  [[nodiscard]] virtual bool owns(key_view key) = 0;

  /// Asks the owner. `done` is called exactly once, at the latest a little after `deadline` (of the
  /// executor's timeline), perhaps before `fetch` returns. If `fetch` throws, it was not called.
  virtual void fetch(K const& key, time_point deadline,
                     unique_function<void(fetch_outcome<V>)> done) = 0;

  /// The group is closing: it must not be served any more once this has returned.
  virtual void leave() noexcept = 0;
};

}  // namespace kcache

#endif
