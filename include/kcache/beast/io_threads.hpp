// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_IO_THREADS_HPP
#define KCACHE_BEAST_IO_THREADS_HPP
/// \file
/// Floor 5. `io_threads`: the lanes that servers and clients run on, and the threads under them.

#include <kcache/beast/detail/lane.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/config.hpp>
#include <kcache/policies/executor.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace kcache::beast {

/// Counts down to zero, and lets one thread wait for it with a limit; shared by who may outlive
/// the wait.
class countdown {
 public:
  explicit countdown(std::size_t n) : left_{n} {}
  void arrive() {
    std::lock_guard lock{mutex_};
    if (--left_ == 0) zero_.notify_all();
  }
  bool wait_for(std::chrono::milliseconds limit) {
    std::unique_lock lock{mutex_};
    return zero_.wait_for(lock, limit, [&] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  std::size_t left_;
};

/// `io_threads` lanes over as many threads of its own, or over `options.executor`. What runs on
/// them is stopped first; then `stop` ends the threads.
///
/// Thread safety: all but construction, `stop` and destruction. Every thread holds a
/// `no_blocking_scope`, so a blocking get in a callback is refused instead of waiting for itself.
class io_threads {
 public:
  /// Starts the threads. \throws std::system_error if the system has none to give.
  explicit io_threads(options const& o) {
    std::size_t const n = o.io_threads == 0 ? automatic() : o.io_threads;
    if (o.executor) {
      for (std::size_t i = 0; i != n; ++i)
        lanes_.push_back(std::make_shared<lane>(boost::asio::make_strand(o.executor), o.tick));
      return;
    }
    try {
      for (std::size_t i = 0; i != n; ++i) {
        workers_.push_back(std::make_unique<worker>());
        lanes_.push_back(std::make_shared<lane>(workers_.back()->context.get_executor(), o.tick));
        workers_.back()->start();
      }
    } catch (...) {
      stop();
      throw;
    }
  }
  io_threads(io_threads const&) = delete;
  io_threads& operator=(io_threads const&) = delete;
  ~io_threads() { stop(); }

  [[nodiscard]] std::size_t size() const noexcept { return lanes_.size(); }
  [[nodiscard]] std::shared_ptr<lane> const& at(std::size_t i) const noexcept { return lanes_[i]; }
  /// The lanes in turn.
  [[nodiscard]] std::shared_ptr<lane> const& next() noexcept {
    return lanes_[turn_.fetch_add(1, std::memory_order_relaxed) % lanes_.size()];
  }

  /// Runs `f(lane_index)` once on every lane and waits until all have, at most `limit`. With
  /// threads of our own it waits as long as it takes, for they are known to run.
  template <class F>
  bool on_each(F const& f, std::chrono::milliseconds limit) {
    auto const left = std::make_shared<countdown>(lanes_.size());
    for (std::size_t i = 0; i != lanes_.size(); ++i) {
      bool const sent = lanes_[i]->submit([f, left, i] {
        f(i);
        left->arrive();
      });
      if (!sent) left->arrive();
    }
    return left->wait_for(workers_.empty() ? limit : std::chrono::hours{24});
  }

  /// Closes the lanes and joins the threads. Never on one of them. Idempotent.
  void stop() {
    if (std::exchange(stopped_, true)) return;
    for (auto& w : workers_) w->end();
    if (workers_.empty()) {
      // Over the user's executor a lane closes itself: only there is nothing else running on it.
      on_each([lanes = lanes_](std::size_t i) { lanes[i]->close(); }, std::chrono::seconds{1});
      for (auto& l : lanes_) l->refuse();  // if that executor does not run
    } else {
      for (auto& l : lanes_) l->close();
    }
  }

 private:
  static std::size_t automatic() noexcept {
    return std::clamp(std::thread::hardware_concurrency() / 2, 1u, 4u);
  }

  struct worker {
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        context.get_executor()};
    std::thread thread;

    void start() {
      thread = std::thread{[this] {
        no_blocking_scope const scope;
        for (;;) {
          try {
            context.run();
            return;
          } catch (...) {
            // A handler ran out of memory; its connection is gone, the others go on.
          }
        }
      }};
    }
    void end() {
      work.reset();
      context.stop();
      if (thread.joinable()) thread.join();
    }
  };

  // The contexts live on after `stop`, until nobody can hold a socket that knows them.
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::shared_ptr<lane>> lanes_;
  std::atomic<std::size_t> turn_{0};
  bool stopped_ = false;
};

}  // namespace kcache::beast

#endif
