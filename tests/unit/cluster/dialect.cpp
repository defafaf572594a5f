// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/dialect.hpp>

#include "support/catch.hpp"

#include <optional>
#include <string_view>

TEST_CASE("a dialect is found by its name", "[dialect]") {
  using kcache::dialect;
  for (auto const d : {dialect::native, dialect::kcache, dialect::groupcache})
    CHECK(kcache::dialect_named(kcache::name(d)) == d);
  CHECK(kcache::name(dialect::groupcache) == std::string_view{"groupcache"});
  for (auto const text : {"", "Native", "kcache ", "mailgun"})
    CHECK(kcache::dialect_named(text) == std::nullopt);
}
