// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/eviction_bench.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using kcache::slot;

namespace {

/// First in, first out; writes down what it is told.
std::string told;

struct scribe {
  struct hook {};
  static void mark(hook&) noexcept { told += "mark "; }
  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t capacity) : entries_{entries} {
      told = "made " + std::to_string(capacity) + ' ';
    }
    void insert(slot s) noexcept {
      tell("insert", s);
      tell("of", entries_.weight(s));
      in_.push_back(s);
    }
    void erase(slot s) noexcept {
      tell("erase", s);
      tell("of", entries_.weight(s));
      std::erase(in_, s);
    }
    slot evict() noexcept {
      if (in_.empty()) return kcache::no_slot;
      slot const victim = in_.front();
      in_.erase(in_.begin());
      tell("evict", victim);
      return victim;
    }
    void missed(std::uint64_t) noexcept { told += "missed "; }
    void reserve(std::size_t n) { tell("reserve", n); }
    void resize(std::uint64_t capacity) noexcept { tell("resize", capacity); }

   private:
    static void tell(char const* what, std::uint64_t n) {
      told += what;
      told += ' ' + std::to_string(n) + ' ';
    }
    Entries entries_;
    std::vector<slot> in_;
  };
};

struct polite : scribe {
  template <class Entries>
  struct queue : scribe::queue<Entries> {
    using scribe::queue<Entries>::queue;
    void replaced(slot s) noexcept { told += "replaced " + std::to_string(s) + ' '; }
    slot soon() noexcept { return (told += "soon ", kcache::no_slot); }
  };
};

/// Yields a slot that is not there.
struct liar : scribe {
  template <class Entries>
  struct queue : scribe::queue<Entries> {
    using scribe::queue<Entries>::queue;
    slot evict() noexcept { return 5; }
  };
};

template <class Bench>
std::string hears(Bench& bench, void (*call)(Bench&)) {
  told.clear();
  call(bench);
  return told;
}

}  // namespace

TEST_CASE("a bench tells a queue what a cache tells it", "[eviction_bench]") {
  using b = kcache::testing::eviction_bench<scribe>;
  b bench{2, 10};
  CHECK(told == "made 2 ");
  CHECK(hears<b>(bench, [](b& x) { CHECK_FALSE(x.access(7)); }) ==
        "missed reserve 1 insert 0 of 1 ");
  CHECK(hears<b>(bench, [](b& x) { CHECK_FALSE(x.access(3)); }) ==
        "missed reserve 3 insert 1 of 1 ");
  CHECK(hears<b>(bench, [](b& x) { CHECK(x.access(7)); }) == "mark ");
  CHECK(hears<b>(bench, [](b& x) { CHECK_FALSE(x.access(4)); }) == "missed evict 0 insert 0 of 1 ");
  CHECK_FALSE(bench.resident(7));
  CHECK(bench.size() == 2);
  CHECK(hears<b>(bench, [](b& x) { x.erase(7), x.erase(3); }) == "erase 1 of 1 ");
  CHECK(hears<b>(bench, [](b& x) { x.mark_late(); }) == "mark ");
  CHECK(hears<b>(bench, [](b& x) { x.miss(3); }) == "missed ");
  CHECK(hears<b>(bench, [](b& x) { x.put(4, 2); }) == "erase 0 of 1 insert 0 of 2 ");
  CHECK(hears<b>(bench, [](b& x) { x.put(4, 3), x.put(5, 3); }) == "missed ");
  CHECK(bench.weight() == 2);
  CHECK(hears<b>(bench, [](b& x) { x.resize(1); }) == "resize 1 evict 0 ");
  CHECK(hears<b>(bench, [](b& x) { x.reserve_again(); }) == "reserve 3 ");
  CHECK(bench.weight() == 0);
  CHECK(bench.evict() == b::none);
  CHECK_FALSE(bench.broken());
}

TEST_CASE("a bench tells of new values and asks for what comes soon", "[eviction_bench]") {
  using b = kcache::testing::eviction_bench<polite>;
  b bench{3, 10};
  bench.access(0), bench.access(1), bench.access(2);
  CHECK(hears<b>(bench, [](b& x) { x.put(2, 2); }) == "soon evict 0 replaced 2 ");
  // Where room can only be made of the entry itself, it is put anew.
  CHECK(hears<b>(bench, [](b& x) { x.put(1, 2); }) ==
        "soon evict 1 missed soon evict 2 insert 2 of 2 ");
  CHECK(bench.weight() == 2);
}

TEST_CASE("a bench sees a victim that is none", "[eviction_bench]") {
  kcache::testing::eviction_bench<liar> bench{1, 10};
  bench.access(0);
  CHECK_FALSE(bench.broken());
  CHECK(bench.evict() == bench.none);
  CHECK(bench.broken());
}

TEST_CASE("weights of a bench go round", "[eviction_bench]") {
  kcache::testing::eviction_bench<scribe> bench{100, 10, 4};
  for (std::size_t key = 0; key != 10; ++key) bench.access(key);
  CHECK(bench.weight() == 1 + 2 + 3 + 4 + 1 + 2 + 3 + 4 + 1 + 2);
}
