// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_DETAIL_LOAD_SCRIPT_HPP
#define KCACHE_TESTING_DETAIL_LOAD_SCRIPT_HPP
/// \file
/// Floor 3. `load_script`: what a `scripted_loader` and its copies share: what is said of the keys,
/// and the loads under way.
///
/// Steps are replaced by swapping, so that what the user gave is destroyed after the lock; loads
/// are ended after it, too, since their handlers may come back.

#include <kcache/error.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kcache::testing::detail {

template <class K, class V, executor Executor>
struct load_script : std::enable_shared_from_this<load_script<K, V, Executor>> {
  /// A call. `ended` is `never` while it runs; the times are the executor's.
  struct call {
    K key;
    time_point started;
    time_point ended = never;
  };
  /// An answer. Without a function: none, the completion is dropped.
  struct step {
    std::function<result<loaded<V>>(K const&)> make;
    bool throws = false;  ///< out of the call
  };
  using step_ptr = std::shared_ptr<step const>;

  struct counts {
    std::size_t calls = 0, running = 0, most = 0;
    void begin() noexcept { ++calls, most = std::max(most, ++running); }
  };
  /// What is said and known of one key.
  struct page {
    step_ptr standing;
    std::vector<step_ptr> next;
    std::optional<duration> takes;
    std::optional<bool> blocks;
    counts counted;
  };
  struct key_hash {
    std::size_t operator()(K const& key) const {
      if constexpr (requires { std::hash<K>{}(key); }) return std::hash<K>{}(key);
      else return 0;
    }
  };
  using pages = std::unordered_map<K, page, key_hash>;
  using asked_key = typename pages::value_type;

  /// A load under way.
  struct load {
    load(load_context c, load_completion<V> d) : context{std::move(c)}, done{std::move(d)} {}
    load_context context;
    load_completion<V> done;
    asked_key* asked = nullptr;  // null: ended
    std::size_t number = 0;      // in the history
    step_ptr told;               // null: nothing yet
    std::optional<result<loaded<V>>> answer;
    duration takes{};
    bool hangs = false;
    timer_id timer = 0;
  };
  using load_ptr = std::unique_ptr<load>;
  using open_loads = std::map<std::size_t, load_ptr>;  // by number

  [[nodiscard]] static step_ptr failure_of(error e) {
    auto f = [e = std::move(e)](K const&) { return result<loaded<V>>{e}; };
    return std::make_shared<step const>(step{std::move(f), false});
  }

  explicit load_script(Executor const& e) : work{e} {}

  void set(K const& key, step_ptr s) {
    std::lock_guard lock{mutex};
    keys[key].standing.swap(s);
  }
  void add(K const& key, step_ptr s) {
    std::lock_guard lock{mutex};
    keys[key].next.push_back(std::move(s));
  }
  template <class F>
  void set_all(F f) {
    auto s = std::make_shared<step const>(step{std::move(f), false});
    std::lock_guard lock{mutex};
    standing.swap(s);
  }
  void block_all(bool block) {
    std::lock_guard lock{mutex};
    blocks = block;
    for (auto& asked : keys) asked.second.blocks.reset();
  }

  [[nodiscard]] counts of_all() const {
    std::lock_guard lock{mutex};
    return counted;
  }
  [[nodiscard]] counts of(K const& key) const {
    std::lock_guard lock{mutex};
    auto const at = keys.find(key);
    return at == keys.end() ? counts{} : at->second.counted;
  }

  void start(K const& key, load_context context, load_completion<V> done) {
    auto l = std::make_unique<load>(std::move(context), std::move(done));
    time_point const now = work.now();
    if (!begin(*l, key, now))
      return l->done(result<loaded<V>>{
          error{errc::cancelled, "the scripted_loader that this one is a copy of has gone"}});
    try {
      if (l->told) read(*l, l->told->throws);
      if (!l->hangs && l->takes <= duration::zero()) return end(*l);
      hold(l, now);
    } catch (...) {
      if (l) ended(*l);
      throw;
    }
  }

  /// False if the script is closed.
  bool begin(load& l, K const& key, time_point now) {
    std::lock_guard lock{mutex};
    if (closed) return false;
    l.asked = &*keys.try_emplace(key).first;
    page& p = l.asked->second;
    history.push_back({key, now});
    l.number = history.size() - 1;
    l.takes = p.takes.value_or(takes);
    l.hangs = p.blocks.value_or(blocks);
    if (!late || (!l.hangs && l.takes <= duration::zero())) l.told = next_step(p);
    counted.begin();
    p.counted.begin();
    return true;
  }

  [[nodiscard]] step_ptr next_step(page& p) const {
    if (p.next.empty()) return p.standing ? p.standing : standing;
    step_ptr const s = std::move(p.next.front());
    p.next.erase(p.next.begin());
    return s;
  }

  static void read(load& l, bool may_throw) {
    if (!l.told->make) return;
    try {
      l.answer.emplace(l.told->make(l.asked->first));
    } catch (...) {
      if (may_throw) throw;
      l.answer.emplace(kcache::detail::current_failure());
    }
  }

  /// Keeps a load until its time has come; `l` is null from then on.
  void hold(load_ptr& l, time_point now) {
    std::size_t const number = l->number;
    time_point const due = after(now, l->takes);
    bool const hangs = l->hangs;
    {
      std::unique_lock lock{mutex};
      // It may have been released since it began, or we closed.
      bool const released = hangs && !l->asked->second.blocks.value_or(blocks);
      if (closed || released) {
        bool const gone = closed;
        lock.unlock();
        return gone ? cancel(*l) : end(*l);
      }
      open.emplace(number, std::move(l));
    }
    if (hangs) return;
    timer_id const timer = work.schedule_at(due, alarm{this->shared_from_this(), number});
    std::lock_guard lock{mutex};
    if (auto const at = open.find(number); at != open.end()) at->second->timer = timer;
  }

  /// Null if it has ended.
  [[nodiscard]] load_ptr take(std::size_t number) {
    std::lock_guard lock{mutex};
    auto const found = open.find(number);
    return found == open.end() ? nullptr : take_at(found);
  }
  /// The oldest that hangs, of one key or (null) of all, and began before `number`.
  [[nodiscard]] load_ptr take_hanging(asked_key const* asked, std::size_t number) {
    std::lock_guard lock{mutex};
    for (auto at = open.begin(); at != open.end() && at->first < number; ++at)
      if (at->second->hangs && (!asked || at->second->asked == asked)) return take_at(at);
    return nullptr;
  }
  [[nodiscard]] load_ptr take_at(typename open_loads::iterator at) {
    load_ptr l = std::move(at->second);
    open.erase(at);
    return l;
  }
  std::size_t release(asked_key const* asked) {
    std::size_t const begun = of_all().calls;  // a handler may begin others
    std::size_t n = 0;
    for (; auto const l = take_hanging(asked, begun); ++n) end(*l);
    return n;
  }

  /// The time of a load has come. Without an answer its completion goes when it goes.
  void end(load& l) {
    bool const nobody_waits = l.context.cancelled();
    bool leaves = false, unread = false;
    {
      std::lock_guard lock{mutex};
      if (nobody_waits) ++cancelled;
      leaves = nobody_waits && gives_up;
      unread = !leaves && !l.told;
      if (unread) l.told = next_step(l.asked->second);
    }
    if (leaves) return cancel(l);
    if (unread) read(l, false);
    ended(l);
    if (l.answer) l.done(std::move(*l.answer));
  }
  void cancel(load& l) {
    ended(l);
    l.done(result<loaded<V>>{errc::cancelled});
  }
  /// Before the answer is handed over: a handler may ask, or begin another load.
  void ended(load& l) {
    time_point const now = work.now();
    std::lock_guard lock{mutex};
    if (!l.asked) return;
    history[l.number].ended = now;
    --counted.running;
    --std::exchange(l.asked, nullptr)->second.counted.running;
  }

  void close() {
    open_loads left;
    {
      std::lock_guard lock{mutex};
      closed = true;
      left.swap(open);
    }
    for (auto const& [number, l] : left) {
      if (l->timer != 0) work.cancel(l->timer);
      cancel(*l);
    }
  }

  /// A load's timer. An executor that drops it ends the load.
  class alarm {
   public:
    alarm(std::weak_ptr<load_script> s, std::size_t number) noexcept
        : script_{std::move(s)}, number_{number} {}
    alarm(alarm&&) noexcept = default;
    alarm& operator=(alarm&&) = delete;
    ~alarm() {
      if (auto const s = script_.lock())
        if (auto const l = s->take(number_)) s->cancel(*l);
    }
    void operator()() {
      auto const s = std::exchange(script_, {}).lock();
      if (!s) return;
      try {
        if (auto const l = s->take(number_)) s->end(*l);
      } catch (...) {  // a move of the value; the completion, destroyed, has answered
      }
    }

   private:
    std::weak_ptr<load_script> script_;
    std::size_t number_;
  };

  Executor work;
  mutable std::mutex mutex;
  pages keys;
  step_ptr standing = failure_of(errc::not_found);  // where a key has none
  duration takes{};
  bool blocks = false, late = false, gives_up = false, closed = false;
  counts counted;
  std::size_t cancelled = 0;
  std::vector<call> history;
  open_loads open;  // those that wait or hang
};

}  // namespace kcache::testing::detail

#endif
