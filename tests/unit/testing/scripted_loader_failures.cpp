// SPDX-License-Identifier: BSL-1.0
// Whichever allocation fails, a scripted load is answered, and is over.
#include <kcache/testing/scripted_loader.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstddef>
#include <new>
#include <string>

using namespace std::chrono_literals;
using kcache::load_completion;
using kcache::testing::manual_executor;

TEST_CASE("a scripted load is answered and counted whichever allocation fails") {
  std::string const key = "a key so long that it is not kept in place";
  auto const takes = GENERATE(0s, 1s);
  bool const blocks = GENERATE(false, true);
  bool const late = GENERATE(false, true);
  for (std::size_t n = 1;; ++n) {
    manual_executor const work;
    kcache::testing::scripted_loader<std::string, std::string> load{work};
    load.answers(key, "a value so long that it is not kept in place").takes(takes).reads_late(late);
    if (blocks) load.blocks(key);
    int answers = 0;
    bool happened = false;
    {
      test::failing_allocation const nth{n};
      try {
        load(key, {}, load_completion<std::string>{[&](auto const&) { ++answers; }});
      } catch (std::bad_alloc const&) {
      }
      happened = nth.happened();
    }
    load.release(key);
    work.run_for(1s);
    CAPTURE(n, blocks, late);
    REQUIRE(answers == 1);
    REQUIRE(load.running() == 0);
    REQUIRE(load.running(key) == 0);
    REQUIRE(work.pending() == 0);
    if (!happened) break;
  }
}
