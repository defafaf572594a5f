// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_FAULTS_HPP
#define KCACHE_POLICIES_FAULTS_HPP
/// \file
/// Floor 1. The faults policy: which of a group's guards are left out, so that a test can show that
/// it would notice.
///
/// A test that finds no fault says little until it finds the faults that are put there. So each
/// guard against a race can be taken away at compile time, and the exploration of schedules
/// (tests/unit/group_exploration.cpp) must then fail:
///
///     struct forgetful : kcache::no_faults { static constexpr bool store_unchecked = true; };
///     struct mutant : my_policies { using faults = forgetful; };
///
/// For tests only; without faults nothing of this is compiled.

#include <concepts>

namespace kcache {

/// The default: every guard stands.
struct no_faults {
  /// A load's value is stored though its key was invalidated, put or cleared since it began.
  static constexpr bool store_unchecked = false;
  /// A get that begins after an invalidation joins the load that began before it.
  static constexpr bool join_detached = false;
  /// Who leads a load does not look at the cache once more.
  static constexpr bool no_second_look = false;
  /// As `store_unchecked`, of values that were loaded ahead of expiry.
  static constexpr bool refresh_unchecked = false;
};

template <class F>
concept faults = std::derived_from<F, no_faults>;

}  // namespace kcache

#endif
