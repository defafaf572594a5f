// SPDX-License-Identifier: BSL-1.0
// `lru` is a textbook's LRU whenever calls do not overlap, whichever threads make them.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/lru_model.hpp"
#include "support/threads.hpp"

#include <kcache/policies/random.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

using kcache::removal_cause;
using kcache::seeded_random;
using test::handover;

namespace {

// Keys and values of any type, by number.
template <class T>
T make(int n) {
  if constexpr (std::is_same_v<T, std::string>) {
    return "number " + std::to_string(n);
  } else if constexpr (std::is_same_v<T, std::shared_ptr<int>>) {
    return std::make_shared<int>(n);
  } else {
    return n;
  }
}
int number(int n) { return n; }
int number(std::string_view s) { return std::stoi(std::string{s.substr(7)}); }
int number(std::shared_ptr<int> const& p) { return *p; }

/// A key that is compared by code of its own, so that the cache locks for a read.
struct boxed {
  std::vector<int> in;
  friend bool operator==(boxed const&, boxed const&) = default;
};
template <>
boxed make<boxed>(int n) {
  return {{n}};
}
int number(boxed const& b) { return b.in[0]; }
struct boxed_hash {
  std::uint64_t operator()(boxed const& b) const noexcept {
    return static_cast<std::uint64_t>(b.in[0]) * 0x9e3779b97f4a7c15U;
  }
};

struct removal {
  int key;
  removal_cause cause;
  friend bool operator==(removal const&, removal const&) = default;
};
/// Calls do not overlap, so neither do the listener's.
struct told {
  std::vector<removal>* to = nullptr;
  template <class Key, class Value>
  void operator()(Key const& k, Value const&, removal_cause cause) const {
    to->push_back({number(k), cause});
  }
};

struct plain : kcache::default_policies {};
struct listening : kcache::default_policies {
  using removal_listener = told;
};
struct of_boxes : kcache::default_policies {
  using hash = boxed_hash;
};
struct listening_to_boxes : of_boxes {
  using removal_listener = told;
};

template <class Key, class Value, class Policies>
struct kind {
  using key = Key;
  using value = Value;
  using policies = Policies;
  using cache = kcache::cache<Key, Value, Policies>;
  static constexpr bool listens = std::is_same_v<typename Policies::removal_listener, told>;
};

/// Random calls, each compared with the model. `wrong` counts what differs.
template <class Kind>
class compared {
 public:
  using key = typename Kind::key;
  using value = typename Kind::value;

  compared(std::size_t capacity, std::uint64_t seed)
      : capacity_{capacity}, random_{seed}, model_{capacity}, cache_{options()} {}

  void step() {
    auto const n = static_cast<int>(random_.next() % (capacity_ * 2));
    key const k = make<key>(n);
    std::vector<removal> expected;
    auto const evicted = [&](std::vector<int> const& keys) {
      for (int v : keys) expected.push_back({v, removal_cause::size});
    };
    removals_.clear();
    switch (random_.next() % 32) {
      case 0: case 1: case 2: case 3: case 4: case 5: case 6: case 7: {
        bool const there = model_.peek(n).has_value();
        evicted(model_.put(n, ++last_));
        if (there) expected.push_back({n, removal_cause::replaced});
        check(cache_.put(k, make<value>(last_)).stored);
        break;
      }
      case 8:
        check(!cache_.put_if(k, make<value>(0), [] { return false; }).stored);
        break;
      case 9: {
        bool const there = model_.erase(n);
        if (there) expected.push_back({n, removal_cause::erased});
        check(cache_.erase(k) == there);
        break;
      }
      case 10: same(cache_.peek(k), model_.peek(n)); break;
      case 11: check(cache_.contains(k) == model_.peek(n).has_value()); break;
      case 12: {
        std::optional<int> seen;
        cache_.visit(k, [&](auto const& v) { seen = number(v); });
        check(seen == model_.get(n));
        break;
      }
      case 13: {
        auto const seen = cache_.get_copy(k);
        auto const there = model_.get(n);
        check(seen.has_value() == there.has_value() && (!seen || number(*seen) == *there));
        break;
      }
      case 14: {
        std::vector<key> many;
        std::vector<int> numbers;
        for (int i = 0; i != 20; ++i) {
          numbers.push_back(static_cast<int>(random_.next() % (capacity_ * 2)));
          many.push_back(make<key>(numbers.back()));
        }
        auto const seen = cache_.get_many(many);
        for (std::size_t i = 0; i != many.size(); ++i) same(seen[i], model_.get(numbers[i]));
        break;
      }
      case 15:
        if (random_.next() % 64 == 0) {
          model_.clear();
          cache_.clear();
          check(cache_.size() == 0);
          cache_.remove_expired();
          return;  // told of now, in any order
        } else if (random_.next() % 8 == 0) {
          std::size_t const c = 1 + random_.next() % (2 * capacity_);
          evicted(model_.set_capacity(c));
          cache_.set_capacity(c);
        }
        break;
      default: same(cache_.get(k), model_.get(n)); break;
    }
    if constexpr (Kind::listens) check(removals_ == expected);
    check(cache_.size() == model_.size());
  }
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

 private:
  void check(bool right) {
    if (!right) ++wrong_;
  }
  void same(kcache::handle<value> const& h, std::optional<int> const& there) {
    check(static_cast<bool>(h) == there.has_value() && (!h || number(*h) == *there));
  }
  typename Kind::cache::options_type options() {
    typename Kind::cache::options_type o;
    o.capacity = capacity_;
    o.shards = 1;
    if constexpr (Kind::listens) o.on_removal = told{&removals_};
    return o;
  }

  std::size_t capacity_;
  seeded_random random_;
  test::lru_model model_;
  std::vector<removal> removals_;
  typename Kind::cache cache_;
  int last_ = 0;
  std::uint64_t wrong_ = 0;
};

}  // namespace

TEMPLATE_TEST_CASE("threads that take turns see a textbook's LRU", "[cache_exact][concurrent]",
                   (kind<int, int, plain>), (kind<std::string, std::string, plain>),
                   (kind<std::string, std::shared_ptr<int>, plain>),
                   (kind<int, std::string, plain>), (kind<boxed, int, of_boxes>),
                   (kind<boxed, std::string, listening_to_boxes>),
                   (kind<int, int, listening>), (kind<std::string, std::string, listening>),
                   (kind<int, std::shared_ptr<int>, listening>)) {
  struct setting {
    handover by;
    std::size_t threads;
    std::uint64_t turns;
  };
  std::uint64_t seed = test::effort(1, 1000);
  for (auto const& s : {setting{handover::atomic, 3, 3'000}, setting{handover::atomic, 2, 3'000},
                        setting{handover::mutex, 3, 1'000}, setting{handover::mutex, 6, 700},
                        setting{handover::semaphore, 3, 500}}) {
    for (std::size_t const capacity : {5U, 60U}) {
      ++seed;
      CAPTURE(static_cast<int>(s.by), s.threads, capacity, seed);
      compared<TestType> both{capacity, seed};
      test::in_turns(
          s.by, s.threads, s.turns * test::effort(1, 20),
          [&](std::uint64_t turn) {
            return ((turn + seed) * 0x9e3779b97f4a7c15U >> 40U) % s.threads;
          },
          // Mostly one call a turn; sometimes more than a ring holds.
          [&](std::size_t, std::uint64_t turn) {
            std::uint64_t const calls = turn % 32 == 31 ? 50 : 1;
            for (std::uint64_t i = 0; i != calls; ++i) both.step();
          });
      REQUIRE(both.wrong() == 0);
    }
  }
}

namespace {

/// Two threads read a hot set each, as fast as they can, while this one puts cold keys. Between two
/// puts each hot entry is read at least once. Returns how many reads of hot entries missed.
template <class Key, class Value>
std::uint64_t missed_hot(int puts) {
  constexpr int hot = 8;  // of each thread
  constexpr int cold = 1'000;
  kcache::cache<Key, Value> c{{.capacity = 2 * hot + 1, .shards = 1}};
  for (int i = 0; i != 2 * hot; ++i) c.put(make<Key>(i), make<Value>(i));
  struct alignas(64) passes {
    std::atomic<int> done{0};
  };
  std::vector<passes> all(2);
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> missed{0};
  test::in_parallel(3, [&](std::size_t id) {
    if (id < 2) {
      std::vector<Key> mine;
      for (int i = 0; i != hot; ++i) mine.push_back(make<Key>(static_cast<int>(id) * hot + i));
      while (!over) {
        for (auto const& k : mine) {
          if (!c.get(k)) ++missed;
        }
        all[id].done.fetch_add(1);
        std::this_thread::yield();
      }
      return;
    }
    for (int n = 0; n != puts; ++n) {
      for (auto const& p : all) {
        // The pass under way may have begun before the last put; the next one has not.
        int const before = p.done.load();
        while (p.done.load() < before + 2) std::this_thread::yield();
      }
      c.put(make<Key>(cold + n), make<Value>(n));
    }
    over = true;
  });
  for (int i = 0; i != 2 * hot; ++i) {
    if (!c.contains(make<Key>(i))) ++missed;
  }
  return missed;
}

}  // namespace

TEST_CASE("what is read between all puts is not evicted, however reads overlap",
          "[cache_exact][concurrent]") {
  auto const puts = static_cast<int>(test::effort(1'000, 100'000));
  CHECK(missed_hot<int, int>(puts) == 0);
  CHECK(missed_hot<std::string, std::string>(puts) == 0);
  CHECK(missed_hot<std::string, std::shared_ptr<int>>(puts) == 0);
}
