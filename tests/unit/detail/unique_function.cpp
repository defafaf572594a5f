// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/unique_function.hpp>

#include "support/catch.hpp"

#include <array>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

using kcache::unique_function;

namespace {

/// Counts its living; of the given size.
template <std::size_t Size>
class probe {
 public:
  explicit probe(int& living) noexcept : living_{&living} { ++*living_; }
  probe(probe&& other) noexcept : living_{other.living_}, calls_{other.calls_} { ++*living_; }
  probe& operator=(probe&&) = delete;
  ~probe() { --*living_; }
  int operator()(int x) { return x + ++calls_; }

 private:
  int* living_;
  int calls_ = 0;
  std::array<char, Size> fill_{};
};

struct move_throws {
  move_throws() = default;
  move_throws(move_throws&&) {}  // not noexcept: kept on the heap
  int operator()() { return 1; }
};

int twice(int x) { return 2 * x; }

}  // namespace

static_assert(!std::is_copy_constructible_v<unique_function<void()>>);
static_assert(std::is_nothrow_move_constructible_v<unique_function<void()>>);
static_assert(!std::is_constructible_v<unique_function<void()>, int>);
static_assert(!std::is_constructible_v<unique_function<int()>, void (*)()>);

TEMPLATE_TEST_CASE_SIG("a callable lives as long as its function", "[unique_function]",
                       ((std::size_t Size), Size), 1, 40, 200) {
  int living = 0;
  {
    unique_function<int(int)> f{probe<Size>{living}};
    CHECK(f);
    CHECK(living == 1);
    CHECK(f(10) == 11);
    CHECK(f(10) == 12);

    auto g = std::move(f);
    CHECK_FALSE(f);  // NOLINT: moved from is empty
    CHECK(living == 1);
    CHECK(g(10) == 13);

    unique_function<int(int)> h{probe<Size>{living}};
    CHECK(living == 2);
    h = std::move(g);
    CHECK(living == 1);
    CHECK(h(10) == 14);
    auto& same = h;
    h = std::move(same);
    CHECK(h(10) == 15);
    h = nullptr;
    CHECK_FALSE(h);
    CHECK(living == 0);
    f = unique_function<int(int)>{probe<Size>{living}};
    CHECK(f(0) == 1);
  }
  CHECK(living == 0);
}

TEST_CASE("an empty function says so", "[unique_function]") {
  CHECK_FALSE(unique_function<void()>{});
  CHECK_FALSE(unique_function<void()>{nullptr});
}

TEST_CASE("functions, move-only captures and arguments", "[unique_function]") {
  unique_function<int(int)> f = twice;
  CHECK(f(21) == 42);

  unique_function<int(std::unique_ptr<int>)> add =
      [held = std::make_unique<int>(40)](std::unique_ptr<int> more) { return *held + *more; };
  CHECK(add(std::make_unique<int>(2)) == 42);

  std::string text = "a";
  unique_function<std::string&(std::string&)> append = [](std::string& s) -> std::string& {
    return s += "b";
  };
  CHECK(&append(text) == &text);
  CHECK(text == "ab");

  unique_function<void()> drops = [] { return 7; };
  drops();

  unique_function<int()> heap = move_throws{};
  auto moved = std::move(heap);
  CHECK(moved() == 1);
}

TEST_CASE("an exception passes through", "[unique_function]") {
  unique_function<void()> f = [] { throw std::string{"no"}; };
  CHECK_THROWS_AS(f(), std::string);
  CHECK(f);
}
