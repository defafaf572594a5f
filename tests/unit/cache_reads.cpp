// SPDX-License-Identifier: BSL-1.0
// Every way to read, over every way in which entries are kept.
#include <kcache/cache.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/storage_kinds.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

constexpr int some = 24;  // so that tables grow, and keys take all lengths

template <class Kind>
void fill(typename Kind::cache& c) {
  for (int n = 0; n != some; ++n) Kind::put(c, n, 100 + n);
}

/// Keys that move only cannot be copied into a range: a list of them, made in place.
template <class Kind>
std::list<typename Kind::key_type> keys(std::vector<int> const& numbers) {
  std::list<typename Kind::key_type> l;
  for (int const n : numbers) l.push_back(Kind::key(n));
  return l;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("all reads find what was put, and count exactly", "[cache_reads]",
                        test::storage_kinds) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 100}};
  fill<kind>(c);
  std::uint64_t wrong = 0;
  auto const check = [&](bool law) { wrong += law ? 0U : 1U; };
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  for (int n = 0; n != 2 * some; ++n) {
    bool const there = n < some;
    auto const key = kind::key(n);

    auto const got = c.get(key);
    check(static_cast<bool>(got) == there);
    if (got) check(kind::is(*got, 100 + n));

    int calls = 0;
    bool const visited = c.visit(key, [&](typename kind::view_type v) {
      ++calls;
      check(kind::is(v, 100 + n));
    });
    check(visited == there && calls == (there ? 1 : 0));

    (there ? hits : misses) += 2;
    if constexpr (kind::copies) {
      std::optional<typename kind::value_type> const copy = c.get_copy(key);
      check(copy.has_value() == there);
      if (copy) check(kind::is(*copy, 100 + n));
      (there ? hits : misses) += 1;
    }
    // These leave no trace.
    auto const peeked = c.peek(key);
    check(static_cast<bool>(peeked) == there);
    if (peeked) check(kind::is(*peeked, 100 + n));
    check(c.contains(key) == there);
    auto const s = c.stats();
    check(s.hits == hits && s.misses == misses);
  }
  CHECK(wrong == 0);
}

TEMPLATE_LIST_TEST_CASE("get_many yields what get would, in order", "[cache_reads]",
                        test::storage_kinds) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 100}};
  fill<kind>(c);
  auto const check = [&](std::vector<int> const& numbers) {
    auto const before = c.stats();
    auto const found = c.get_many(keys<kind>(numbers));
    if (found.size() != numbers.size()) return false;
    std::uint64_t hits = 0;
    for (std::size_t i = 0; i != found.size(); ++i) {
      bool const there = numbers[i] < some;
      hits += there ? 1U : 0U;
      if (static_cast<bool>(found[i]) != there) return false;
      if (there && !kind::is(*found[i], 100 + numbers[i])) return false;
    }
    auto const after = c.stats();
    return after.hits - before.hits == hits &&
           after.misses - before.misses == numbers.size() - hits;
  };
  CHECK(check({}));
  CHECK(check({5}));
  CHECK(check({some}));
  CHECK(check({3, 1, 3, 3, some, 1, some}));
  for (int const size : {15, 16, 17, 32, 33, 100}) {
    std::vector<int> numbers;
    for (int i = 0; i != size; ++i) numbers.push_back(i * 7 % (some + 5));
    CHECK(check(numbers));
  }
  typename kind::cache empty{{.capacity = 10}};
  CHECK(empty.get_many(keys<kind>({1, 2})).size() == 2);
  CHECK(empty.stats().misses == 2);
}

TEMPLATE_LIST_TEST_CASE("a visitor may call the cache", "[cache_reads]", test::storage_kinds) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 100}};
  fill<kind>(c);
  for (int n = 0; n != some; ++n) {
    bool kept = false;
    CHECK(c.visit(kind::key(n), [&](typename kind::view_type v) {
      // Replaces, erases and evicts what it looks at, which stays valid until it returns.
      kind::put(c, n, 7);
      static_cast<void>(c.get(kind::key(n)));
      c.visit(kind::key(n), [&](typename kind::view_type now) { kept = kind::is(now, 7); });
      c.erase(kind::key(n));
      for (int k = 0; k != 5; ++k) kind::put(c, 1000 + k, k);
      c.clear();
      kept = kept && kind::is(v, 100 + n) && c.size() == 0;
    }));
    CHECK(kept);
    kind::put(c, n + 1, 101 + n);
  }
}

TEMPLATE_LIST_TEST_CASE("a visitor's value stays, however much comes and goes meanwhile",
                        "[cache_reads]", test::storage_kinds) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 20}};
  kind::put(c, 1, 10);
  bool kept = true;
  int depth = 0;
  // Deeper than a thread can hold what it visits; each sees the value that was put last.
  auto const visit = [&](auto const& self) -> void {
    kept = kept && c.visit(kind::key(1), [&](typename kind::view_type v) {
      int const mine = 10 + depth;
      for (int k = 0; k != 300; ++k) {
        kind::put(c, 1, 10 + depth + 1);
        kind::put(c, 2 + k % 40, k);
      }
      kind::put(c, 1, 10 + depth + 1);
      if (++depth != 8) self(self);
      kept = kept && kind::is(v, mine);
    });
  };
  visit(visit);
  CHECK(kept);
  CHECK(depth == 8);
  CHECK(kcache::detail::held_places{}.empty());
}

TEMPLATE_LIST_TEST_CASE("a visitor may throw", "[cache_reads]", test::storage_kinds) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 100}};
  fill<kind>(c);
  for (int n = 0; n != some; ++n) {
    CHECK_THROWS_AS(c.visit(kind::key(n), [](typename kind::view_type) {
      throw std::runtime_error{"no"};
    }), std::runtime_error);
  }
  CHECK(c.stats().hits == some);
  CHECK(c.size() == some);
  CHECK(kcache::detail::held_places{}.empty());
  // Neither locked nor lost; and no read section stays open, so what leaves is freed.
  int wrong = 0;
  for (int n = 0; n != some; ++n) {
    auto const h = c.get(kind::key(n));
    wrong += h && kind::is(*h, 100 + n) ? 0 : 1;
    kind::put(c, n, n);
  }
  CHECK(wrong == 0);
  c.clear();
  CHECK(c.size() == 0);
}

TEST_CASE("a visitor of any category is called as it was passed", "[cache_reads]") {
  struct once {
    int* calls;
    void operator()(std::string_view) && { ++*calls; }
  };
  kcache::cache<int, std::string> c{{.capacity = 4}};
  c.put(1, "x");
  int calls = 0;
  CHECK(c.visit(1, once{&calls}));
  CHECK_FALSE(c.visit(2, once{&calls}));
  CHECK(calls == 1);
}

TEST_CASE("a visitor sees strings of every length", "[cache_reads]") {
  kcache::cache<int, std::string> c{{.capacity = 4}};
  for (std::size_t const size : {0U, 1U, 15U, 16U, 511U, 512U, 513U, 4096U, 100'000U}) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i != size; ++i) text[i] = static_cast<char>(i * 31);
    c.put(1, text);
    std::string seen = "nothing";
    CHECK(c.visit(1, [&](std::string_view v) { seen = v; }));
    CHECK(seen == text);
    CHECK(c.get_copy(1) == text);
  }
}

TEST_CASE("get_many takes ranges of whatever converts to a key", "[cache_reads]") {
  kcache::cache<std::string, int> c{{.capacity = 8}};
  c.put("a", 1);
  c.put("b", 2);
  auto const yields = [](auto const& found) {
    return found.size() == 3 && found[0] && *found[0] == 2 && !found[1] && found[2] &&
           *found[2] == 1;
  };
  CHECK(yields(c.get_many(std::vector<std::string>{"b", "c", "a"})));
  CHECK(yields(c.get_many(std::vector<std::string_view>{"b", "c", "a"})));
  CHECK(yields(c.get_many(std::vector<char const*>{"b", "c", "a"})));
  CHECK(yields(c.get_many(std::list<std::string>{"b", "c", "a"})));
  char const* const array[] = {"b", "c", "a"};
  CHECK(yields(c.get_many(array)));
  CHECK(yields(c.get_many(std::initializer_list<std::string_view>{"b", "c", "a"})));

  kcache::cache<std::uint64_t, int> numbers{{.capacity = 8}};
  numbers.put(1U, 1);
  auto const found = numbers.get_many(std::vector<unsigned short>{0, 1});
  CHECK_FALSE(found[0]);
  CHECK(*found[1] == 1);
}

TEST_CASE("put takes strings of every kind", "[cache_reads]") {
  kcache::cache<std::string, std::string> c{{.capacity = 8}};
  std::string const name = "name";
  std::string_view const view = name;
  char const* const pointer = "pointer";
  c.put(name, view);
  CHECK(c.get_copy("name") == "name");
  c.put(view, pointer);
  CHECK(c.get_copy("name") == "pointer");
  c.put(pointer, std::string{"string"});
  CHECK(c.get_copy(pointer) == "string");
  c.put("literal", name);
  CHECK(c.get_copy("literal") == "name");
  c.put({'b', 'r'}, {3, 'x'});  // braces make a std::string
  CHECK(c.get_copy("br") == "\3x");
  c.put(std::string{"moved"}, "text");
  CHECK(c.put_if(view, "guarded", [] { return true; }).stored);
  CHECK(c.get_copy("name") == "guarded");
  CHECK(name == "name");

  kcache::cache<int, std::pair<int, std::vector<int>>> pairs{{.capacity = 8}};
  pairs.put(1, {2, {3, 4}});
  CHECK(pairs.get(1)->second.size() == 2);
  std::pair<int, std::vector<int>> const kept{5, {6}};
  pairs.put(2, kept);  // a copy
  CHECK(kept.second.size() == 1);
  CHECK(pairs.get(2)->first == 5);
}

TEST_CASE("look-ups by view, and puts of views, build no strings", "[cache_reads]") {
  kcache::cache<std::string, std::string> c{{.capacity = 100}};
  std::string const long_key(60, 'k');
  std::string const long_value(600, 'v');
  c.put(long_key, long_value);
  std::string_view const key = long_key;
  char const* const characters = long_key.c_str();
  static_cast<void>(c.get(key));  // the thread's first read registers it

  auto const before = test::allocations();
  bool all = static_cast<bool>(c.get(key)) && static_cast<bool>(c.get(characters)) &&
             c.contains(characters) && static_cast<bool>(c.peek(key));
  std::size_t seen = 0;
  all = all && c.visit(characters, [&](std::string_view v) { seen = v.size(); });
  all = all && !c.erase("there is no such key, and it does not fit into a string") &&
        !c.get("there is no such key, and it does not fit into a string");
  auto const reads = test::allocations() - before;
  CHECK(all);
  CHECK(seen == 600);
  CHECK(reads == 0);

  auto const writing = test::allocations();
  c.put(key, std::string_view{long_value});
  CHECK(test::allocations() - writing == 1);
  auto const many = test::allocations();
  auto const found = c.get_many(std::initializer_list<std::string_view>{key, "x", key});
  CHECK(test::allocations() - many == 1);
  CHECK(found.size() == 3);

  kcache::cache<std::uint64_t, std::uint64_t> pairs{{.capacity = 100}};
  pairs.put(1U, 1U);
  auto const none = test::allocations();
  pairs.put(1U, 2U);
  pairs.put(2U, 2U);
  static_cast<void>(pairs.get(1));
  CHECK(test::allocations() == none);
}

TEST_CASE("handles of one entry are shared, those of small values are copies", "[cache_reads]") {
  kcache::cache<int, std::string> texts{{.capacity = 4}};
  texts.put(1, "text");
  CHECK(texts.get(1) == texts.peek(1));
  CHECK(texts.get(1)->data() == texts.peek(1)->data());
  CHECK(texts.get_many(std::vector<int>{1})[0] == texts.get(1));
  texts.put(1, "text");
  auto const old = texts.get(1);
  texts.put(1, "text");
  CHECK(texts.get(1) != old);

  kcache::cache<int, int> numbers{{.capacity = 4}};
  numbers.put(1, 5);
  CHECK(numbers.get(1) == numbers.get(1));
  CHECK(kcache::handle<int>::holds_copy);
  CHECK_FALSE(kcache::handle<std::string>::holds_copy);
}
