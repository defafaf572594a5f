// SPDX-License-Identifier: BSL-1.0
// Whatever throws, the cache is as it was: nothing stored, lost, leaked or locked.
#include <kcache/cache.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/failing_new.hpp"
#include "support/storage_kinds.hpp"

#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/w_tinylfu.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

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

/// As `fragile`, and may be copied.
class fragile_copy {
 public:
  explicit fragile_copy(int n) noexcept : n_{n} { ++steps::living; }
  fragile_copy(fragile_copy const& other) : n_{(steps::take(), other.n_)} { ++steps::living; }
  fragile_copy& operator=(fragile_copy const&) = delete;
  ~fragile_copy() { --steps::living; }
  friend bool operator==(fragile_copy const& a, fragile_copy const& b) {
    return steps::take(), a.n_ == b.n_;
  }
  [[nodiscard]] int number() const noexcept { return n_; }

 private:
  int n_;
};
/// A key that is read without a lock, whose == throws.
struct plain_key {
  int n;
  friend bool operator==(plain_key a, plain_key b) { return steps::take(), a.n == b.n; }
};

int number(int n) { return n; }
int number(plain_key k) { return k.n; }
int number(fragile const& f) { return f.number(); }
int number(fragile_copy const& f) { return f.number(); }
int number(std::string_view s) { return std::atoi(s.data() + 1); }

template <class T>
T numbered(int n) {
  if constexpr (std::is_same_v<T, std::string>) {
    return "#" + std::to_string(n) + std::string(600, ' ');
  } else {
    return T{n};
  }
}

/// All that a policy may throw in, but for the weigher: with one, pairs are not kept in the table.
struct throwing_policies : kcache::with_clock<kcache::testing::manual_clock> {
  struct hash {
    template <class K>
    std::uint64_t operator()(K const& k) const {
      return steps::take(), static_cast<std::uint64_t>(number(k) % 4);
    }
  };
  struct expiry {
    template <class K, class V>
    kcache::time_point expires_at(K const&, V const&, kcache::write_time const& w) const {
      return steps::take(), w.requested.value_or(w.default_ttl).expires_at(w.now);
    }
  };
};
struct throwing_weigher {
  template <class K, class V>
  std::uint64_t operator()(K const&, V const&) const {
    return steps::take(), 1U;
  }
};
using throwing_weighed = kcache::with_weigher<throwing_weigher, throwing_policies>;

template <class Key, class Value, class Policies>
struct throwing_kind {
  using key_type = Key;
  using cache = kcache::cache<Key, Value, Policies>;
  using view_type = typename kcache::storage_traits<Value>::view_type;
  static constexpr bool copies = std::is_copy_constructible_v<Value>;
  static Key key(int n) { return numbered<Key>(n); }
  static Value value(int n) { return numbered<Value>(n); }
  static bool is(view_type v, int n) { return number(v) == n; }
};

/// What a cache holds that was never larger than `capacity`, one shard, in order of use.
class lru_model {
 public:
  explicit lru_model(std::size_t capacity) : capacity_{capacity} {}
  void put(int key, int value) {
    std::erase_if(entries, [&](auto const& e) { return e.first == key; });
    entries.emplace_back(key, value);
    shrink();
  }
  void erase(int key) {
    std::erase_if(entries, [&](auto const& e) { return e.first == key; });
  }
  void resize(std::size_t capacity) {
    capacity_ = capacity;
    shrink();
  }
  std::vector<std::pair<int, int>> entries;

 private:
  void shrink() {
    if (entries.size() <= capacity_) return;
    entries.erase(entries.begin(),
                  entries.end() - static_cast<std::ptrdiff_t>(capacity_));
  }
  std::size_t capacity_;
};

/// Everything that can be done. Key `n` of `entries`, 0 to `entries` - 1, has value 100 + n.
enum class call {
  put, put_over, put_if, put_if_not, get, get_copy, peek, contains, visit, get_many,
  erase, erase_nothing, grow, shrink, clear, remove_expired, end
};

/// One call of a cache with so many entries.
template <class Kind>
void run(call what, typename Kind::cache& c, int entries) {
  int const there = entries / 2;
  switch (what) {
    case call::put: c.put(Kind::key(900), Kind::value(1), 60s); return;
    case call::put_over: c.put(Kind::key(there), Kind::value(2)); return;
    case call::put_if: case call::put_if_not:
      c.put_if(Kind::key(there + 1), Kind::value(3),
               [&] { return steps::take(), what == call::put_if; });
      return;
    case call::get: static_cast<void>(c.get(Kind::key(0))); return;
    case call::get_copy:
      if constexpr (Kind::copies) static_cast<void>(c.get_copy(Kind::key(0)));
      return;
    case call::peek: static_cast<void>(c.peek(Kind::key(there))); return;
    case call::contains: static_cast<void>(c.contains(Kind::key(902))); return;
    case call::visit:
      c.visit(Kind::key(0), [](typename Kind::view_type) { steps::take(); });
      return;
    case call::get_many: {
      std::vector<typename Kind::key_type> keys;
      keys.reserve(20);
      for (int k = 0; k != 20; ++k) keys.push_back(Kind::key(k));
      static_cast<void>(c.get_many(keys));
      return;
    }
    case call::erase: c.erase(Kind::key(there)); return;
    case call::erase_nothing: c.erase(Kind::key(902)); return;
    case call::grow: c.set_capacity(1000); return;
    case call::shrink: c.set_capacity(3); return;
    case call::clear: c.clear(); return;
    case call::remove_expired: c.remove_expired(); return;
    case call::end: return;
  }
}
/// What it does to the model.
void effect(call what, lru_model& m, int entries) {
  switch (what) {
    case call::put: return m.put(900, 1);
    case call::put_over: return m.put(entries / 2, 2);
    case call::put_if: return m.put(entries / 2 + 1, 3);
    case call::erase: return m.erase(entries / 2);
    case call::grow: return m.resize(1000);
    case call::shrink: return m.resize(3);
    case call::clear: return m.entries.clear();
    default: return;
  }
}

template <class Kind>
bool holds(typename Kind::cache const& c, lru_model const& m) {
  if (c.size() != m.entries.size() || c.weight() != m.entries.size()) return false;
  for (auto const& [key, value] : m.entries) {
    auto const h = c.peek(Kind::key(key));
    if (!h || !Kind::is(*h, value)) return false;
  }
  return true;
}

/// Makes each call fail at its n-th step, as `fail(n, run)` does: true if it threw. Until a call
/// came through untouched, which `fail` tells by `done`.
template <class Kind, class Fail>
int check_all_calls(Fail const& fail) {
  int thrown = 0;
  // At these the table is empty, full, to grow; at 40 the cache is full.
  for (int const entries : {0, 1, 7, 8, 16, 32, 40}) {
    for (call what = call::put; what != call::end;
         what = static_cast<call>(static_cast<int>(what) + 1)) {
      for (int n = 1;; ++n) {
        INFO("call " << static_cast<int>(what) << " of " << entries << ", failure " << n);
        typename Kind::cache c{{.capacity = 40}};
        lru_model before{40};
        for (int k = 0; k != entries; ++k) {
          c.put(Kind::key(k), Kind::value(100 + k));
          before.put(k, 100 + k);
        }
        lru_model after = before;
        effect(what, after, entries);
        bool done = false;
        bool const threw = fail(n, [&] { run<Kind>(what, c, entries); }, done);
        thrown += threw ? 1 : 0;
        if (!holds<Kind>(c, threw ? before : after)) FAIL("not as it was, or not as it should be");
        if (done) break;
        // Not locked, and whole: the same call succeeds now.
        if (threw) {
          run<Kind>(what, c, entries);
          if (!holds<Kind>(c, after)) FAIL("not as it should be, the second time");
        }
      }
    }
  }
  return thrown;
}

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

TEMPLATE_LIST_TEST_CASE("whatever allocation of whatever call fails, all is as it was",
                        "[cache_failures]", test::storage_kinds) {
  using kind = TestType;
  int const thrown = check_all_calls<kind>([](int n, auto const& run, bool& done) {
    test::failing_allocation const failing{static_cast<std::size_t>(n)};
    try {
      run();
    } catch (std::bad_alloc const&) {
      return true;
    }
    // What leaves may do without the memory that it asked for.
    done = !failing.happened();
    return false;
  });
  CHECK(thrown > 20);
}

TEMPLATE_TEST_CASE("whatever step of whatever call throws, all is as it was", "[cache_failures]",
                   (throwing_kind<plain_key, int, throwing_policies>),
                   (throwing_kind<plain_key, std::string, throwing_weighed>),
                   (throwing_kind<plain_key, fragile_copy, throwing_policies>),
                   (throwing_kind<std::string, std::string, throwing_weighed>),
                   (throwing_kind<std::string, fragile, throwing_weighed>),
                   (throwing_kind<fragile, std::string, throwing_policies>),
                   (throwing_kind<fragile, fragile, throwing_weighed>),
                   (throwing_kind<fragile_copy, int, throwing_policies>)) {
  using kind = TestType;
  steps::fail_at(0);
  steps::living = 0;
  int const thrown = check_all_calls<kind>([](int n, auto const& run, bool& done) {
    steps::fail_at(n);
    bool threw = false;
    try {
      run();
    } catch (fault const&) {
      threw = true;
    }
    done = steps::taken < n;
    steps::fail_at(0);
    return threw;
  });
  CHECK(thrown > 100);
  CHECK(steps::living == 0);
}

TEMPLATE_TEST_CASE("a queue that cannot grow, a bound that cannot: the put changes nothing",
                   "[cache_failures]", kcache::lru, kcache::s3_fifo, kcache::w_tinylfu) {
  using cache = kcache::cache<int, int, kcache::with_eviction<TestType>>;
  int failures = 0;
  for (int const entries : {8, 16, 32, 64, 80}) {
    for (std::size_t n = 1;; ++n) {
      cache c{{.capacity = 100}};
      for (int k = 0; k != entries; ++k) c.put(k, k, k % 2 == 0 ? kcache::ttl{60s} : kcache::ttl{});
      bool threw = false;
      bool happened = false;
      {
        test::failing_allocation const failing{n};
        try {
          c.put(1000, 1000, 60s);
        } catch (std::bad_alloc const&) {
          threw = true;
        }
        happened = failing.happened();
      }
      failures += threw ? 1 : 0;
      CHECK(threw == happened);
      CHECK(c.size() == static_cast<std::size_t>(entries + (threw ? 0 : 1)));
      for (int k = 0; k != entries; ++k) {
        if (c.peek(k) && *c.peek(k) == k) continue;
        FAIL("lost " << k);
      }
      for (int k = 0; k != 300; ++k) c.put(k, k);  // grows and evicts all the same
      CHECK(c.size() == 100);
      if (!happened) break;
    }
  }
  CHECK(failures >= 3);
}

TEST_CASE("a put that throws after the table grew keeps what it grew for", "[cache_failures]") {
  // The guard runs when room has been made ready: the table is the larger one, the entries are
  // the old ones.
  kcache::cache<int, std::string> c{{.capacity = 1000}};
  for (int k = 0; k != 500; ++k) {
    CHECK_THROWS_AS(c.put_if(k, "never", []() -> bool { throw fault{}; }), fault);
    CHECK(c.size() == static_cast<std::size_t>(k));
    c.put(k, std::to_string(k));
  }
  for (int k = 0; k != 500; ++k) CHECK(c.get_copy(k) == std::to_string(k));
}

TEST_CASE("a string of 2 GiB is refused in words, and changes nothing", "[cache_failures]") {
  kcache::cache<int, std::string> c{{.capacity = 10}};
  c.put(1, "old");
  char const byte = 'x';
  std::string_view const huge{&byte, std::size_t{1} << 31U};  // refused before it is read
  CHECK_THROWS_AS(c.put(1, huge), std::length_error);
  CHECK_THROWS_AS(c.put(2, huge), std::length_error);
  CHECK(c.get_copy(1) == "old");
  CHECK(c.size() == 1);
}
