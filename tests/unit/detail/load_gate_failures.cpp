// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/load_gate.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <memory>
#include <new>

using kcache::detail::gate_answer;
using gate = kcache::detail::load_gate<std::unique_ptr<int>>;

TEST_CASE("entering without memory changes nothing") {
  gate g{1, 100};
  auto first = std::make_unique<int>(1);
  CHECK(g.enter(first) == gate_answer::run);
  std::size_t queued = 0, failures = 0;
  for (int n = 2; n != 40; ++n) {
    auto i = std::make_unique<int>(n);
    auto answer = gate_answer::refused;
    bool thrown = false;
    {
      test::failing_allocation const next{1};
      try {
        answer = g.enter(i);
      } catch (std::bad_alloc const&) {
        thrown = true;
      }
    }
    if (thrown) {
      ++failures;
      CHECK(g.waiting() == queued);
      REQUIRE(i);
      CHECK(*i == n);
      answer = g.enter(i);
    }
    CHECK(answer == gate_answer::wait);
    CHECK(g.waiting() == ++queued);
  }
  CHECK(failures > 0);
  for (int n = 2; n != 40; ++n) CHECK(**g.leave() == n);
}
