// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_UNIT_PCH_UNIT_HPP
#define KCACHE_TESTS_UNIT_PCH_UNIT_HPP
/// \file
/// What a unit test takes longest to read, read once for all of them. Nothing of kcache is in it:
/// a change of kcache does not rebuild it, and each test includes what it tests. That a header
/// does without this is shown by tests/architecture/headers.py.

#include <support/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#endif
