// SPDX-License-Identifier: BSL-1.0
// A loader of another key, and one that yields another value.
// expect 1: kcache: a loader takes (K const&)
// expect 2: kcache: a loader takes (K const&)
#include <kcache/loader.hpp>

#include <optional>
#include <string>

struct source {
#if ERROR_CASE == 1
  int operator()(int*) const { return 630; }
#elif ERROR_CASE == 2
  std::optional<int*> operator()(std::string const&) const { return std::nullopt; }
#else
  std::optional<int> operator()(std::string const&) const { return 630; }
#endif
};

int main() {
  kcache::loader<std::string, int> getter{source{}};
  (void)getter;
}
