// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_GROUP_HANDLE_HPP
#define KCACHE_GROUP_HANDLE_HPP
/// \file
/// Floor 3. `group_handle`: a value that a group answers with, and how fresh it was.

#include <kcache/config.hpp>
#include <kcache/handle.hpp>
#include <kcache/time.hpp>

#include <utility>

namespace kcache {

/// A `handle` that also says what a reader may want to know of its answer. Both are of the instant
/// of the answer, as the Age of HTTP is, and do not change while the handle lives. `expires_at` is
/// when the value stops being served even under the group's grace, where it has one.
template <class Value>
class group_handle : public handle<Value> {
 public:
  group_handle() noexcept = default;
  /// A value that was just made.
  group_handle(handle<Value> h) noexcept : handle<Value>{std::move(h)} {}
  KCACHE_INLINE group_handle(handle<Value>&& h, duration age, bool stale) noexcept
      : handle<Value>{std::move(h)}, age_{age}, stale_{stale} {}

  /// How long before the answer the value was written to the cache; zero for one that was loaded
  /// for this answer. Of one that came from another node: zero.
  [[nodiscard]] duration age() const noexcept {
    return age_ < duration::zero() ? duration::zero() : age_;  // written after the clock was read
  }
  /// True if its time to live was over, and it was served under a grace of the group's options
  /// (`stale_while_revalidate`, `stale_if_error`). Of one that came from another node: false,
  /// though its owner may have served it stale.
  [[nodiscard]] bool is_stale() const noexcept { return stale_; }

 private:
  duration age_{};
  bool stale_ = false;
};

}  // namespace kcache

#endif
