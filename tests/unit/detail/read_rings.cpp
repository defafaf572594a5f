// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/read_rings.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

using kcache::slot;
using kcache::detail::read_rings;
using test::handover;

namespace {

std::vector<slot> told(read_rings& r) {
  std::vector<slot> all;
  r.tell([&](slot s) { all.push_back(s); });
  return all;
}

std::vector<slot> const none;

/// The slots by their last notes, latest first.
std::vector<slot> recency(std::vector<slot> const& notes) {
  std::vector<slot> order;
  for (std::size_t i = notes.size(); i-- != 0;) {
    if (std::find(order.begin(), order.end(), notes[i]) == order.end()) order.push_back(notes[i]);
  }
  return order;
}

/// Free-running threads of these numbers note; another tells, under a lock as in a shard. Every
/// note is its own slot. Returns what was told.
struct free_run {
  std::vector<std::vector<std::uint32_t>> by_thread;  // the n-th notes, in the order of telling
  std::uint64_t longest = 0;                          // notes of one telling
};

constexpr std::uint32_t numbers_each = 1U << 24U;

free_run run_freely(std::vector<std::uint32_t> const& numbers, std::uint32_t notes) {
  read_rings rings;
  std::mutex lock;
  free_run out;
  out.by_thread.resize(numbers.size());
  auto const tell = [&] {
    std::lock_guard const held{lock};
    std::uint64_t length = 0;
    rings.tell([&](slot s) {
      // What is told without end must not fill the memory.
      if (++length <= read_rings::rings * read_rings::length) {
        out.by_thread.at(s / numbers_each).push_back(s % numbers_each);
      }
    });
    out.longest = std::max(out.longest, length);
  };
  std::atomic<std::size_t> done{0};
  test::in_parallel(numbers.size() + 1, [&](std::size_t id) {
    if (id == numbers.size()) {
      while (done.load() != numbers.size()) tell();
      tell();
      return;
    }
    for (std::uint32_t n = 0; n != notes; ++n) {
      auto const s = static_cast<slot>(id * numbers_each + n);
      while (!rings.note(s, numbers[id])) tell();
    }
    ++done;
  });
  return out;
}

}  // namespace

TEST_CASE("notes of one thread are told in order, once", "[read_rings]") {
  read_rings r;
  CHECK(told(r) == none);
  for (std::uint32_t const thread : {0U, 3U, 5U}) {
    for (slot const s : {7U, 1U, 9U, 7U}) CHECK(r.note(s, thread));
    CHECK(told(r) == std::vector<slot>{7, 1, 9, 7});
    CHECK(told(r) == none);
  }
}

TEST_CASE("a note that repeats all last ones may be left out, and no other", "[read_rings]") {
  // What counts is the order of the last notes of each slot, before each telling: by three threads,
  // one of them under a number that shares a ring, for every order of twelve notes of few slots.
  for (std::uint32_t pattern = 0; pattern != 20'000; ++pattern) {
    read_rings r;
    std::vector<slot> noted;
    std::vector<slot> all;
    std::uint64_t x = (pattern + 1) * 0x9e3779b97f4a7c15U;
    for (int i = 0; i != 12; ++i, x = x * 6364136223846793005U + 1442695040888963407U) {
      auto const s = static_cast<slot>((x >> 40U) % 3);
      auto const thread = static_cast<std::uint32_t>((x >> 50U) % 3 * 2);
      REQUIRE(r.note(s, thread));
      noted.push_back(s);
      if ((x >> 60U) == 0) {
        all = told(r);
        REQUIRE(recency(all) == recency(noted));
        noted.clear();
      }
    }
    all = told(r);
    REQUIRE(recency(all) == recency(noted));
  }
}

TEST_CASE("a full ring takes no note until it was told", "[read_rings]") {
  read_rings r;
  std::vector<slot> noted;
  for (slot s = 0; s != read_rings::length; ++s) {
    REQUIRE(r.note(s, 1));
    noted.push_back(s);
  }
  CHECK_FALSE(r.note(99, 1));
  CHECK_FALSE(r.note(99, 1 + read_rings::rings));
  CHECK(r.note(1000, 2));  // another ring has room, and this note is the later one
  noted.push_back(1000);
  CHECK_FALSE(r.note(99, 1));
  CHECK(told(r) == noted);
  // Many times around.
  for (slot s = 0; s != 10 * read_rings::length; ++s) {
    REQUIRE(r.note(s, 1));
    if (s % 29 == 28) CHECK(told(r).size() == 29);
  }
}

TEST_CASE("one thread that notes under several numbers is told in its order", "[read_rings]") {
  // Every pattern of four notes by four numbers, after every history of who was alone.
  for (unsigned pattern = 0; pattern != 256; ++pattern) {
    read_rings r;
    for (unsigned history = 0; history != 5; ++history) {
      if (history != 0) {
        REQUIRE(r.note(50, history - 1));
        REQUIRE(told(r).size() == 1);
      }
      for (unsigned i = 0; i != 4; ++i) REQUIRE(r.note(i, (pattern >> (2 * i)) % 4));
      REQUIRE(told(r) == std::vector<slot>{0, 1, 2, 3});
    }
  }
}

TEST_CASE("threads that take turns are told in the order of their turns",
          "[read_rings][concurrent]") {
  auto const by = GENERATE(handover::atomic, handover::mutex, handover::semaphore);
  // Numbers of which some share a ring; and how many notes a turn makes.
  using list = std::vector<std::uint32_t>;
  auto const numbers =
      GENERATE(list{0, 1}, list{3, 0}, list{1, 5}, list{0, 1, 2}, list{0, 1, 4, 2, 3});
  auto const at_once = GENERATE(1U, 3U);
  CAPTURE(static_cast<int>(by), numbers.size(), at_once);
  std::uint64_t const count = test::effort(by == handover::semaphore ? 1'000 : 3'000, 100'000);

  read_rings r;
  std::vector<slot> all;
  std::vector<slot> expected;
  test::in_turns(
      by, numbers.size(), count,
      // Not in a circle: some go twice in a row, and now and then one is alone for a while.
      [&](std::uint64_t turn) {
        auto const x = turn * 0x9e3779b97f4a7c15U >> 40U;
        return turn / 64 % 4 == 3 ? turn / 256 % numbers.size() : x % numbers.size();
      },
      [&](std::size_t me, std::uint64_t turn) {
        for (std::uint32_t i = 0; i != at_once; ++i) {
          auto const s = static_cast<slot>(turn * at_once + i);
          if (!r.note(s, numbers[me])) {
            r.tell([&](slot t) { all.push_back(t); });
            if (!r.note(s, numbers[me])) all.push_back(kcache::no_slot);
          }
          expected.push_back(s);
        }
        // Writers tell between reads; not after every one, so that rings fill up together.
        if (turn % 23 == 22) r.tell([&](slot t) { all.push_back(t); });
      });
  r.tell([&](slot t) { all.push_back(t); });
  REQUIRE(all.size() == expected.size());
  std::size_t misplaced = 0;
  for (std::size_t i = 0; i != all.size(); ++i) {
    if (all[i] != expected[i]) ++misplaced;
  }
  CHECK(misplaced == 0);
}

TEST_CASE("threads with rings of their own lose no note and keep their order",
          "[read_rings][concurrent]") {
  auto const notes = static_cast<std::uint32_t>(test::effort(30'000, 3'000'000));
  for (std::vector<std::uint32_t> const& numbers :
       {std::vector<std::uint32_t>{0, 1}, {2, 5, 0}, {0, 1, 2, 3}}) {
    auto const run = run_freely(numbers, notes);
    CHECK(run.longest <= read_rings::rings * read_rings::length);
    for (auto const& mine : run.by_thread) {
      REQUIRE(mine.size() == notes);
      bool in_order = true;
      for (std::uint32_t n = 0; n != notes; ++n) in_order = in_order && mine[n] == n;
      CHECK(in_order);
    }
  }
}

TEST_CASE("threads that share a ring may lose notes, but none is invented or told twice",
          "[read_rings][concurrent]") {
  // More threads than processors: some are kept from running in the middle of a note, while others
  // note and tell.
  auto const notes = static_cast<std::uint32_t>(test::effort(100'000, 3'000'000));
  for (std::vector<std::uint32_t> const& numbers :
       {std::vector<std::uint32_t>{0, 4, 8, 12}, {1, 5, 2, 6, 9}}) {
    auto const run = run_freely(numbers, notes);
    CHECK(run.longest <= read_rings::rings * read_rings::length);
    std::uint64_t total = 0;
    for (auto const& mine : run.by_thread) {
      std::vector<bool> seen(notes);
      bool right = true;
      for (std::uint32_t const n : mine) {
        right = right && n < notes && !seen[n];
        if (n < notes) seen[n] = true;
      }
      CHECK(right);
      total += mine.size();
    }
    // Not that everything was lost.
    CHECK(total > notes / 10);
  }
}
