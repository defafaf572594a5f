// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/load_gate.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using kcache::detail::gate_answer;
using item = std::unique_ptr<int>;
using gate = kcache::detail::load_gate<item>;

namespace {

gate_answer enter(gate& g, int n) {
  auto i = std::make_unique<int>(n);
  auto const answer = g.enter(i);
  CHECK((i == nullptr) == (answer == gate_answer::wait));
  return answer;
}
/// Who has the place now; 0 for nobody.
int leave(gate& g) {
  auto const next = g.leave();
  return next ? **next : 0;
}

}  // namespace

TEST_CASE("so many at once, so many more in the order in which they came") {
  gate g{2, 3};
  CHECK(enter(g, 1) == gate_answer::run);
  CHECK(enter(g, 2) == gate_answer::run);
  CHECK(enter(g, 3) == gate_answer::wait);
  CHECK(enter(g, 4) == gate_answer::wait);
  CHECK(g.waiting() == 2);
  CHECK(enter(g, 5) == gate_answer::wait);
  CHECK(enter(g, 6) == gate_answer::refused);
  CHECK(leave(g) == 3);
  CHECK(g.waiting() == 2);
  CHECK(enter(g, 7) == gate_answer::wait);  // the place is that of 3
  CHECK(leave(g) == 4);
  CHECK(leave(g) == 5);
  CHECK(leave(g) == 7);
  CHECK(leave(g) == 0);
  CHECK(enter(g, 8) == gate_answer::run);
  CHECK(leave(g) == 0);
  CHECK(leave(g) == 0);
  CHECK(g.waiting() == 0);
}

TEST_CASE("without a queue who finds no place is refused") {
  gate g{1, 0};
  CHECK(enter(g, 1) == gate_answer::run);
  CHECK(enter(g, 2) == gate_answer::refused);
  CHECK(leave(g) == 0);
  CHECK(enter(g, 3) == gate_answer::run);
}

TEST_CASE("who enters anyway takes a place, and nobody else has one before there are few enough") {
  gate g{1, 10};
  CHECK(enter(g, 1) == gate_answer::run);
  g.enter_anyway();
  g.enter_anyway();
  CHECK(enter(g, 2) == gate_answer::wait);
  CHECK(leave(g) == 0);
  CHECK(leave(g) == 0);
  CHECK(leave(g) == 2);
  CHECK(leave(g) == 0);
  g.enter_anyway();
  CHECK(enter(g, 3) == gate_answer::wait);
  CHECK(leave(g) == 3);
}

TEST_CASE("clearing forgets who waits, places are given back as before") {
  gate g{1, 10};
  CHECK(enter(g, 1) == gate_answer::run);
  CHECK(enter(g, 2) == gate_answer::wait);
  CHECK(enter(g, 3) == gate_answer::wait);
  g.clear();
  CHECK(g.waiting() == 0);
  CHECK(leave(g) == 0);
  CHECK(enter(g, 4) == gate_answer::run);
}

TEST_CASE("no more are inside than the limit, from several threads", "[concurrent]") {
  constexpr int places = 3, threads = 4, each = 2'000;
  kcache::detail::load_gate<int> g{places, 1'000'000};
  std::atomic<int> inside{0}, most{0}, served{0};
  auto const work = [&] {
    int const now = ++inside;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    ++served;
    --inside;
  };
  std::vector<std::thread> all;
  for (int t = 0; t != threads; ++t)
    all.emplace_back([&] {
      for (int i = 0; i != each; ++i) {
        int n = 1;
        if (g.enter(n) != gate_answer::run) continue;
        work();
        while (g.leave()) work();
      }
    });
  for (auto& t : all) t.join();
  CHECK(served == threads * each);
  CHECK(most <= places);
  CHECK(g.waiting() == 0);
}
