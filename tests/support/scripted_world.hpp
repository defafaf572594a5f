// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_SCRIPTED_WORLD_HPP
#define KCACHE_TESTS_SUPPORT_SCRIPTED_WORLD_HPP
/// \file
/// Groups in one thread under virtual time whose source does what the test says.

#include "support/manual_policies.hpp"

#include <kcache/testing/scripted_loader.hpp>

#include <string>

namespace test {

using scripted = kcache::testing::scripted_loader<std::string, std::string>;

/// No key exists unless the script says so.
struct scripted_world : manual_world {
  scripted load{work};
};

}  // namespace test

#endif
