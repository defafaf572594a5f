// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/retired_cells.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/left_cells.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <thread>

using test::left;

TEST_CASE("without memory retired cells wait for readers instead", "[retired_cells_failures]") {
  kcache::detail::retired_cells<std::string> q;
  q.reserve();
  test::left_cell& seen = left(std::string(100, 'a'));
  std::optional<test::reading> r;
  r.emplace(seen);
  q.add(seen, test::left_node::bytes(seen));
  std::atomic<bool> waits{false};
  std::atomic<bool> failed{false};
  std::thread writer{[&] {
    for (int i = 0; !failed && i != 1000; ++i) {
      test::left_cell& c = left(std::string(100, 'b'));
      test::failing_allocation const first{1};
      waits = true;
      q.add(c, test::left_node::bytes(c));
      failed = first.happened();
    }
  }};
  while (!waits) std::this_thread::yield();
  for (int i = 0; i != 1000; ++i) std::this_thread::yield();
  CHECK_FALSE(failed);
  CHECK_FALSE(r->changed());
  r->close();
  writer.join();
  CHECK(failed);
  CHECK_FALSE(r->changed());
}
