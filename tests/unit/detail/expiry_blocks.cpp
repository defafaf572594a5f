// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/expiry_blocks.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

using namespace std::chrono_literals;
using kcache::never;
using kcache::seeded_random;
using kcache::time_point;
using kcache::detail::expiry_blocks;

namespace {

/// What a shard does with them: slots that hold entries, and when each expires.
class shard_of_slots {
 public:
  explicit shard_of_slots(std::size_t slots) { grow(slots); }

  void grow(std::size_t slots) {
    expires_.resize(slots);
    blocks_.reserve(slots);
  }
  void put(std::uint32_t slot, time_point at) {
    erase(slot);
    expires_[slot] = at;
    order_.emplace(at, slot);
    if (at != never) blocks_.note(slot, at);
  }
  void erase(std::uint32_t slot) {
    if (!expires_[slot]) return;
    auto [at, end] = order_.equal_range(*expires_[slot]);
    while (at->second != slot) ++at;
    order_.erase(at);
    expires_[slot].reset();
  }
  /// As the shard does it: until a block yields something. The number of blocks looked at.
  std::size_t take_some(time_point now) {
    std::size_t looks = 0;
    for (std::size_t taken = 0; taken == 0; ++looks) {
      std::uint32_t const block = blocks_.due(now);
      if (block == expiry_blocks::none) {
        // Nothing may be overlooked.
        if (!order_.empty() && order_.begin()->first <= now) FAIL("an expired slot was missed");
        return looks;
      }
      time_point bound = never;
      std::uint32_t const first = block * expiry_blocks::block_slots;
      for (std::uint32_t s = first; s != first + expiry_blocks::block_slots; ++s) {
        if (s >= expires_.size() || !expires_[s]) continue;
        if (*expires_[s] <= now) {
          erase(s);
          ++taken;
        } else if (*expires_[s] < bound) {
          bound = *expires_[s];
        }
      }
      blocks_.settle(block, bound);
    }
    return looks;
  }
  [[nodiscard]] std::optional<time_point> earliest() const {
    return order_.empty() ? std::nullopt : std::optional{order_.begin()->first};
  }
  [[nodiscard]] std::size_t expired(time_point now) const {
    std::size_t n = 0;
    for (auto at = order_.begin(); at != order_.end() && at->first <= now; ++at) ++n;
    return n;
  }
  [[nodiscard]] expiry_blocks const& blocks() const { return blocks_; }

 private:
  expiry_blocks blocks_;
  std::vector<std::optional<time_point>> expires_;
  std::multimap<time_point, std::uint32_t> order_;
};

time_point at(std::int64_t n) { return time_point{1ns * n}; }

}  // namespace

TEST_CASE("nothing is due of nothing", "[expiry_blocks]") {
  expiry_blocks b;
  time_point const last = never - 1ns;
  CHECK(b.due(last) == expiry_blocks::none);
  CHECK(b.bytes() == 0);
  b.reserve(0);
  CHECK(b.due(last) == expiry_blocks::none);
  b.reserve(100);
  CHECK(b.due(last) == expiry_blocks::none);
}

TEST_CASE("a slot is due to the nanosecond", "[expiry_blocks]") {
  expiry_blocks b;
  b.reserve(40);
  b.note(17, at(100));
  CHECK(b.due(at(99)) == expiry_blocks::none);
  CHECK(b.due(at(100)) == 1);
  b.note(39, at(50));
  CHECK(b.due(at(99)) == 2);
  b.note(39, at(70));  // lives longer: the bound stays, and is merely early
  CHECK(b.due(at(50)) == 2);
  b.settle(2, at(70));
  CHECK(b.due(at(69)) == expiry_blocks::none);
  CHECK(b.due(at(70)) == 2);
  b.settle(2, never);
  CHECK(b.due(at(99)) == expiry_blocks::none);
  CHECK(b.due(at(100)) == 1);
}

TEST_CASE("a random run beside a multimap misses nothing", "[expiry_blocks]") {
  for (std::uint64_t seed = 0; seed != 40; ++seed) {
    INFO("seed " << seed);
    seeded_random r{seed};
    std::size_t slots = 1 + r.next() % 20;
    shard_of_slots shard{slots};
    std::int64_t now = 0;
    std::uint64_t const longest = 1 + r.next() % 400;
    for (int step = 0; step != 3000; ++step) {
      auto const slot = static_cast<std::uint32_t>(r.next() % slots);
      switch (r.next() % 8) {
        case 0: case 1: case 2:
          shard.put(slot, at(now + 1 + static_cast<std::int64_t>(r.next() % longest)));
          break;
        case 3:
          shard.put(slot, never);
          break;
        case 4:
          shard.erase(slot);
          break;
        case 5: case 6:
          now += static_cast<std::int64_t>(r.next() % 20);
          break;
        default:
          if (slots < 700 && r.next() % 16 == 0) shard.grow(slots *= 2);
      }
      // Stale bounds are only ever early: whatever has expired is due.
      if (shard.expired(at(now)) != 0) REQUIRE(shard.blocks().due(at(now)) != expiry_blocks::none);
      if (step % 3 == 0) shard.take_some(at(now));
      if (step % 50 == 0) {
        while (shard.expired(at(now)) != 0) shard.take_some(at(now));
      }
    }
  }
}

TEST_CASE("looks are paid for by writes", "[expiry_blocks]") {
  // Every entry is written anew before it expires: bounds go stale as fast as they can.
  constexpr std::uint32_t slots = 1600;
  shard_of_slots shard{slots};
  std::size_t looks = 0;
  std::size_t writes = 0;
  for (std::int64_t now = 0; now != 400; ++now) {
    for (int n = 0; n != 160; ++n, ++writes) {
      shard.put(static_cast<std::uint32_t>(writes % slots), at(now + 100));
    }
    looks += shard.take_some(at(now));
    CHECK(shard.expired(at(now)) == 0);
  }
  CHECK(looks <= 2 * writes / expiry_blocks::block_slots);
}

TEST_CASE("reserve never forgets", "[expiry_blocks]") {
  expiry_blocks b;
  b.reserve(16);
  b.note(3, at(10));
  b.reserve(1000);
  b.reserve(20);  // less than there is
  CHECK(b.due(at(9)) == expiry_blocks::none);
  CHECK(b.due(at(10)) == 0);
  b.note(999, at(5));
  CHECK(b.due(at(5)) == 62);
  CHECK(b.bytes() >= 63 * (sizeof(time_point) + 2 * sizeof(std::uint32_t)));
  CHECK(b.bytes() <= 2 * 63 * (sizeof(time_point) + 2 * sizeof(std::uint32_t)));
}
