// SPDX-License-Identifier: BSL-1.0
#include <kcache/storage_traits.hpp>

#include "support/catch.hpp"

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using kcache::storage_traits;

namespace {

template <class T>
using view_of = typename storage_traits<T>::view_type;

}  // namespace

static_assert(std::same_as<view_of<int>, int const&>);
static_assert(std::same_as<view_of<std::unique_ptr<int>>, std::unique_ptr<int> const&>);
static_assert(std::same_as<view_of<std::vector<char>>, std::vector<char> const&>);
static_assert(std::same_as<view_of<std::string>, std::string_view>);
static_assert(std::same_as<view_of<std::u16string>, std::u16string_view>);

TEST_CASE("a view is the object, or its characters", "[storage_traits]") {
  std::unique_ptr<int> const p = std::make_unique<int>(1);
  CHECK(&storage_traits<std::unique_ptr<int>>::view(p) == &p);

  std::string const s("a\0b", 3);
  CHECK(storage_traits<std::string>::view(s).data() == s.data());
  CHECK(storage_traits<std::string>::view(s).size() == 3);
}

TEST_CASE("strings tell what they allocated", "[storage_traits]") {
  CHECK(storage_traits<int>::heap_bytes(7) == 0);
  CHECK(storage_traits<std::string>::heap_bytes("") == 0);
  CHECK(storage_traits<std::string>::heap_bytes("Tom") == 0);

  std::string const large(1000, 'x');
  CHECK(storage_traits<std::string>::heap_bytes(large) == large.capacity() + 1);
  std::u16string const wide(1000, u'x');
  CHECK(storage_traits<std::u16string>::heap_bytes(wide) == 2 * (wide.capacity() + 1));

  // Every length around the switch from one form to the other.
  for (std::size_t n = 0; n != 64; ++n) {
    std::string const s(n, 'x');
    bool const in_place = s.capacity() == std::string{}.capacity();
    CHECK((storage_traits<std::string>::heap_bytes(s) == 0) == in_place);
  }
}
