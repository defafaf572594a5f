// SPDX-License-Identifier: BSL-1.0
#include <kcache/beast/async_get.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/manual_policies.hpp"

#include <kcache/testing/manual_executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace kb = kcache::beast;
using namespace std::chrono_literals;
using test::answer;
using test::told;
using answers = std::vector<answer>;
using names = std::vector<std::string>;

names told_all(answers const& all) {
  names texts;
  for (auto const& a : all) texts.push_back(told(a));
  return texts;
}

// Handlers of two types an executor, for operations that are compiled once.
template <class Executor>
auto on(Executor const& executor, std::function<void(answer const&)> h) {
  return asio::bind_executor(executor, std::move(h));
}
template <class Executor>
auto many_on(Executor const& executor, std::function<void(answers const&)> h) {
  return asio::bind_executor(executor, std::move(h));
}
auto on(asio::io_context& io, std::function<void(answer const&)> h) {
  return on(io.get_executor(), std::move(h));
}
auto many_on(asio::io_context& io, std::function<void(answers const&)> h) {
  return many_on(io.get_executor(), std::move(h));
}

/// Lets loads and handlers run until neither has anything left to do.
void settle(kcache::testing::manual_executor const& work, asio::io_context& io) {
  for (bool busy = true; busy;) {
    busy = work.run_ready() != 0;
    io.restart();
    busy = io.poll() != 0 || busy;
  }
}

struct fixture {
  kcache::testing::manual_clock time;
  kcache::testing::manual_executor work{time};
  asio::io_context io;
  int loads = 0;
  test::manual_strings scores{{.name = "scores", .capacity = 100, .clock = time, .executor = work},
                              [this](std::string const& key) -> std::optional<std::string> {
                                ++loads;
                                if (key == "nobody") return std::nullopt;
                                return "value of " + key;
                              }};

  void settle() { ::settle(work, io); }
};

/// Loads end when the test says so.
struct open_fixture {
  kcache::testing::manual_clock time;
  kcache::testing::manual_executor work{time};
  asio::io_context io;
  test::open_loads source;
  test::manual_strings scores{{.name = "open", .capacity = 100, .clock = time, .executor = work},
                              source.loader()};

  void settle() { ::settle(work, io); }
  void end(std::string const& key) {
    source.end(key, "value of " + key);
    settle();
  }
};

/// A handler that can be cancelled, and what it was told.
struct cancellable {
  asio::cancellation_signal signal;
  test::listener told;
  bool slot_was_clear = false;

  auto handler(asio::io_context& io) {
    return asio::bind_cancellation_slot(signal.slot(),
                                        on(io, [this, h = told.handler()](answer const& a) {
                                          slot_was_clear = !signal.slot().has_handler();
                                          h(a);
                                        }));
  }
};

TEST_CASE("a coroutine awaits a value, and an error is a value too") {
  fixture f;
  std::string found;
  std::optional<kcache::errc> failed;
  asio::co_spawn(
      f.io,
      [&]() -> asio::awaitable<void> {
        auto const tom = co_await kb::async_get(f.scores, "Tom", asio::use_awaitable);
        found = **tom;
        auto const none = co_await kb::async_get(f.scores, "nobody", asio::use_awaitable);
        failed = none.error().code();
      },
      asio::detached);
  f.settle();
  CHECK(found == "value of Tom");
  CHECK(failed == kcache::errc::not_found);
  CHECK(f.loads == 2);
}

TEST_CASE("the handler runs on its executor, never inside the initiating call") {
  fixture f;
  (void)f.scores.get("Tom");  // a hit from now on: the core would answer it inline
  auto const strand = asio::make_strand(f.io);
  int calls = 0;
  bool on_executor = false;
  kb::async_get(f.scores, "Tom", on(strand, [&](answer const& a) {
                  ++calls;
                  on_executor = strand.running_in_this_thread();
                  CHECK(**a == "value of Tom");
                }));
  CHECK(calls == 0);
  f.settle();
  CHECK(calls == 1);
  CHECK(on_executor);
}

TEST_CASE("nor on the thread that ends the load") {
  open_fixture f;
  bool inside = false, called_inside = false;
  kb::async_get(f.scores, "Tom", on(f.io, [&](answer const&) { called_inside = inside; }));
  f.settle();
  asio::post(f.io, [&] {  // on the handler's very executor
    inside = true;
    f.source.end("Tom", "value of Tom");
    inside = false;
  });
  f.settle();
  CHECK_FALSE(called_inside);
  CHECK(f.scores.contains("Tom"));
}

TEST_CASE("a pending get keeps the handler's context from running out of work") {
  fixture f;
  bool called = false;
  kb::async_get(f.scores, "Tom", on(f.io, [&](answer const&) { called = true; }));
  f.io.poll();
  CHECK_FALSE(f.io.stopped());
  f.settle();
  CHECK(called);
  f.io.restart();
  f.io.poll();
  CHECK(f.io.stopped());
}

TEST_CASE("a deadline is an answer") {
  open_fixture f;
  test::listener l;
  auto const deadline = kcache::after(f.work.now(), 10ms);
  kb::async_get(f.scores, "Tom", deadline, on(f.io, l.handler()));
  f.work.run_until(deadline);
  f.settle();
  CHECK(l.only() == "deadline");
}

TEST_CASE("futures and deferred operations; a deferred one keeps its own key") {
  fixture f;
  auto future = kb::async_get(f.scores, "Tom", asio::use_future);
  auto operation = [&] {
    std::string const key = "a key that is too long for the small string buffer";
    return kb::async_get(f.scores, key, asio::deferred);
  }();
  CHECK(f.loads == 0);
  std::string late;
  std::move(operation)(on(f.io, [&](answer const& a) { late = **a; }));
  f.settle();
  CHECK(late == "value of a key that is too long for the small string buffer");
  CHECK(**future.get() == "value of Tom");
}

TEST_CASE("a group's own deadline is counted from the start of a deferred get") {
  open_fixture f;
  test::listener l;
  auto operation = kb::async_get(f.scores, "Tom", asio::deferred);
  f.work.run_for(10s);
  std::move(operation)(on(f.io, l.handler()));
  f.work.run_for(999ms);
  f.end("Tom");
  CHECK(l.only() == "value value of Tom");
}

TEST_CASE("nobody need hear the answer") {
  fixture f;
  kb::async_get(f.scores, "Tom", asio::detached);
  f.settle();
  CHECK(f.scores.contains("Tom"));
}

TEST_CASE("a handler that can only be moved") {
  fixture f;
  auto seen = std::make_unique<std::string>();
  auto* const text = seen.get();
  kb::async_get(f.scores, "Tom",
                asio::bind_executor(f.io, [seen = std::move(seen), text](answer const& a) {
                  *text = **a;
                  CHECK(*seen == "value of Tom");
                }));
  f.settle();
  CHECK(f.loads == 1);
}

TEST_CASE("a handler may ask for its own key at once") {
  open_fixture f;
  cancellable first, second;
  test::listener l;
  kb::async_get(f.scores, "Tom", on(f.io, [&](answer const& a) {
                  CHECK(told(a) == "cancelled");
                  kb::async_get(f.scores, "Tom", second.handler(f.io));
                }));
  kb::async_get(f.scores, "Tom", first.handler(f.io));
  f.settle();
  f.source.end("Tom", kcache::errc::cancelled);
  f.settle();
  CHECK(first.told.only() == "cancelled");
  CHECK(f.source.begun == 2);
  f.end("Tom");
  CHECK(second.told.only() == "value value of Tom");
}

/// Counts what an operation takes.
template <class T>
struct counting_allocator {
  using value_type = T;
  explicit counting_allocator(int* n) noexcept : count{n} {}
  template <class U>
  counting_allocator(counting_allocator<U> const& other) noexcept : count{other.count} {}
  T* allocate(std::size_t n) {
    ++*count;
    return std::allocator<T>{}.allocate(n);
  }
  void deallocate(T* at, std::size_t n) noexcept { std::allocator<T>{}.deallocate(at, n); }
  friend bool operator==(counting_allocator const& a, counting_allocator const& b) noexcept {
    return a.count == b.count;
  }
  int* count;
};

TEST_CASE("a handler is posted with its allocator") {
  fixture f;
  int count = 0;
  test::listener l;
  kb::async_get(f.scores, "Tom",
                asio::bind_allocator(counting_allocator<char>{&count},
                                     asio::bind_executor(f.io, l.handler())));
  f.settle();
  CHECK(l.only() == "value value of Tom");
  CHECK(count == 1);
}

TEST_CASE("a group that goes answers on the handler's executor") {
  asio::io_context io;
  test::listener l;
  cancellable c;
  kcache::testing::manual_executor work;
  test::open_loads source;
  {
    test::manual_strings scores{{.name = "gone", .capacity = 1, .executor = work}, source.loader()};
    kb::async_get(scores, "Tom", on(io, l.handler()));
    kb::async_get(scores, "Tom", c.handler(io));
    work.run_ready();
  }
  CHECK(l.heard.empty());
  c.signal.emit(asio::cancellation_type::terminal);  // too late, and harmless
  io.poll();
  CHECK(l.only() == "cancelled");
  CHECK(c.told.only() == "cancelled");
}

// Cancellation.

TEST_CASE("a hundred wait, one is cancelled and leaves alone") {
  open_fixture f;
  std::deque<cancellable> all(100);
  for (auto& c : all) kb::async_get(f.scores, "Tom", c.handler(f.io));
  f.settle();
  REQUIRE(f.scores.explain("Tom").waiters == 100);

  all[42].signal.emit(asio::cancellation_type::terminal);
  CHECK(all[42].told.heard.empty());  // not in the thread that cancels
  CHECK(f.scores.explain("Tom").waiters == 99);
  f.settle();
  CHECK(all[42].told.only() == "cancelled");
  CHECK(all[42].slot_was_clear);

  f.end("Tom");
  std::size_t values = 0;
  for (auto& c : all) values += c.told.only() == "value value of Tom" && c.slot_was_clear;
  CHECK(values == 99);
  CHECK(f.source.begun == 1);
  CHECK(f.scores.flights() == 0);
}

TEST_CASE("any type of cancellation will do, and none is none") {
  auto const type = GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                             asio::cancellation_type::total);
  open_fixture f;
  cancellable c;
  kb::async_get(f.scores, "Tom", c.handler(f.io));
  f.settle();
  c.signal.emit(asio::cancellation_type::none);
  f.settle();
  CHECK(c.told.heard.empty());
  c.signal.emit(type);
  c.signal.emit(type);  // once is enough
  f.settle();
  CHECK(c.told.only() == "cancelled");
  auto const load = f.source.take("Tom");
  CHECK(load.context.cancelled());  // nobody is left
}

TEST_CASE("a cancellation that comes after the answer changes nothing") {
  open_fixture f;
  cancellable c;
  kb::async_get(f.scores, "Tom", c.handler(f.io));
  f.settle();
  f.source.end("Tom", "value of Tom");
  c.signal.emit(asio::cancellation_type::terminal);  // the answer is on its way
  f.settle();
  c.signal.emit(asio::cancellation_type::terminal);  // it has arrived
  f.settle();
  CHECK(c.told.only() == "value value of Tom");
  CHECK(c.slot_was_clear);
}

TEST_CASE("a hit and a remembered absence clear the slot, too") {
  fixture f;
  (void)f.scores.get("Tom");
  (void)f.scores.get("nobody");
  cancellable hit, absent;
  kb::async_get(f.scores, "Tom", hit.handler(f.io));
  kb::async_get(f.scores, "nobody", absent.handler(f.io));
  f.settle();
  CHECK(hit.told.only() == "value value of Tom");
  CHECK(absent.told.only() == "not_found");
  CHECK(hit.slot_was_clear);
  CHECK(absent.slot_was_clear);
}

TEST_CASE("a deadline comes first, for a get that could be cancelled") {
  open_fixture f;
  cancellable c;
  kb::async_get(f.scores, "Tom", c.handler(f.io));
  f.work.run_for(1s);
  c.signal.emit(asio::cancellation_type::terminal);
  f.settle();
  CHECK(c.told.only() == "deadline");
}

TEST_CASE("a get or a timer, whichever is first") {
  using namespace asio::experimental::awaitable_operators;
  open_fixture f;
  asio::steady_timer over{f.io, asio::steady_timer::time_point::min()};
  asio::steady_timer hung{f.io, asio::steady_timer::time_point::max()};
  std::vector<std::size_t> first;
  asio::co_spawn(
      f.io,
      [&]() -> asio::awaitable<void> {
        auto const slow = co_await (kb::async_get(f.scores, "Tom", asio::use_awaitable) ||
                                    over.async_wait(asio::use_awaitable));
        first.push_back(slow.index());
        auto const fast = co_await (kb::async_get(f.scores, "Sam", asio::use_awaitable) ||
                                    hung.async_wait(asio::use_awaitable));
        first.push_back(fast.index());
      },
      asio::detached);
  f.settle();
  CHECK(first == std::vector<std::size_t>{1});
  CHECK(f.source.begun == 1);  // Sam's: Tom's was given up before it began
  f.end("Sam");
  CHECK(first == std::vector<std::size_t>{1, 0});
}

// Many keys.

TEST_CASE("a coroutine and a future await many keys") {
  fixture f;
  names heard;
  asio::co_spawn(
      f.io,
      [&]() -> asio::awaitable<void> {
        names const keys{"Tom", "nobody", "Tom"};
        heard = told_all(co_await kb::async_get_many(f.scores, keys, asio::use_awaitable));
      },
      asio::detached);
  f.settle();
  CHECK(heard == names{"value value of Tom", "not_found", "value value of Tom"});

  auto future = kb::async_get_many(f.scores, std::array{"Tom", "Sam"}, asio::use_future);
  f.settle();
  CHECK(told_all(future.get()) == names{"value value of Tom", "value value of Sam"});
  CHECK(f.loads == 3);
}

TEST_CASE("a deferred get of many keys keeps its own; the handler is posted, even for no key") {
  fixture f;
  auto operation = [&] {
    names const keys{"a key that is too long for the small string buffer"};
    return kb::async_get_many(f.scores, keys, asio::deferred);
  }();
  names heard;
  std::move(operation)(many_on(f.io, [&](answers const& a) { heard = told_all(a); }));
  f.settle();
  CHECK(heard == names{"value value of a key that is too long for the small string buffer"});

  int calls = 0;
  kb::async_get_many(f.scores, names{},
                     many_on(f.io, [&](answers const& a) { calls += a.empty(); }));
  CHECK(calls == 0);
  f.settle();
  CHECK(calls == 1);
}

TEST_CASE("many keys and a deadline") {
  open_fixture f;
  names heard;
  auto const deadline = kcache::after(f.work.now(), 10ms);
  kb::async_get_many(f.scores, names{"Tom", "Sam"}, deadline,
                     many_on(f.io, [&](answers const& a) { heard = told_all(a); }));
  f.settle();
  f.end("Sam");
  CHECK(heard.empty());
  f.work.run_until(deadline);
  f.settle();
  CHECK(heard == names{"deadline", "value value of Sam"});
}

TEST_CASE("many keys, cancelled: those without an answer are, the others are not") {
  open_fixture f;
  asio::cancellation_signal signal;
  bool slot_was_clear = false;
  names heard;
  test::listener other;
  kb::async_get(f.scores, "Jack", on(f.io, other.handler()));
  kb::async_get_many(
      f.scores, names{"Tom", "Sam", "Jack"},
      asio::bind_cancellation_slot(signal.slot(), many_on(f.io, [&](answers const& a) {
                                     slot_was_clear = !signal.slot().has_handler();
                                     heard = told_all(a);
                                   })));
  f.settle();
  f.end("Sam");
  CHECK(heard.empty());
  signal.emit(asio::cancellation_type::terminal);
  CHECK(heard.empty());
  f.settle();
  CHECK(heard == names{"cancelled", "value value of Sam", "cancelled"});
  CHECK(slot_was_clear);
  CHECK(f.source.take("Tom").context.cancelled());
  f.end("Jack");  // the other one's load has gone on
  CHECK(other.only() == "value value of Jack");
  f.settle();
  CHECK(f.scores.flights() == 0);
}

TEST_CASE("on behalf of a load: circles are found, and one may be cancelled there, too") {
  open_fixture f;
  test::listener l;
  kb::async_get(f.scores, "Tom", on(f.io, l.handler()));
  f.settle();
  auto tom = f.source.take("Tom");

  test::listener circle;
  kb::async_get(f.scores, "Tom", tom.context, on(f.io, circle.handler()));
  f.settle();
  CHECK(circle.only().starts_with("recursive_load"));

  names many;
  kb::async_get_many(f.scores, names{"Tom", "Sam"}, tom.context,
                     many_on(f.io, [&](answers const& a) { many = told_all(a); }));
  cancellable nested;
  kb::async_get(f.scores, "Eve", tom.context, kcache::never, nested.handler(f.io));
  f.settle();
  f.end("Sam");
  REQUIRE(many.size() == 2);
  CHECK(many[0].starts_with("recursive_load"));
  CHECK(many[1] == "value value of Sam");

  nested.signal.emit(asio::cancellation_type::terminal);
  f.settle();
  CHECK(nested.told.only() == "cancelled");
  CHECK(f.source.take("Eve").context.cancelled());
  tom.done(std::string{"630"});
  f.settle();
  CHECK(l.only() == "value 630");
}

// Threads.

using plain_strings = kcache::group<std::string, std::string>;

/// Loads end when another thread has them end.
struct ended_elsewhere {
  asio::thread_pool threads{1};
  auto loader() {
    return [this](std::string const& key, kcache::load_context,
                  kcache::load_completion<std::string> done) {
      asio::post(threads, [key, done = std::move(done)]() mutable { done("value of " + key); });
    };
  }
};

TEST_CASE("cancellation and the end of a load race", "[concurrent]") {
  ended_elsewhere source;
  plain_strings scores{{.name = "raced", .capacity = 8}, source.loader()};
  asio::thread_pool handlers{2};
  struct waiter {
    // No any_io_executor: it counts its users by a fence, which thread sanitizers do not know.
    asio::strand<asio::thread_pool::executor_type> strand;
    asio::cancellation_signal signal;
    int calls = 0;
  };
  std::atomic<int> values{0}, cancelled{0}, wrong{0};

  auto const rounds = static_cast<int>(test::effort(1'000, 50'000));
  for (int round = 0; round != rounds; ++round) {
    std::string const key = std::to_string(round);
    std::deque<waiter> all;
    for (int i = 0; i != 4; ++i) all.emplace_back(asio::make_strand(handlers.get_executor()));
    std::latch over{4};
    auto const hear = [&](waiter& w, answer const& a) {
      if (w.calls++ != 0 || w.signal.slot().has_handler()) ++wrong;
      if (a && **a == "value of " + key) ++values;
      else if (!a && a.error() == kcache::errc::cancelled) ++cancelled;
      else ++wrong;
      over.count_down();
    };
    for (std::size_t i = 0; i != all.size(); ++i) {
      waiter& w = all[i];
      // Begins on its strand, where it is cancelled, too.
      asio::post(w.strand, [&, i] {
        auto const slot = w.signal.slot();
        if (i % 2 == 0)
          kb::async_get(scores, key,
                        asio::bind_cancellation_slot(
                            slot, on(w.strand, [&](answer const& a) { hear(w, a); })));
        else
          kb::async_get_many(
              scores, std::array{key, key + "'"},
              asio::bind_cancellation_slot(
                  slot, many_on(w.strand, [&](answers const& a) { hear(w, a.front()); })));
        asio::post(w.strand, [&w] { w.signal.emit(asio::cancellation_type::terminal); });
      });
    }
    over.wait();
    // What was posted to the strands after the answers has to be over, too.
    for (waiter& w : all) {
      std::latch idle{1};
      asio::post(w.strand, [&] { idle.count_down(); });
      idle.wait();
    }
  }
  handlers.join();
  CHECK(wrong == 0);
  CHECK(values + cancelled == 4 * rounds);
}

TEST_CASE_METHOD(fixture, "the members of a group take tokens, too") {
  std::string coroutine;
  asio::co_spawn(
      io,
      [this, &coroutine]() -> asio::awaitable<void> {
        coroutine = told(co_await scores.async_get("Tom", asio::use_awaitable));
      },
      asio::detached);
  auto one = scores.async_get("Tom", asio::use_future);
  auto many = scores.async_get_many(names{"Tom", "nobody"}, work.now() + 1s, asio::use_future);
  std::string bound;
  // A bound handler is a token: it runs on its executor.
  scores.async_get("Tom", on(io, [&](answer const& a) { bound = told(a); }));
  CHECK(bound.empty());
  settle();
  CHECK(coroutine == "value value of Tom");
  CHECK(told(one.get()) == "value value of Tom");
  CHECK(told_all(many.get()) == names{"value value of Tom", "not_found"});
  CHECK(bound == "value value of Tom");
  // A function that is nothing else is called by the group itself.
  std::string plain;
  scores.async_get("Tom", [&](answer const& a) { plain = told(a); });
  CHECK(plain == "value value of Tom");
}

}  // namespace
