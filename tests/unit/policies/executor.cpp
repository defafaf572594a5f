// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/executor.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

using kcache::one_shot_event;
using kcache::task;
using kcache::time_point;
using kcache::timer_id;

namespace {

/// What the concept asks for, and nothing else.
class archetype {
 public:
  archetype(archetype const&) = default;
  archetype& operator=(archetype const&) = delete;
  time_point now() const;
  void post(task) const;
  timer_id schedule_at(time_point, task) const;
  bool cancel(timer_id) const;
  bool wait_until(one_shot_event&, time_point) const;

 private:
  archetype();
};

struct without_now : archetype {
  void now() const;
};
struct without_post : archetype {
  void post(int) const;
};
struct without_timers : archetype {
  void schedule_at(time_point, task) const;
};
struct without_cancel : archetype {
  void cancel(timer_id) const;
};
struct without_wait : archetype {
  bool wait_until(one_shot_event&) const;
};
struct not_const : archetype {
  void post(task);
};
struct not_copyable : archetype {
  not_copyable(not_copyable const&) = delete;
};

}  // namespace

TEST_CASE("the concept asks for what its table says") {
  STATIC_REQUIRE(kcache::executor<archetype>);
  STATIC_REQUIRE_FALSE(kcache::executor<without_now>);
  STATIC_REQUIRE_FALSE(kcache::executor<without_post>);
  STATIC_REQUIRE_FALSE(kcache::executor<without_timers>);
  STATIC_REQUIRE_FALSE(kcache::executor<without_cancel>);
  STATIC_REQUIRE_FALSE(kcache::executor<without_wait>);
  STATIC_REQUIRE_FALSE(kcache::executor<not_const>);
  STATIC_REQUIRE_FALSE(kcache::executor<not_copyable>);
}

TEST_CASE("an event happens once") {
  one_shot_event e;
  CHECK_FALSE(e.is_set());
  CHECK_FALSE(e.block_until(time_point::min()));
  e.set();
  e.set();
  CHECK(e.is_set());
  CHECK(e.block_until(time_point::min()));
  CHECK(e.block_until(kcache::never));
}

TEST_CASE("whoever has waited for an event may destroy it", "[concurrent]") {
  for (int i = 0; i != 300; ++i) {
    auto e = std::make_unique<one_shot_event>();
    std::thread setter{[&event = *e] { event.set(); }};
    CHECK(e->block_until(kcache::never));
    e.reset();
    setter.join();
  }
}

TEST_CASE("a scope in which nothing may block is the thread's, and nests", "[concurrent]") {
  using scope = kcache::no_blocking_scope;
  CHECK_FALSE(scope::active());
  {
    scope const outer;
    {
      scope const inner;
      CHECK(scope::active());
    }
    CHECK(scope::active());
    bool elsewhere = true;
    std::thread{[&] { elsewhere = scope::active(); }}.join();
    CHECK_FALSE(elsewhere);
  }
  CHECK_FALSE(scope::active());
}
