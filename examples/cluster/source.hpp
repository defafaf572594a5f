// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_EXAMPLES_CLUSTER_SOURCE_HPP
#define KCACHE_EXAMPLES_CLUSTER_SOURCE_HPP
/// \file
/// The slow source behind the cache: a table `scores` in an SQLite database.

#include <kcache/loader.hpp>
#include <kcache/result.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace demo {

/// Tom 630, Jack 589, Sam 567, and player000000 to player099999, of whom player number i has
/// i * 7919 % 1000.
///
/// Thread safe: every look-up has a read-only connection to itself, taken from a pool.
class score_source {
 public:
  /// Opens the database; makes and fills it first if there is none, or an empty file. Several
  /// processes may do so at once: one of them works, the others wait for it.
  /// \throws std::runtime_error with a line for people.
  score_source(std::string path, std::chrono::milliseconds delay);
  ~score_source();

  /// The score of `name`, in decimal; `not_found`, or `loader_failed` with the database's words.
  /// Takes the delay first, which ends early when nobody waits or the source is stopped.
  [[nodiscard]] kcache::result<std::string> load(std::string const& name,
                                                 kcache::load_context const& context);

  /// Ends delays; look-ups fail from then on. One that waits for a lock ends within 0.8 s.
  void stop();

 private:
  struct connection;
  using owned = std::unique_ptr<connection>;

  [[nodiscard]] bool wait_for_source(kcache::load_context const& context);
  [[nodiscard]] owned borrow();
  void give_back(owned c);

  std::string const path_;
  std::chrono::milliseconds const delay_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stopped_ = false;
  std::vector<owned> idle_;
};

}  // namespace demo

#endif
