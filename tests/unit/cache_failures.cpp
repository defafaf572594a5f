// SPDX-License-Identifier: BSL-1.0
// Whatever throws, the cache is as it was: nothing stored, lost, leaked or locked.
#include <kcache/cache.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/failing_new.hpp"

#include <kcache/testing/manual_clock.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

using namespace std::chrono_literals;

namespace {

struct fault : std::runtime_error {
  fault() : std::runtime_error{"fault"} {}
};

/// Everything a user's code does that may throw is a step; the n-th step throws.
struct steps {
  static inline int taken = 0;
  static inline int failing = 0;
  static inline int living = 0;
  static void take() {
    if (++taken == failing) throw fault{};
  }
  static void fail_at(int n) {
    taken = 0;
    failing = n;
  }
};

/// Throws in whatever a key or a value may throw in; counts its living.
class fragile {
 public:
  explicit fragile(int n) noexcept : n_{n} { ++steps::living; }
  fragile(fragile&& other) : n_{(steps::take(), other.n_)} { ++steps::living; }
  fragile& operator=(fragile&&) = delete;
  ~fragile() { --steps::living; }
  friend bool operator==(fragile const& a, fragile const& b) { return steps::take(), a.n_ == b.n_; }
  [[nodiscard]] int number() const noexcept { return n_; }

 private:
  int n_;
};

struct fragile_policies : kcache::with_clock<kcache::testing::manual_clock> {
  struct hash {
    std::uint64_t operator()(fragile const& k) const {
      return steps::take(), static_cast<std::uint64_t>(k.number() % 4);  // collisions: == is called
    }
  };
  struct weigher {
    std::uint64_t operator()(fragile const&, fragile const& v) const {
      return steps::take(), static_cast<std::uint64_t>(v.number());
    }
  };
  struct expiry {
    kcache::time_point expires_at(fragile const&, fragile const&,
                                  kcache::write_time const& w) const {
      return steps::take(), w.requested.value_or(w.default_ttl).expires_at(w.now);
    }
  };
};
using fragile_cache = kcache::cache<fragile, fragile, fragile_policies>;

/// Keys 0 to 9 and the values under them, without counting or moving anything.
std::map<int, int> contents(fragile_cache const& c) {
  std::map<int, int> found;
  for (int k = 0; k != 10; ++k) {
    if (auto h = c.peek(fragile{k})) found[k] = h->number();
  }
  return found;
}

/// Full: weights 3, 3, 4 of 10, the last to expire first.
void fill(fragile_cache& c) {
  c.put(fragile{0}, fragile{3});
  c.put(fragile{1}, fragile{3});
  c.put(fragile{4}, fragile{4}, 60s);
}

}  // namespace

TEST_CASE("a put that throws at any step changes nothing", "[cache_failures]") {
  struct attempt {
    int key;
    int value;
    std::map<int, int> after;
  };
  attempt const attempts[] = {
      {4, 2, {{0, 3}, {1, 3}, {4, 2}}},    // replaces
      {8, 3, {{1, 3}, {4, 4}, {8, 3}}},    // evicts, under a hash that others have
      {5, 10, {{5, 10}}},                  // evicts all
      {0, 11, {{1, 3}, {4, 4}}},           // too heavy
  };
  for (attempt const& a : attempts) {
    int thrown = 0;
    for (int n = 1;; ++n) {
      steps::fail_at(0);
      {
        fragile_cache c{{.capacity = 10, .clock = {}}};
        fill(c);
        auto const before = contents(c);
        auto const stats = c.stats();
        auto const living = steps::living;
        bool complete = false;
        try {
          fragile key{a.key};
          fragile value{a.value};
          steps::fail_at(n);
          c.put(std::move(key), std::move(value), 30s);
          complete = true;
        } catch (fault const&) {
          ++thrown;
        }
        steps::fail_at(0);
        CHECK(contents(c) == (complete ? a.after : before));
        if (complete) break;
        CHECK(steps::living == living);
        CHECK(c.stats() == stats);
        CHECK(c.weight() == 10);
        // Not locked, and whole: the same put succeeds now.
        c.put(fragile{a.key}, fragile{a.value});
        CHECK(contents(c) == a.after);
      }
      CHECK(steps::living == 0);
    }
    CHECK(thrown >= 6);  // the moves, the hash, the weigher, the expiry, ==
  }
  CHECK(steps::living == 0);
}

TEST_CASE("reads and erases that throw leave no lock behind", "[cache_failures]") {
  int thrown = 0;
  for (int n = 1; n != 4; ++n) {
    steps::fail_at(0);
    fragile_cache c{{.capacity = 10, .clock = {}}};
    fill(c);
    fragile const key{4};
    auto const guarded = [&](auto const& call) {
      steps::fail_at(n);
      try {
        call();
      } catch (fault const&) {
        ++thrown;
      }
      steps::fail_at(0);
    };
    guarded([&] { static_cast<void>(c.get(key)); });
    guarded([&] { static_cast<void>(c.peek(key)); });
    guarded([&] { static_cast<void>(c.contains(key)); });
    CHECK(contents(c) == std::map<int, int>{{0, 3}, {1, 3}, {4, 4}});
    guarded([&] { c.erase(key); });
    c.clear();
    CHECK(c.size() == 0);
  }
  CHECK(thrown >= 8);
}

TEST_CASE("a put whose n-th allocation fails changes nothing, for every n", "[cache_failures]") {
  using cache = kcache::cache<std::string, std::string>;
  auto const long_text = [](char c) { return std::string(100, c); };
  std::size_t failures = 0;
  // Sizes at which the table, the heap or neither must grow.
  for (int const entries : {0, 1, 7, 8, 9, 16, 32, 33}) {
    for (std::size_t n = 1;; ++n) {
      cache c{{.capacity = 40, .ttl = 60s}};
      for (int k = 0; k != entries; ++k) c.put(std::to_string(k), long_text('o'));
      std::string key = "fresh" + long_text('k');
      std::string value = long_text('n');
      bool complete = false;
      {
        test::failing_allocation const failing{n};
        try {
          complete = c.put(std::move(key), std::move(value)).stored;
        } catch (std::bad_alloc const&) {
          ++failures;
        }
        if (complete) CHECK_FALSE(failing.happened());
      }
      CHECK(c.size() == static_cast<std::size_t>(entries + (complete ? 1 : 0)));
      for (int k = 0; k != entries; ++k) CHECK(*c.peek(std::to_string(k)) == long_text('o'));
      if (complete) break;
      c.put("fresh", "later");
      CHECK(*c.get("fresh") == "later");
    }
  }
  CHECK(failures >= 12);
}

TEST_CASE("a constructor whose n-th allocation fails leaves nothing", "[cache_failures]") {
  for (std::size_t n = 1;; ++n) {
    test::failing_allocation const failing{n};
    try {
      kcache::cache<int, int> c{{.capacity = 10'000}};
      CHECK_FALSE(failing.happened());
      CHECK(n > 1);
      break;
    } catch (std::bad_alloc const&) {
    }
  }
}

TEST_CASE("a hit, a miss and an erase allocate nothing, a put once", "[cache_failures]") {
  kcache::cache<std::string, std::string> c{{.capacity = 1000, .ttl = 60s}};
  std::string const key(100, 'k');
  for (int k = 0; k != 20; ++k) c.put(std::to_string(k), "x");
  c.put(key, "x");
  std::string_view const view = key;
  std::string_view const missing = "there is no such key, and it does not fit into a string";

  auto const before = test::allocations();
  bool const hit = static_cast<bool>(c.get(view));
  bool const miss = !c.get(missing) && !c.contains(missing) && !c.erase(missing);
  auto const reads = test::allocations() - before;
  CHECK(hit);
  CHECK(miss);
  CHECK(reads == 0);

  std::string long_key = key;
  std::string long_value(100, 'v');
  auto const moved = test::allocations();
  c.put(std::move(long_key), std::move(long_value));
  CHECK(test::allocations() - moved == 1);

  auto const erased = test::allocations();
  c.erase(view);
  CHECK(test::allocations() == erased);
}
