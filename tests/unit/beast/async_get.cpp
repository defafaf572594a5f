// SPDX-License-Identifier: BSL-1.0
#include <kcache/beast/async_get.hpp>

#include "support/catch.hpp"

#include <kcache/testing/manual_executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct policies : kcache::default_policies {
  using executor = kcache::testing::manual_executor;
};
using strings = kcache::group<std::string, std::string, policies>;

struct fixture {
  kcache::testing::manual_executor work;
  asio::io_context io;
  int loads = 0;
  strings scores{{.name = "scores", .capacity = 100, .executor = work},
                 [this](std::string const& key) -> std::optional<std::string> {
                   ++loads;
                   if (key == "nobody") return std::nullopt;
                   return "value of " + key;
                 }};

  /// Lets loads and handlers run until neither has anything left to do.
  void settle() {
    for (bool busy = true; busy;) {
      busy = work.run_ready() != 0;
      io.restart();
      busy = io.poll() != 0 || busy;
    }
  }
};

TEST_CASE("a coroutine awaits a value, and an error is a value too") {
  fixture f;
  std::string found;
  std::optional<kcache::errc> failed;
  asio::co_spawn(
      f.io,
      [&]() -> asio::awaitable<void> {
        auto const tom = co_await kcache::beast::async_get(f.scores, "Tom", asio::use_awaitable);
        found = **tom;
        auto const none =
            co_await kcache::beast::async_get(f.scores, "nobody", asio::use_awaitable);
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
  int calls = 0;
  bool on_executor = false;
  kcache::beast::async_get(f.scores, "Tom",
                           asio::bind_executor(f.io, [&](strings::answer const& a) {
                             ++calls;
                             on_executor = f.io.get_executor().running_in_this_thread();
                             CHECK(**a == "value of Tom");
                           }));
  CHECK(calls == 0);
  f.settle();
  CHECK(calls == 1);
  CHECK(on_executor);
}

TEST_CASE("a pending get keeps the handler's context from running out of work") {
  fixture f;
  bool called = false;
  kcache::beast::async_get(
      f.scores, "Tom", asio::bind_executor(f.io, [&](strings::answer const&) { called = true; }));
  f.io.poll();
  CHECK_FALSE(f.io.stopped());
  f.settle();
  CHECK(called);
  f.io.restart();
  f.io.poll();
  CHECK(f.io.stopped());
}

TEST_CASE("a deadline is an answer") {
  fixture f;
  std::optional<kcache::errc> failed;
  auto const deadline = kcache::after(f.work.now(), 10ms);
  std::optional<kcache::load_completion<std::string>> never_called;
  strings hung{{.name = "hung", .capacity = 1, .executor = f.work},
               [&](std::string const&, kcache::load_context,
                   kcache::load_completion<std::string> done) {
                 never_called.emplace(std::move(done));
               }};
  kcache::beast::async_get(hung, "Tom", deadline,
                           asio::bind_executor(f.io, [&](strings::answer const& a) {
                             failed = a.error().code();
                           }));
  f.work.run_until(deadline);
  f.settle();
  CHECK(failed == kcache::errc::deadline);
}

TEST_CASE("futures and deferred operations; a deferred one keeps its own key") {
  fixture f;
  auto future = kcache::beast::async_get(f.scores, "Tom", asio::use_future);
  auto operation = [&] {
    std::string const key = "a key that is too long for the small string buffer";
    return kcache::beast::async_get(f.scores, key, asio::deferred);
  }();
  CHECK(f.loads == 0);
  std::string late;
  std::move(operation)(asio::bind_executor(f.io, [&](strings::answer const& a) { late = **a; }));
  f.settle();
  CHECK(late == "value of a key that is too long for the small string buffer");
  CHECK(**future.get() == "value of Tom");
}

TEST_CASE("a handler that can only be moved") {
  fixture f;
  auto seen = std::make_unique<std::string>();
  auto* const text = seen.get();
  kcache::beast::async_get(
      f.scores, "Tom",
      asio::bind_executor(f.io, [seen = std::move(seen), text](strings::answer const& a) {
        *text = **a;
        CHECK(*seen == "value of Tom");
      }));
  f.settle();
  CHECK(f.loads == 1);
}

}  // namespace
