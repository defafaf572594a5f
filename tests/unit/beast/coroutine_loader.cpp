// SPDX-License-Identifier: BSL-1.0
#include <kcache/beast/coroutine_loader.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/manual_policies.hpp"
#include "support/threads.hpp"

#include <kcache/beast/async_get.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace kb = kcache::beast;
using namespace std::chrono_literals;
using test::manual_strings;

/// Awaits the coroutine's cancellation.
asio::awaitable<void> hang() {
  asio::steady_timer t{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
  co_await t.async_wait(asio::use_awaitable);
}

/// Lets others run for once. Not inlined: in the loop of a coroutine that goes on in another thread
/// clang 16 would keep the address of the first one's memory for frames, Asio's `thread_local`.
[[gnu::noinline]] asio::awaitable<void> yield() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

struct fixture {
  kcache::testing::manual_clock time;
  kcache::testing::manual_executor work{time};
  asio::io_context io;

  template <class F>
  manual_strings group_of(F f) {
    return {{.name = "loaded", .capacity = 100, .clock = time, .executor = work},
            kb::coroutine_loader<std::string, std::string>(io.get_executor(), std::move(f))};
  }
  void settle() {
    for (bool busy = true; busy;) {
      busy = work.run_ready() != 0;
      io.restart();
      busy = io.poll() != 0 || busy;
    }
  }
  /// The answer of a get, in the end.
  std::string got(manual_strings& g, std::string const& key) {
    test::listener l;
    g.async_get(key, l.handler());
    settle();
    return l.only();
  }
};

TEST_CASE("a loader that is a coroutine may yield whatever a loader may") {
  fixture f;
  auto const nobody = [](std::string const& key) { return key == "nobody"; };

  SECTION("a value") {
    auto g = f.group_of([](std::string key, kcache::load_context) -> asio::awaitable<std::string> {
      co_await yield();
      co_return "value of " + key;
    });
    CHECK(f.got(g, "Tom") == "value value of Tom");
    CHECK(f.got(g, "Tom") == "value value of Tom");
    CHECK(g.stats().loads == 1);
  }
  SECTION("what converts to one") {
    auto g = f.group_of(
        [](std::string, kcache::load_context) -> asio::awaitable<char const*> { co_return "630"; });
    CHECK(f.got(g, "Tom") == "value 630");
  }
  SECTION("perhaps a value") {
    auto g = f.group_of(
        [&](std::string key, kcache::load_context) -> asio::awaitable<std::optional<std::string>> {
          co_await yield();
          if (nobody(key)) co_return std::nullopt;
          co_return key;
        });
    CHECK(f.got(g, "Tom") == "value Tom");
    CHECK(f.got(g, "nobody") == "not_found");
  }
  SECTION("a value that lives so long") {
    auto g = f.group_of(
        [](std::string key, kcache::load_context) -> asio::awaitable<kcache::loaded<std::string>> {
          co_return kcache::loaded<std::string>{key, 5s};
        });
    CHECK(f.got(g, "Tom") == "value Tom");
    f.time.advance(6s);
    CHECK_FALSE(g.contains("Tom"));
  }
  SECTION("a result") {
    auto g = f.group_of(
        [&](std::string key, kcache::load_context) -> asio::awaitable<kcache::result<std::string>> {
          if (nobody(key)) co_return kcache::errc::not_found;
          co_return kcache::error{kcache::errc::loader_failed, "no connection"};
        });
    CHECK(f.got(g, "nobody") == "not_found");
    CHECK(f.got(g, "Tom") == "loader_failed: no connection");
  }
  SECTION("a result with a time to live") {
    auto g = f.group_of([&](std::string const& key, kcache::load_context const&)
                            -> asio::awaitable<kcache::result<kcache::loaded<std::string>>> {
      co_await yield();
      if (nobody(key)) co_return kcache::errc::not_found;
      co_return kcache::loaded<std::string>{key, 5s};
    });
    CHECK(f.got(g, "nobody") == "not_found");
    CHECK(f.got(g, "Tom") == "value Tom");
  }
}

TEST_CASE("an exception of a coroutine is a failure of the load, with its words") {
  fixture f;
  auto g = f.group_of([](std::string key, kcache::load_context) -> asio::awaitable<std::string> {
    if (key == "late") co_await yield();
    if (key == "failure") throw kcache::failure{{kcache::errc::not_found, "none of that name"}};
    if (key == "odd") throw 7;
    if (key == "aborted") throw boost::system::system_error{asio::error::operation_aborted};
    throw std::runtime_error{"no connection"};
  });
  CHECK(f.got(g, "early") == "loader_failed: no connection");
  CHECK(f.got(g, "late") == "loader_failed: no connection");
  CHECK(f.got(g, "failure").starts_with("not_found"));
  CHECK(f.got(g, "odd").starts_with("loader_failed: the loader threw something"));
  CHECK(f.got(g, "aborted").starts_with("loader_failed"));  // and nobody had asked it to stop
  CHECK(g.flights() == 0);
}

TEST_CASE("a coroutine runs on its executor, and what it captured lives as long") {
  fixture f;
  auto captured = std::make_shared<int>(7);
  std::weak_ptr<int> const watched = captured;
  test::listener l;
  bool there = true;
  {
    auto g = f.group_of(
        [&, captured](std::string, kcache::load_context) -> asio::awaitable<std::string> {
          there = there && f.io.get_executor().running_in_this_thread();
          co_await hang();
          co_return std::to_string(*captured);
        });
    captured.reset();
    g.async_get("Tom", l.handler());
    f.work.run_ready();
    CHECK(l.heard.empty());
    f.settle();
    CHECK(g.flights() == 1);
  }
  CHECK(l.only() == "cancelled");
  CHECK_FALSE(watched.expired());  // the coroutine has not heard of it yet
  f.settle();
  CHECK(watched.expired());
  CHECK(there);
}

TEST_CASE("the last that leaves cancels the coroutine, the others do not") {
  fixture f;
  int begun = 0, cancelled = 0;
  auto g = f.group_of([&](std::string, kcache::load_context) -> asio::awaitable<std::string> {
    if (++begun == 2) co_return "630";
    try {
      co_await hang();
    } catch (boost::system::system_error const&) {
      ++cancelled;
      throw;
    }
    co_return "never";
  });
  std::stop_source first, second;
  test::listener a, b;
  g.async_get("Tom", first.get_token(), kcache::never, a.handler());
  g.async_get("Tom", second.get_token(), kcache::never, b.handler());
  f.settle();
  first.request_stop();
  f.settle();
  CHECK(a.only() == "cancelled");
  CHECK(cancelled == 0);
  second.request_stop();
  CHECK(cancelled == 0);  // not on this thread: on the coroutine's executor
  f.settle();
  CHECK(b.only() == "cancelled");
  CHECK(cancelled == 1);
  CHECK(g.flights() == 0);
  CHECK(g.stats().load_failures == 0);
  CHECK(f.got(g, "Tom") == "value 630");
}

TEST_CASE("whoever joins a coroutine that was told to stop has it begun again") {
  fixture f;
  int begun = 0;
  auto g = f.group_of([&](std::string, kcache::load_context) -> asio::awaitable<std::string> {
    if (++begun == 1) co_await hang();
    co_return "the " + std::to_string(begun) + "nd";
  });
  std::stop_source stop;
  test::listener a, b;
  g.async_get("Tom", stop.get_token(), kcache::never, a.handler());
  f.settle();
  stop.request_stop();
  g.async_get("Tom", b.handler());
  f.settle();
  CHECK(a.only() == "cancelled");
  CHECK(b.only() == "value the 2nd");
}

TEST_CASE("a coroutine that will not be stopped is heard") {
  fixture f;
  auto g = f.group_of([&](std::string, kcache::load_context) -> asio::awaitable<std::string> {
    try {
      co_await hang();
    } catch (boost::system::system_error const&) {
    }
    co_return "630";
  });
  std::stop_source stop;
  test::listener l;
  g.async_get("Tom", stop.get_token(), kcache::never, l.handler());
  f.settle();
  stop.request_stop();
  f.settle();
  CHECK(l.only() == "cancelled");
  CHECK(*g.peek("Tom") == "630");
}

TEST_CASE("a coroutine asks for other keys, and is cancelled with what it asked for") {
  fixture f;
  test::open_loads source;
  manual_strings other{{.name = "other", .capacity = 8, .clock = f.time, .executor = f.work},
                       source.loader()};
  auto g =
      f.group_of([&](std::string key,
                     kcache::load_context context) -> asio::awaitable<kcache::result<std::string>> {
        auto const part = co_await kb::async_get(other, key, context, asio::use_awaitable);
        if (!part) co_return part.error();
        co_return "all of " + std::string{**part};
      });
  test::listener l;
  g.async_get("Tom", l.handler());
  f.settle();
  source.end("Tom", std::string{"Tom"});
  f.settle();
  CHECK(l.only() == "value all of Tom");

  std::stop_source stop;
  test::listener given_up;
  g.async_get("Sam", stop.get_token(), kcache::never, given_up.handler());
  f.settle();
  stop.request_stop();
  f.settle();
  CHECK(given_up.only() == "cancelled");
  CHECK(source.take("Sam").context.cancelled());
  f.settle();
  CHECK(g.flights() == 0);
  CHECK(other.flights() == 0);
}

TEST_CASE("a circle of coroutines is found, through groups") {
  fixture f;
  manual_strings* back = nullptr;
  auto far =
      f.group_of([&](std::string key,
                     kcache::load_context context) -> asio::awaitable<kcache::result<std::string>> {
        auto const a =
            co_await kb::async_get(*back, key, context, kcache::never, asio::use_awaitable);
        if (!a) co_return a.error();
        co_return std::string{**a};
      });
  auto near = f.group_of([&](std::string key,
                             kcache::load_context context) -> asio::awaitable<std::string> {
    std::vector<std::string> const keys{key, "Sam"};
    auto const all =
        co_await kb::async_get_many(key == "Sam" ? *back : far, keys, context, asio::use_awaitable);
    co_return std::string{*all.front().value()};
  });
  back = &near;
  CHECK(f.got(near, "Tom").starts_with("recursive_load"));
  CHECK(f.got(near, "Sam").starts_with("recursive_load"));
  CHECK(near.flights() + far.flights() == 0);
}

TEST_CASE("a context that goes answers for its coroutines") {
  kcache::testing::manual_executor work;
  auto io = std::make_unique<asio::io_context>();
  manual_strings g{{.name = "left", .capacity = 8, .executor = work},
                   kb::coroutine_loader<std::string, std::string>(
                       io->get_executor(),
                       [](std::string, kcache::load_context) -> asio::awaitable<std::string> {
                         co_await hang();
                         co_return "never";
                       })};
  test::listener l, m;
  g.async_get("begun", l.handler());
  work.run_ready();
  io->poll();
  g.async_get("not begun", m.handler());
  work.run_ready();
  io.reset();
  CHECK(l.only() == "loader_failed: no answer");
  CHECK(m.only() == "loader_failed: no answer");
  CHECK(g.flights() == 0);
}

TEST_CASE("coroutines on many threads, ended and cancelled at once", "[concurrent]") {
  asio::thread_pool threads{2};
  std::atomic<int> wrong{0}, values{0}, cancelled{0};
  auto const rounds = static_cast<int>(test::effort(200, 5'000));
  std::atomic<int> left{3 * rounds};
  {
    using strings = kcache::group<std::string, std::string>;
    strings parts{{.name = "parts", .capacity = 64},
                  kb::coroutine_loader<std::string, std::string>(
                      threads.get_executor(),
                      [](std::string key, kcache::load_context) -> asio::awaitable<std::string> {
                        for (int i = 0; i != 4; ++i) co_await yield();
                        co_return key;
                      })};
    strings g{
        {.name = "g", .capacity = 64},
        kb::coroutine_loader<std::string, std::string>(
            threads.get_executor(),
            [&](std::string key,
                kcache::load_context context) -> asio::awaitable<kcache::result<std::string>> {
              auto const a = co_await kb::async_get(parts, key, context, asio::use_awaitable);
              if (!a) co_return a.error();
              co_return std::string{**a};
            })};
    test::in_parallel(3, [&](std::size_t me) {
      for (int i = 0; i != rounds; ++i) {
        std::string const key = std::to_string(i);
        std::stop_source stop;
        g.async_get(key, stop.get_token(), kcache::never, [&, key](strings::answer const& a) {
          if (a && **a == key) ++values;
          else if (!a && a.error() == kcache::errc::cancelled) ++cancelled;
          else ++wrong;
          if (--left == 0) left.notify_all();
        });
        if (me != 0) stop.request_stop();
      }
    });
    for (int n = left; n != 0; n = left) left.wait(n);
  }
  threads.join();
  CHECK(wrong == 0);
  CHECK(values + cancelled == 3 * rounds);
}

}  // namespace
