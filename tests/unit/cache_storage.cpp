// SPDX-License-Identifier: BSL-1.0
// What is kept comes back as it was, and goes once, over every way in which entries are kept.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/storage_kinds.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/policies/w_tinylfu.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using kcache::cache;
using kcache::handle;
using kcache::seeded_random;

namespace {

/// Knows how many of it live, and that each is destroyed once.
class counted {
 public:
  explicit counted(int n) : number_{std::make_unique<int>(n)} { ++living(); }
  counted(counted&& other) noexcept : number_{std::move(other.number_)} { ++living(); }
  counted& operator=(counted&&) = delete;
  ~counted() { --living(); }
  [[nodiscard]] int number() const noexcept { return number_ ? *number_ : -1; }
  friend bool operator==(counted const& a, counted const& b) noexcept {
    return a.number() == b.number();
  }
  static int& living() noexcept {
    static int n = 0;
    return n;
  }

 private:
  std::unique_ptr<int> number_;
};
struct counted_hash {
  std::uint64_t operator()(counted const& c) const noexcept {
    return static_cast<std::uint64_t>(c.number());
  }
};

/// Collides in all 64 bits: those of numbers in one group, those of strings in another.
struct constant {
  using is_avalanching = void;
  std::uint64_t operator()(int) const noexcept { return 0; }
  std::uint64_t operator()(std::string_view) const noexcept { return ~std::uint64_t{0}; }
};

/// A value of three quarters of a page, all of it told by a number.
struct big {
  std::array<std::uint32_t, 768> words;
  explicit big(int n) { words.fill(static_cast<std::uint32_t>(n)); }
  [[nodiscard]] bool is(int n) const {
    for (auto const w : words) {
      if (w != static_cast<std::uint32_t>(n)) return false;
    }
    return true;
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("a random run keeps what a map keeps", "[cache_storage]",
                        test::storage_kinds) {
  using kind = TestType;
  seeded_random r{1};
  auto const below = [&](std::uint64_t n) { return static_cast<int>(r.next() % n); };
  // Never full: nothing is evicted, and whatever is missing was lost.
  typename kind::cache c{{.capacity = 2000, .shards = 2}};
  std::map<int, int> model;
  std::vector<std::pair<handle<typename kind::value_type>, int>> handles;
  int wrong = 0;
  for (int step = 0; step != 3000; ++step) {
    int const key = below(step < 1500 ? 400 : 40);
    switch (below(6)) {
      case 0: case 1: case 2: {
        int const value = below(250);
        auto const put = kind::put(c, key, value);
        wrong += put.stored && kind::is(*put.entry, value) ? 0 : 1;
        model[key] = value;
        if (step % 10 == 0) handles.emplace_back(put.entry, value);
        break;
      }
      case 3:
        wrong += c.erase(kind::key(key)) == (model.erase(key) == 1) ? 0 : 1;
        break;
      default: {
        auto const h = c.get(kind::key(key));
        auto const at = model.find(key);
        wrong += static_cast<bool>(h) == (at != model.end()) ? 0 : 1;
        if (h && at != model.end()) wrong += kind::is(*h, at->second) ? 0 : 1;
      }
    }
  }
  CHECK(c.size() == model.size());
  for (auto const& [key, value] : model) {
    auto const h = c.peek(kind::key(key));
    wrong += h && kind::is(*h, value) ? 0 : 1;
  }
  // Handles yield what they did, whatever became of their entries.
  c.clear();
  CHECK(c.size() == 0);
  for (int k = 0; k != 400; ++k) kind::put(c, k, k % 250);
  for (auto const& [h, value] : handles) wrong += kind::is(*h, value) ? 0 : 1;
  CHECK(wrong == 0);
}

TEMPLATE_LIST_TEST_CASE("tables grow from one entry to thousands", "[cache_storage]",
                        test::storage_kinds) {
  using kind = TestType;
  // At each size of the table all entries before it must be found again.
  typename kind::cache c{{.capacity = 700, .shards = 1}};
  int wrong = 0;
  for (int n = 0; n != 700; ++n) {
    kind::put(c, n, n % 100);
    if ((n & (n - 1)) != 0 && n != 699) continue;
    for (int k = 0; k <= n; ++k) {
      auto const h = c.peek(kind::key(k));
      wrong += h && kind::is(*h, k % 100) ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
  CHECK(c.size() == 700);
  // Full: as many go as come.
  for (int n = 700; n != 1400; ++n) kind::put(c, n, n % 100);
  CHECK(c.size() == 700);
  for (int n = 700; n != 1400; ++n) wrong += c.contains(kind::key(n)) ? 0 : 1;
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("every value and key is destroyed once", "[cache_storage]", kcache::lru,
                   kcache::clock_hand, kcache::w_tinylfu) {
  using policies = kcache::with_hash<counted_hash, kcache::with_eviction<TestType>>;
  counted::living() = 0;
  {
    std::vector<handle<counted>> kept;
    {
      cache<counted, counted, policies> c{{.capacity = 50}};
      CHECK(counted::living() == 0);
      for (int n = 0; n != 500; ++n) {
        auto const put = c.put(counted{n % 120}, counted{n});
        CHECK(put.entry->number() == n);
        if (n % 7 == 0) kept.push_back(put.entry);
        if (n % 11 == 0) c.erase(counted{n % 120});
        // Refused by its guard, and by an exception of it.
        static_cast<void>(c.put_if(counted{n % 3}, counted{n}, [] { return false; }));
        try {
          c.put_if(counted{n % 3}, counted{n}, []() -> bool { throw 1; });
        } catch (int) {
        }
        if (n % 200 == 0) c.clear();
      }
      auto const entries = static_cast<int>(c.size());
      int shared = 0;
      for (auto const& h : kept) {
        bool here = false;
        for (int k = 0; k != 120; ++k) here = here || c.peek(counted{k}) == h;
        shared += here ? 1 : 0;
      }
      CHECK(counted::living() == 2 * entries + static_cast<int>(kept.size()) - shared);
    }
    CHECK(counted::living() == static_cast<int>(kept.size()));
    CHECK(kept[1]->number() == 7);
  }
  CHECK(counted::living() == 0);
}

TEST_CASE("a value is moved into the cache, an lvalue is copied", "[cache_storage]") {
  cache<int, std::vector<int>> c{{.capacity = 4}};
  std::vector<int> const kept{1, 2, 3};
  c.put(1, kept);
  CHECK(kept.size() == 3);
  std::vector<int> gone{4, 5};
  auto const* const data = gone.data();
  c.put(2, std::move(gone));
  CHECK(c.get(2)->data() == data);

  cache<std::unique_ptr<int>, std::unique_ptr<int>> pointers{{.capacity = 4}};
  auto key = std::make_unique<int>(1);
  auto value = std::make_unique<int>(2);
  auto const* const inside = value.get();
  pointers.put(std::move(key), std::move(value));
  CHECK(pointers.size() == 1);
  pointers.put(nullptr, nullptr);
  CHECK(pointers.get(nullptr));
  CHECK(*pointers.get(nullptr) == nullptr);
  CHECK(inside != nullptr);
}

TEST_CASE("over-aligned keys and values are where they want to be", "[cache_storage]") {
  cache<test::wide, test::wide, kcache::with_hash<test::by_number>> c{{.capacity = 100}};
  for (int n = 0; n != 200; ++n) {
    auto const put = c.put(test::wide{n}, test::wide{n + 1});
    if (reinterpret_cast<std::uintptr_t>(&*put.entry) % 64 != 0) FAIL(n);
    if (put.entry->number != n + 1) FAIL(n);
  }
  cache<test::wide, std::string, kcache::with_hash<test::by_number>> flat{{.capacity = 100}};
  for (int n = 0; n != 200; ++n) flat.put(test::wide{n}, std::to_string(n));
  CHECK(flat.get_copy(test::wide{150}) == "150");
}

TEST_CASE("big values", "[cache_storage]") {
  cache<std::string, big> c{{.capacity = 20}};
  std::vector<handle<big>> handles;
  for (int n = 0; n != 100; ++n) handles.push_back(c.put(std::to_string(n), big{n}).entry);
  for (int n = 0; n != 100; ++n) CHECK(handles[static_cast<std::size_t>(n)]->is(n));
  CHECK(c.get_copy("99")->is(99));
  CHECK(c.visit("90", [](big const& b) { CHECK(b.is(90)); }));
}

TEST_CASE("strings with zeros, empty strings, strings of char8_t", "[cache_storage]") {
  cache<std::string, std::string> c{{.capacity = 16}};
  std::vector<std::string> const strings{"",
                                         std::string(1, '\0'),
                                         std::string(2, '\0'),
                                         std::string("a\0b", 3),
                                         std::string("a\0c", 3),
                                         "a"};
  for (std::string const& s : strings) CHECK(c.put(s, s + "!" + s).stored);
  CHECK(c.size() == strings.size());
  for (std::string const& s : strings) {
    CHECK(c.get_copy(s) == s + "!" + s);
    CHECK(c.visit(s, [&](std::string_view v) { CHECK(v == s + "!" + s); }));
  }
  CHECK(c.put("k", "").stored);
  CHECK(c.get("k")->empty());
  CHECK(c.visit("k", [](std::string_view v) { CHECK(v.empty()); }));
  CHECK(c.get_copy("k") == "");
  CHECK(c.put("", "").stored);
  CHECK(c.get("")->empty());
  CHECK(c.erase(""));

  cache<std::u8string, std::u8string> u{{.capacity = 16}};
  u.put(u8"k\u00e9y", u8"v\u20ac");
  static_assert(std::is_same_v<decltype(*u.get(u8"")), std::u8string_view>);
  CHECK((*u.get(u8"k\u00e9y") == u8"v\u20ac"));
  CHECK((u.get_copy(u8"k\u00e9y") == std::u8string{u8"v\u20ac"}));
  CHECK(u.visit(u8"k\u00e9y", [](std::u8string_view v) { CHECK(v.size() == 4); }));
  CHECK_FALSE(u.get(u8"key"));

  cache<std::u16string, std::u16string> w{{.capacity = 16}};
  w.put(u"k\u00e9y", u"v\u20ac");
  CHECK((*w.get(u"k\u00e9y") == u"v\u20ac"));
  CHECK((w.get_copy(u"k\u00e9y") == std::u16string{u"v\u20ac"}));
}

TEST_CASE("a long value for a key takes the place of a short one, and back", "[cache_storage]") {
  cache<std::string, std::string> c{{.capacity = 4}};
  std::vector<handle<std::string>> handles;
  for (int n = 0; n != 500; ++n) {
    auto const size = static_cast<std::size_t>(n * 37 % 3000);
    std::string const value(size, static_cast<char>('a' + n % 26));
    handles.push_back(c.put("key", value).entry);
    CHECK(c.get_copy("key") == value);
  }
  CHECK(c.size() == 1);
  for (int n = 0; n != 500; ++n) {
    auto const& h = handles[static_cast<std::size_t>(n)];
    if (h->size() != static_cast<std::size_t>(n * 37 % 3000)) FAIL(n);
    if (!h->empty() && h->back() != 'a' + n % 26) FAIL(n);
  }
}

TEST_CASE("keys that collide in all 64 bits are told apart", "[cache_storage]") {
  cache<int, int, kcache::with_hash<constant>> pairs{{.capacity = 300}};
  cache<std::string, int, kcache::with_hash<constant>> cells{{.capacity = 300}};
  for (int round = 0; round != 2; ++round) {
    for (int n = 0; n != 500; ++n) {
      pairs.put(n, n);
      cells.put(std::to_string(n), n);
    }
    CHECK(pairs.size() == 300);
    CHECK(cells.size() == 300);
    for (int n = 0; n != 500; ++n) {
      if (static_cast<bool>(pairs.peek(n)) != (n >= 200)) FAIL(n);
      auto const h = cells.peek(std::to_string(n));
      if (static_cast<bool>(h) != (n >= 200) || (h && *h != n)) FAIL(n);
    }
    pairs.clear();
    cells.clear();
  }
}

TEST_CASE("a key with padding, a float, a pointer, an enumeration, 128 bits", "[cache_storage]") {
  enum class colour : std::uint8_t { red, green = 200 };
  cache<colour, char> colours{{.capacity = 4}};
  colours.put(colour::green, 'g');
  CHECK(colours.get_copy(colour::green) == 'g');
  CHECK_FALSE(colours.get(colour::red));

  cache<double, float> floats{{.capacity = 4}};
  floats.put(0.0, 1.5F);
  CHECK(floats.get_copy(-0.0) == 1.5F);  // equal, though their bits are not
  floats.put(0.25, 2.5F);
  CHECK(floats.get_copy(0.25) == 2.5F);

  int target = 0;
  cache<int*, int*> pointers{{.capacity = 4}};
  pointers.put(&target, nullptr);
  CHECK(pointers.get_copy(&target) == nullptr);
  CHECK_FALSE(pointers.get(nullptr));

  cache<bool, bool> bools{{.capacity = 4}};
  bools.put(true, false);
  CHECK(bools.get_copy(true) == false);
  CHECK_FALSE(bools.get(false));

  cache<std::int64_t, std::int64_t> extremes{{.capacity = 8}};
  for (std::int64_t const n : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
    extremes.put(n, n);
    CHECK(extremes.get_copy(n) == n);
  }
  CHECK(extremes.size() == 4);
}
