// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_EXPLANATION_HPP
#define KCACHE_EXPLANATION_HPP
/// \file
/// Floor 3. `explanation`: all that a group knows of one key.

#include <kcache/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace kcache {

/// For people at three in the morning; `text()` says it in a line. Looked up without a trace: no
/// count, no touch. A snapshot of several tables, not all of one instant.
struct explanation {
  bool cached = false;            ///< there is a value; perhaps a stale one
  bool stale = false;             ///< its time to live is over, it is kept under a grace
  duration age{};                 ///< of the value: since it was written
  std::optional<duration> lives;  ///< until it is stale; negative: since so long; nothing: for ever
  std::optional<duration> refresh_in;  ///< until a reader has it loaded anew, if any ever does
  /// How often it was hit, where the stats policy counts that (policies/stats.hpp).
  std::optional<std::uint64_t> hits;

  bool absent = false;  ///< it is remembered that the source has no such key, or failed
  std::string reason;   ///< why, in that case

  bool loading = false;      ///< a load is under way on this node
  bool queued = false;       ///< that load waits for its turn
  bool fetching = false;     ///< the owner is being asked
  std::size_t waiters = 0;   ///< how many wait for either
  std::size_t load_queue = 0;  ///< of the group: loads that wait for their turn

  [[nodiscard]] std::string text() const {
    std::string t = cached ? "cached, " + seconds(age) + " old" : "not cached";
    if (cached && !lives) t += ", lives until it is evicted";
    if (cached && lives && !stale) t += ", " + seconds(*lives) + " to live";
    if (stale) t += ", stale for " + seconds(-*lives);
    if (hits) t += ", hit " + std::to_string(*hits) + " times";
    if (absent) t += ", known absent (" + reason + ")";
    if (queued) t += ", its load waits with " + std::to_string(load_queue) + " in the queue";
    else if (loading) t += ", being loaded";
    if (fetching) t += ", its owner is being asked";
    if (waiters != 0) t += ", " + std::to_string(waiters) + " wait for it";
    return t;
  }

 private:
  /// A value may have been written after our look at the clock: that is not a negative age.
  static std::string seconds(duration d) {
    d = std::max(d, duration::zero());
    auto const ms = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
    std::string fraction = std::to_string(ms % 1000);
    fraction.insert(0, 3 - fraction.size(), '0');
    return std::to_string(ms / 1000) + "." + fraction + " s";
  }
};

}  // namespace kcache

#endif
