// SPDX-License-Identifier: BSL-1.0
// Someone else's program over the core: a cache and a group, without Boost or nanopb.
#include <kcache/cache.hpp>
#include <kcache/group.hpp>
#include <kcache/version.hpp>

#include <cstdio>
#include <optional>
#include <string>

#ifdef BOOST_VERSION
#error "the core reaches Boost"
#endif
#ifdef PB_PROTO_HEADER_VERSION
#error "the core reaches nanopb"
#endif

int main() {
  kcache::cache<std::string, int> cache{{.capacity = 8}};
  cache.put("Tom", 630);

  kcache::group<std::string, int> group{
      {.name = "scores", .capacity = 8},
      [](std::string const& name) { return name == "Jack" ? std::optional{589} : std::nullopt; }};
  auto const jack = group.get("Jack");
  auto const nobody = group.get("nobody");

  bool const right = *cache.get("Tom") == 630 && jack && **jack == 589 && !nobody &&
                     nobody.error() == kcache::errc::not_found;
  std::printf("kcache %s: %s\n", KCACHE_VERSION_STRING, right ? "right" : "wrong");
  return right ? 0 : 1;
}
