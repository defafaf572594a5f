// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_THREAD_POOL_HPP
#define KCACHE_POLICIES_THREAD_POOL_HPP
/// \file
/// Floor 1. `thread_pool`: the default executor, a small pool of threads started on first use.
///
/// ## How many threads
/// None until the first `post`. Then one more whenever a task is queued and nobody is idle, up to
/// `max_threads`. A task that blocks in `wait_until` (a loader that asks for another key) does not
/// count, so that nested loads never wait behind their parents: while n tasks block, up to
/// `max_threads + n` threads exist, 1,024 at most. Timers have one thread of their own, started by
/// the first `schedule_at`; it only hands them to the workers, who take them first, with one thread
/// beyond the limit if need be: deadlines are kept, however many loaders hang.
///
/// ## How it ends
/// When the last handle goes, tasks that have not begun are destroyed and running ones are awaited
/// for `stop_within`. A thread that is still busy then (a hung loader) is left to itself: it owns
/// what it needs, and ends when its task does. The last handle may go inside a task.

#include <kcache/detail/ring_queue.hpp>
#include <kcache/policies/executor.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace kcache {

/// A handle to a pool; copies share it. All members are thread safe. `post` and `schedule_at` may
/// throw `bad_alloc`; where the system refuses a thread, tasks wait for the threads there are, and
/// only a pool that cannot start even one throws `std::system_error`.
class thread_pool {
 public:
  struct options {
    unsigned max_threads = 16;                       ///< tasks that run at once; at least 1
    duration stop_within = std::chrono::seconds{1};  ///< how long the last handle waits
  };

  thread_pool() : thread_pool{options{}} {}
  explicit thread_pool(options o) : owner_{std::make_shared<owner>(o)} {}

  [[nodiscard]] time_point now() const noexcept {
    return time_point{
        std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch())};
  }

  void post(task f) const { owner_->pool->post(std::move(f), owner_->pool); }

  timer_id schedule_at(time_point t, task f) const {
    return owner_->pool->schedule_at(t, std::move(f), owner_->pool);
  }

  bool cancel(timer_id id) const { return owner_->pool->cancel(id); }

  bool wait_until(one_shot_event& event, time_point t) const {
    // The pool that lends a thread is the one whose worker waits, whichever it waits for: two
    // groups with a pool each may nest loads in each other.
    state* const mine = current_pool;
    if (!mine) return event.block_until(t);
    mine->worker_blocks(mine->keep_alive.lock());
    bool const set = event.block_until(t);
    mine->worker_resumes();
    return set;
  }

 private:
  static constexpr std::size_t most_threads = 1'024;

  struct state {
    explicit state(options o) : limits{o} { limits.max_threads = std::max(1u, o.max_threads); }

    /// On an exception `f` is as it was.
    void post(task&& f, std::shared_ptr<state> const& self) {
      std::lock_guard lock{mutex};
      if (stopping) return;
      queue.push_back(std::move(f));
      try {
        if (idle >= queue.size() || !start_worker(self)) work.notify_one();
      } catch (...) {
        f = std::move(queue.back());
        queue.pop_back();
        throw;
      }
    }

    /// A timer has come. It goes before what was posted, and has one thread beyond the limit to
    /// itself: deadlines are kept however many loaders hang.
    void post_due(task&& f, std::shared_ptr<state> const& self) {
      std::lock_guard lock{mutex};
      if (stopping) return;
      came_due.push_back(std::move(f));
      try {
        if (idle < came_due.size()) start_worker(self, 1);
        work.notify_one();
      } catch (...) {
        f = std::move(came_due.back());
        came_due.pop_back();
        throw;
      }
    }

    timer_id schedule_at(time_point t, task f, std::shared_ptr<state> const& self) {
      std::lock_guard lock{mutex};
      if (stopping) return 0;
      timer_id const id = ++last_timer;
      auto const [at, fresh] = timers.emplace(std::pair{t, id}, std::move(f));
      try {
        timer_times.emplace(id, t);
        if (!timer_thread) {
          threads.emplace_back([self] { self->run_timers(); });
          timer_thread = true;
          ++running;
        }
      } catch (...) {
        timer_times.erase(id);
        f = std::move(at->second);  // to go when the lock is released: it may call us again
        timers.erase(at);
        throw;
      }
      if (at == timers.begin()) tick.notify_one();
      return id;
    }

    bool cancel(timer_id id) {
      task doomed;
      std::lock_guard lock{mutex};  // released before `doomed` goes: it may call us again
      auto const t = timer_times.find(id);
      if (t == timer_times.end()) return false;
      auto const at = timers.find({t->second, id});
      doomed = std::move(at->second);
      timers.erase(at);
      timer_times.erase(t);
      return true;
    }

    void worker_blocks(std::shared_ptr<state> const& self) {
      std::lock_guard lock{mutex};
      ++blocked;
      if (!queue.empty() && (idle != 0 || !start_worker(self))) work.notify_one();
    }
    void worker_resumes() {
      std::lock_guard lock{mutex};
      --blocked;
    }

    /// Under the lock. False if there are enough threads, or no more to be had.
    bool start_worker(std::shared_ptr<state> const& self, std::size_t spare = 0) {
      if (workers >= std::min<std::size_t>(limits.max_threads + blocked + spare, most_threads))
        return false;
      try {
        threads.emplace_back([self] { self->run_worker(); });
      } catch (...) {
        if (workers != 0) return false;
        throw;
      }
      ++workers;
      ++running;
      return true;
    }

    void run_worker() {
      current_pool = this;
      std::unique_lock lock{mutex};
      for (;;) {
        ++idle;
        // A thread that was lent stays, but runs nothing beyond the limit.
        work.wait(lock, [&] {
          return stopping || !came_due.empty() ||
                 (!queue.empty() && busy < limits.max_threads + blocked);
        });
        --idle;
        if (stopping) break;
        detail::ring_queue<task>& from = came_due.empty() ? queue : came_due;
        // A timer may have taken the thread that a posted task was to have.
        if (&from == &came_due && idle == 0 && !queue.empty()) start_worker(keep_alive.lock());
        task f = std::move(from.front());
        from.pop_front();
        ++busy;
        lock.unlock();
        f();
        f = nullptr;  // what it owns goes before the lock is taken
        lock.lock();
        --busy;
      }
      leave(lock);
    }

    void run_timers() {
      std::unique_lock lock{mutex};
      while (!stopping) {
        if (timers.empty()) {
          tick.wait(lock);
          continue;
        }
        auto const first = timers.begin();
        std::chrono::steady_clock::time_point const due{first->first.first.time_since_epoch()};
        if (std::chrono::steady_clock::now() < due) {
          if (first->first.first == never) tick.wait(lock);
          else tick.wait_until(lock, due);
          continue;
        }
        task f = std::move(first->second);
        timer_times.erase(first->first.second);
        timers.erase(first);
        lock.unlock();
        try {
          post_due(std::move(f), keep_alive.lock());
        } catch (...) {
          f();  // no memory to queue it, or no thread: a timer is never lost
        }
        f = nullptr;
        lock.lock();
      }
      leave(lock);
    }

    void leave(std::unique_lock<std::mutex>& lock) {
      --running;
      gone.notify_all();
      lock.unlock();
    }

    options limits;
    std::weak_ptr<state> keep_alive;
    std::mutex mutex;
    std::condition_variable work, tick, gone;
    detail::ring_queue<task> queue;
    detail::ring_queue<task> came_due;
    std::map<std::pair<time_point, timer_id>, task> timers;
    std::unordered_map<timer_id, time_point> timer_times;
    timer_id last_timer = 0;
    std::list<std::thread> threads;
    std::size_t workers = 0, idle = 0, busy = 0, blocked = 0, running = 0;
    bool timer_thread = false, stopping = false;
  };

  struct owner {
    explicit owner(options o) : pool{std::make_shared<state>(o)} { pool->keep_alive = pool; }
    ~owner() { stop(); }
    owner(owner const&) = delete;
    owner& operator=(owner const&) = delete;

    void stop() {
      detail::ring_queue<task> queued, came;
      std::map<std::pair<time_point, timer_id>, task> timed;
      std::list<std::thread> threads;
      bool everybody_left;
      {
        std::unique_lock lock{pool->mutex};
        pool->stopping = true;
        queued.swap(pool->queue);
        came.swap(pool->came_due);
        timed.swap(pool->timers);
        pool->timer_times.clear();
        pool->work.notify_all();
        pool->tick.notify_all();
        std::size_t const me = current_pool == pool.get() ? 1 : 0;
        everybody_left = pool->gone.wait_for(lock, pool->limits.stop_within,
                                             [&] { return pool->running <= me; });
        threads.swap(pool->threads);
      }
      for (std::thread& t : threads)
        if (everybody_left && t.get_id() != std::this_thread::get_id()) t.join();
        else t.detach();
    }

    std::shared_ptr<state> pool;
  };

  static inline thread_local state* current_pool = nullptr;  // of a worker

  std::shared_ptr<owner> owner_;
};

static_assert(executor<thread_pool>);

}  // namespace kcache

#endif
