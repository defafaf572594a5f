// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/group_gathering.hpp>

#include "support/catch.hpp"

#include <kcache/single_flight.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

using kcache::errc;
using kcache::never;

namespace {

using answer = kcache::result<int>;
struct same {
  std::uint64_t operator()(int key) const { return static_cast<std::uint64_t>(key); }
};
using table = kcache::single_flight<int, answer, same>;
using done = std::function<void(std::vector<answer>)>;
using gathering = kcache::detail::gathering<table, answer, done>;

std::string told(std::vector<answer> const& all) {
  std::string text;
  for (auto const& a : all)
    text +=
        (text.empty() ? "" : " ") + (a ? std::to_string(*a) : std::string{name(a.error().code())});
  return text;
}

struct world {
  table flights;
  std::vector<std::string> heard;
  std::weak_ptr<gathering> alive;

  std::shared_ptr<gathering> gather(std::size_t keys) {
    auto g = std::make_shared<gathering>(
        keys, [this](std::vector<answer> const& all) { heard.push_back(told(all)); });
    g->begin(nullptr);
    alive = g;
    return g;
  }
  table::flight_ptr wait(gathering& g, std::size_t index, int key) {
    auto& w = g.add(index, nullptr, flights, flights.hash_of(key), never, false);
    return flights.join(key, flights.hash_of(key), w)->flight;
  }
};

}  // namespace

TEST_CASE_METHOD(world, "it is done when the last answer has come and all were asked for") {
  auto g = gather(3);
  auto const f = wait(*g, 2, 7), h = wait(*g, 0, 8);
  flights.finish(f, 70);
  g->set(1, answer{errc::not_found});
  flights.finish(h, 80);
  CHECK(heard.empty());
  g->all_asked();
  CHECK(heard == std::vector<std::string>{"80 not_found 70"});
  g.reset();
  CHECK(alive.expired());
}

TEST_CASE_METHOD(world, "it keeps itself alive until then, and no longer") {
  auto g = gather(2);
  auto const f = wait(*g, 0, 7);
  g->set(1, 1);
  g->all_asked();
  g.reset();
  CHECK_FALSE(alive.expired());
  CHECK(heard.empty());
  flights.finish(f, 70);
  CHECK(heard == std::vector<std::string>{"70 1"});
  CHECK(alive.expired());
}

TEST_CASE_METHOD(world, "nothing to gather is done at once") {
  auto const g = gather(0);
  CHECK(heard.empty());
  g->all_asked();
  CHECK(heard == std::vector<std::string>{""});
}

TEST_CASE_METHOD(world, "a key that is asked for twice has two places") {
  auto const g = gather(2);
  auto const f = wait(*g, 0, 7);
  CHECK(wait(*g, 1, 7) == f);
  g->all_asked();
  flights.finish(f, 5);
  CHECK(heard == std::vector<std::string>{"5 5"});
}

TEST_CASE_METHOD(world, "who leaves has the answers that are there") {
  auto const g = gather(3);
  auto const f = wait(*g, 0, 7), h = wait(*g, 1, 8);
  g->set(2, 3);
  g->all_asked();
  flights.finish(f, 70);
  g->leave(answer{errc::deadline});
  CHECK(heard == std::vector<std::string>{"70 deadline 3"});
  CHECK(kcache::load_context{h}.cancelled());
  flights.finish(h, 80);
  g->leave(answer{errc::cancelled});
  CHECK(heard.size() == 1);
}

TEST_CASE_METHOD(world, "it leaves when its token says so, and lets go of itself there") {
  std::stop_source stop;
  auto g = gather(2);
  auto const f = wait(*g, 0, 7), h = wait(*g, 1, 8);
  bool const before = GENERATE(true, false);
  if (before) stop.request_stop();
  g->all_asked();
  flights.finish(f, 70);
  g->leave_when(stop.get_token());
  g.reset();
  if (!before) {
    CHECK(heard.empty());
    CHECK_FALSE(alive.expired());
    stop.request_stop();
  }
  CHECK(heard == std::vector<std::string>{"70 cancelled"});
  CHECK(alive.expired());
  flights.finish(h, 1);
}

TEST_CASE_METHOD(world, "what is done may destroy whatever it likes") {
  auto g = std::make_shared<gathering>(1, [&](std::vector<answer> const& all) {
    heard.push_back(told(all));
    CHECK_FALSE(alive.expired());
    flights.close(errc::cancelled);
  });
  alive = g;
  g->begin(nullptr);
  auto const f = wait(*g, 0, 7);
  g->all_asked();
  g.reset();
  flights.finish(f, 1);
  CHECK(heard == std::vector<std::string>{"1"});
  CHECK(alive.expired());
}
