// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_LEFT_CELLS_HPP
#define KCACHE_TESTS_SUPPORT_LEFT_CELLS_HPP
/// \file
/// Cells that left a shard, and threads that still look at them.

#include <kcache/detail/cell_node.hpp>
#include <kcache/detail/reader.hpp>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace test {

using left_node = kcache::detail::cell_node<std::string, std::string, false>;
using left_cell = left_node::cell_type;

/// A cell as it is after it left its shard: pinned, without shares.
inline left_cell& left(std::string_view value) {
  left_cell& c = *left_node::make(std::string_view{"key"}, value, true, kcache::never);
  left_node::heap::release(c);
  left_node::heap::release(c);
  return c;
}

/// How a thread keeps what it reads: in a section, or held beyond it, as a visitor has it.
enum class keeping { in_section, held };

/// Reads `c` in another thread, from `open` on until `close`.
class reading {
 public:
  explicit reading(left_cell& c, keeping how = keeping::in_section) : thread_{[this, &c, how] {
    kcache::detail::reader& r = *kcache::detail::this_reader();
    std::optional<kcache::detail::read_section> in{std::in_place, r};
    if (how == keeping::held) {
      if (!r.hold(&c)) std::abort();
      in.reset();
    }
    std::string_view const seen{c.bytes(), c.size()};
    char const first = seen[0];
    open_ = true;
    while (!close_) {
      std::this_thread::yield();
      // Sanitizers tell if it is gone; what was made in its place may tell, too.
      if (seen.find_first_not_of(first) != seen.npos) changed_ = true;
    }
    if (how == keeping::held) r.let_go();
  }} {
    while (!open_) std::this_thread::yield();
  }
  reading(reading const&) = delete;
  reading& operator=(reading const&) = delete;
  ~reading() { close(); }
  void close() {
    close_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] bool changed() const { return changed_; }

 private:
  std::atomic<bool> open_{false};
  std::atomic<bool> close_{false};
  std::atomic<bool> changed_{false};
  std::thread thread_;
};

}  // namespace test

#endif
