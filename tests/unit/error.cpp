// SPDX-License-Identifier: BSL-1.0
#include <kcache/error.hpp>

#include "support/catch.hpp"

#include <set>
#include <string>
#include <system_error>

using kcache::errc;
using kcache::error;

namespace {

constexpr errc first = errc::not_found;
constexpr errc last = errc::cannot_listen;

}  // namespace

static_assert(std::is_error_code_enum_v<errc>);

TEST_CASE("every code has a name of its own", "[error]") {
  std::set<std::string> names;
  for (int c = static_cast<int>(first); c <= static_cast<int>(last); ++c) {
    std::string const n = name(static_cast<errc>(c));
    INFO(n);
    CHECK(n != "unknown error");
    CHECK(names.insert(n).second);
  }
  CHECK(names.count("recursive_load") == 1);
  CHECK(std::string{name(static_cast<errc>(0))} == "unknown error");
  CHECK(std::string{name(static_cast<errc>(static_cast<int>(last) + 1))} == "unknown error");
}

TEST_CASE("codes speak std::error_code", "[error]") {
  std::error_code const e = errc::deadline;
  CHECK(e);
  CHECK(e == errc::deadline);
  CHECK(e != errc::not_found);
  CHECK(e.category() == kcache::error_category());
  CHECK(std::string{e.category().name()} == "kcache");
  CHECK(e.message() == "deadline");
}

TEST_CASE("an error has a message, or the name of its code", "[error]") {
  error const plain = errc::overloaded;
  CHECK(plain.code() == errc::overloaded);
  CHECK(plain.message() == "overloaded");

  error const told{errc::loader_failed, "no such table"};
  CHECK(told == errc::loader_failed);
  CHECK_FALSE(told == errc::deadline);
  CHECK(told.message() == "no such table");

  error const copy = told;
  CHECK(copy.message() == told.message());
}

TEST_CASE("a failure carries code and message", "[error]") {
  try {
    throw kcache::failure{error{errc::unreachable, "10.0.0.1:80"}};
  } catch (std::system_error const& e) {
    CHECK(e.code() == errc::unreachable);
    CHECK(std::string{e.what()}.find("10.0.0.1:80") != std::string::npos);
    CHECK(dynamic_cast<kcache::failure const&>(e).kind() == errc::unreachable);
  }
}
