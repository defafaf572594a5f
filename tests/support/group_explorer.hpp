// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_GROUP_EXPLORER_HPP
#define KCACHE_TESTS_SUPPORT_GROUP_EXPLORER_HPP
/// \file
/// A group in a random world: one seed, one schedule of everything that can befall it, and what of
/// its promises did not hold.
///
/// ## How one thread meets a race
/// Every point at which another thread could step in is a point at which this one does so itself:
/// the hash, which the group asks for outside its locks at each step, runs a ready task of the
/// executor now and then, whole, before it answers; so does a `load_many`. Half of all operations
/// are posted as such tasks, and loads end in them. So an invalidation comes between the generation
/// that is raised and the entry that is erased, a load ends between a miss and a join.
///
/// What must hold meanwhile stands in group_promises.hpp; here, that everybody is answered, once
/// and in time, and that nothing is left.

#include <kcache/group.hpp>
#include <kcache/testing/manual_clock.hpp>
#include <kcache/testing/manual_executor.hpp>

#include "support/group_promises.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace test {

/// Calls back.
struct hooked_key_hash {
  using is_avalanching = void;
  std::function<void()> const* hook;
  std::uint64_t operator()(explored_key const& key) const {
    (*hook)();
    return (key.number + 1) * 0x9e3779b97f4a7c15;
  }
};

template <kcache::faults Faults = kcache::no_faults>
struct explored_policies : kcache::default_policies {
  using clock = kcache::testing::manual_clock;
  using executor = kcache::testing::manual_executor;
  using random = kcache::seeded_random;
  using hash = hooked_key_hash;
  using faults = Faults;
};

/// One run.
template <class Policies>
class group_explorer {
  using milliseconds = std::chrono::milliseconds;

 public:
  using group_type = kcache::group<explored_key, std::uint32_t, Policies>;
  using answer = typename group_type::answer;
  using completion = kcache::load_completion<std::uint32_t>;
  using load_result = kcache::result<kcache::loaded<std::uint32_t>>;

  explicit group_explorer(std::uint64_t seed) : random_{seed * 2'654'435'761U} {
    hook_ = [this] { interleave(); };
    bool const batches = draw(3) == 0;
    auto o = options();
    group_ = batches ? std::make_unique<group_type>(std::move(o), batching_loader{this})
                     : std::make_unique<group_type>(std::move(o), single_loader{this});
    core_ = group_->core();
  }
  group_explorer(group_explorer const&) = delete;
  group_explorer& operator=(group_explorer const&) = delete;

  exploration run() {
    for (auto steps = 20 + draw(80); steps != 0; --steps) step();
    if (draw(6) == 0) close();
    else settle();
    return told_.seen;
  }

 private:
  static constexpr unsigned keys = group_promises::keys, deepest = 3;
  using question = group_promises::question;
  using event = exploration::event;


  /// A load that has not answered.
  struct open_load {
    std::uint32_t number;
    kcache::load_context context;
    completion done;
    kcache::timer_id timer = 0;
    bool listens = false, gives_up = false;
    std::optional<std::stop_callback<std::function<void()>>> on_stop{};
  };
  struct asked_get {
    std::vector<question> questions{};
    kcache::time_point started{}, deadline{};
    std::optional<std::stop_source> stop{};
    bool answered = false;
  };

  /// Loaders of both forms, both asynchronous for a single key.
  struct single_loader {
    group_explorer* all;
    void operator()(explored_key const& key, kcache::load_context context, completion done) const {
      all->start(key, std::move(context), std::move(done));
    }
  };
  struct batching_loader : single_loader {
    std::vector<load_result> load_many(std::span<explored_key const> wanted) const {
      return this->all->start_many(wanted);
    }
  };

  std::uint64_t draw(std::uint64_t n) { return random_.next() % n; }
  template <class T>
  T one_of(std::initializer_list<T> const& choices) {
    return choices.begin()[draw(choices.size())];
  }
  void expect(bool holds, char const* what) { told_.expect(holds, what); }
  void count(exploration::what what, std::uint64_t by = 1) { told_.count(what, by); }
  void note(event what, std::uint64_t which) { told_.note(what, which); }

  auto options() {
    constexpr milliseconds none{0};
    kcache::group_options<Policies> o;
    o.name = "explored";
    o.capacity = one_of<std::uint64_t>({1, 2, 8, 8});
    o.ttl = one_of<kcache::ttl>(
        {milliseconds{20}, milliseconds{40}, milliseconds{60}, kcache::ttl::never()});
    o.jitter = one_of({0.0, 0.1, 0.5});
    o.refresh_ahead = one_of({0.0, 2.0, 16.0});
    o.stale_while_revalidate = one_of({none, milliseconds{30}});
    o.stale_if_error = one_of({none, none, milliseconds{50}});
    o.retry_after = one_of({none, milliseconds{10}});
    o.negative_ttl = one_of({none, milliseconds{20}});
    o.error_ttl = one_of({none, none, milliseconds{15}});
    o.max_negative = one_of<std::size_t>({1, 100});
    o.max_loads = one_of({1U, 2U, 64U});
    o.max_batch = one_of<std::size_t>({1, 2, 100});
    o.max_queued_loads = one_of<std::size_t>({0, 1, 100});
    o.max_waiters = one_of<std::size_t>({2, 100, 100});
    o.deadline = default_deadline_ = milliseconds{5 + draw(60)};
    o.drain = milliseconds{draw(10)};
    o.shards = 1;
    o.clock = clock_;
    o.random = kcache::seeded_random{random_.next()};
    o.hash.hook = &hook_;
    o.executor = work_;
    told_.set({.capacity = o.capacity,
               .jitter = o.jitter,
               .ttl = o.ttl,
               .grace = std::max(o.stale_while_revalidate, o.stale_if_error),
               .negative_ttl = o.negative_ttl,
               .error_ttl = o.error_ttl});
    return o;
  }

  // The schedule.

  void interleave() {
    if (depth_ >= deepest || draw(4) != 0) return;
    ++depth_;
    if (work_.run_one()) count(exploration::interleaved);
    --depth_;
  }
  void step() {
    // Nothing is under way: what a `load_many` has answered has been dealt with.
    for (auto const number : ending_batches_) told_.end_load(number);
    ending_batches_.clear();
    told_.check_kept([this](unsigned k) { return look(k); });
    switch (draw(16)) {
      case 0: return end_some();
      case 1: return stop_some(true);
      case 2:
      case 3: return static_cast<void>(work_.run_for(milliseconds{draw(15)}));
      case 4:
      case 5:
      case 6: return static_cast<void>(work_.run_one());
      case 7:
      case 8:
      case 9:
      case 10:
      case 11: return post_operation();
      default: return operate();
    }
  }
  void post_operation() {
    work_.post([this] {
      if (!ending_) operate();
    });
  }
  void operate() {
    if (!group_) return;
    unsigned const k = any_key();
    switch (draw(20)) {
      case 0:
      case 1:
      case 2: return invalidate(k);
      case 3: return draw(3) == 0 ? clear() : invalidate(k);
      case 4: return put(k, false);
      case 5: return put(k, true);
      case 6: return peek(k);
      case 7:
      case 8:
      case 9: return get_many();
      case 10: return end_some();
      case 11: return stop_some();
      default: return get(k);
    }
  }
  unsigned any_key() { return static_cast<unsigned>(draw(used_)); }

  // Gets.

  std::size_t ask(kcache::time_point deadline) {
    asked_get a;
    a.started = clock_.now();
    a.deadline = deadline;
    asked_.push_back(std::move(a));
    return asked_.size() - 1;
  }
  void wants(std::size_t get, unsigned k) { asked_[get].questions.push_back(told_.ask(k)); }
  kcache::time_point some_deadline() {
    auto const now = clock_.now();
    switch (draw(12)) {
      case 0: return now - milliseconds{1};
      case 1: return now;
      case 2:
      case 3: return kcache::never;
      default: return now + milliseconds{1 + draw(draw(2) == 0 ? 8 : 60)};
    }
  }
  void get(unsigned k) {
    auto const how = draw(4);
    auto const deadline = how == 0 ? clock_.now() + default_deadline_ : some_deadline();
    std::size_t const i = ask(deadline);
    wants(i, k);
    note(event::get, k);
    auto const heard = [this, i](answer const& a) {
      if (first_answer(i)) hear(i, 0, a, true), ask_again();
    };
    if (how == 0) return group_->async_get(explored_key{k}, heard);
    if (how == 1) return group_->async_get(explored_key{k}, deadline, heard);
    std::stop_source const stop;
    asked_[i].stop = stop;
    if (draw(16) == 0) asked_[i].stop->request_stop();
    group_->async_get(explored_key{k}, stop.get_token(), deadline, heard);
  }
  void get_many() {
    std::size_t const i = ask(some_deadline());
    std::vector<explored_key> wanted;
    for (auto n = draw(5); n != 0; --n) {
      unsigned const k = any_key();
      wanted.emplace_back(k);
      wants(i, k);
    }
    note(event::get_many, wanted.size());
    group_->async_get_many(wanted, asked_[i].deadline, [this, i](std::vector<answer> const& all) {
      if (!first_answer(i)) return;
      expect(all.size() == asked_[i].questions.size(), "as many answers as keys");
      for (std::size_t n = 0; n != all.size(); ++n) hear(i, n, all[n], false);
      ask_again();
    });
  }
  /// A handler may go on at once.
  void ask_again() {
    if (!ending_ && draw(8) == 0) operate();
  }
  /// `alone`: inside of no other operation.
  void stop_some(bool alone = false) {
    if (asked_.empty()) return;
    std::size_t const i = asked_.size() - 1 - draw(std::min<std::size_t>(asked_.size(), 8));
    if (!asked_[i].stop) return;
    note(event::stop, i);
    std::stop_source stop = *asked_[i].stop;
    stop.request_stop();
    expect(asked_[i].answered || !alone, "who asks to stop is answered before that returns");
  }

  bool first_answer(std::size_t get) {
    bool const first = !std::exchange(asked_[get].answered, true);
    expect(first, "one answer");
    return first;
  }
  /// `at_once`: the answer is of this very instant.
  void hear(std::size_t get, std::size_t place, answer const& a, bool at_once) {
    asked_get const& asked = asked_[get];
    auto const now = clock_.now();
    expect(now <= std::max(asked.started, asked.deadline), "an answer by the deadline");
    note(event::answer, a ? **a : 1'000'000 + static_cast<std::uint64_t>(a.error().code()));
    if (a) {
      count(exploration::values);
      return told_.check_value(asked.questions[place], *a, at_once);
    }
    switch (a.error().code()) {
      case kcache::errc::not_found:
        count(exploration::absences);
        return told_.check_failure(asked.questions[place], a.error(), at_once);
      case kcache::errc::loader_failed:
        count(exploration::failures);
        return told_.check_failure(asked.questions[place], a.error(), at_once);
      case kcache::errc::deadline:
        count(exploration::deadlines);
        return expect(now >= asked.deadline, "no deadline before its time");
      case kcache::errc::cancelled:
        count(exploration::cancellations);
        return expect(!group_ || (asked.stop && asked.stop->stop_requested()),
                      "who did not ask to stop is not cancelled");
      case kcache::errc::overloaded: return count(exploration::refusals);
      default: return expect(false, "no other error");
    }
  }

  // Changes.

  std::size_t begin_change(unsigned k) {
    note(event::change, k);
    return told_.begin_change(k);
  }
  void invalidate(unsigned k) {
    std::size_t const c = begin_change(k);
    expect(group_->invalidate(explored_key{k}).has_value(), "an invalidation succeeds");
    told_.end_change(c);
  }
  void clear() {
    std::size_t const c = begin_change(keys);
    group_->clear();
    told_.end_change(c);
  }
  void put(unsigned k, bool only_if_absent) {
    std::size_t const c = begin_change(k);
    auto const lives = draw(3) == 0 ? kcache::ttl{milliseconds{1 + draw(30)}} : kcache::ttl{};
    std::uint32_t const number = told_.begin_put(k, lives);
    question const before = told_.ask(k);
    auto const r = only_if_absent ? group_->put_if_absent(explored_key{k}, number, lives)
                                  : group_->put(explored_key{k}, number, lives);
    told_.end_put(number);
    bool const stored = r && r->stored;
    expect(r && (stored || only_if_absent), "a value is put");
    expect(r && stored == (*r->entry == number), "and is the entry");
    if (r && !stored) told_.check_value(before, r->entry, false);
    told_.end_change(c, stored);
    if (stored) told_.keep(number);
  }
  void peek(unsigned k) {
    question const q = told_.ask(k);
    if (auto const h = group_->peek(explored_key{k})) told_.check_value(q, h, true);
    static_cast<void>(group_->explain(explored_key{k}).text());
  }

  // The source.

  /// Without a change of the schedule, as below.
  kcache::group_handle<std::uint32_t> look(unsigned k) {
    auto const depth = std::exchange(depth_, deepest);
    auto h = group_ ? group_->peek(explored_key{k}) : kcache::group_handle<std::uint32_t>{};
    depth_ = depth;
    return h;
  }
  kcache::explanation known(unsigned k) {
    auto const depth = std::exchange(depth_, deepest);
    auto e = group_ ? group_->explain(explored_key{k}) : kcache::explanation{};
    depth_ = depth;
    return e;
  }
  std::uint32_t read(unsigned k, instant opened, bool refreshes) {
    std::uint32_t const number = told_.begin_load(k, opened);
    auto& m = told_.of(number);
    if (draw(8) == 0) m.lives = milliseconds{1 + draw(30)};
    if (!healed_ && draw(4) == 0)
      m.fails = draw(2) == 0 ? kcache::errc::not_found : kcache::errc::loader_failed;
    if (!refreshes) told_.check_second_look(number, look(k), known(k));
    return number;
  }
  load_result result_of(std::uint32_t number) {
    auto const& m = told_.of(number);
    if (m.fails != kcache::errc{}) return kcache::error{m.fails, std::to_string(number)};
    return kcache::loaded<std::uint32_t>{number, m.lives};
  }

  void start(explored_key const& key, kcache::load_context context, completion done) {
    bool const refreshes =
        context.state()->kind == static_cast<std::uint8_t>(kcache::detail::load_kind::refresh);
    std::uint32_t const number = read(key.number, key.copied, refreshes);
    if (!healed_ && draw(24) == 0) {
      told_.answers(number);
      told_.of(number).fails = kcache::errc::loader_failed;
      if (draw(2) == 0) throw std::runtime_error{"boo"};
      return;  // without an answer
    }
    open_.emplace_back(new open_load{number, std::move(context), std::move(done)});
    if (draw(4) == 0) {
      open_load& l = *open_.back();
      auto const token = l.context.stop_token();
      l.on_stop.emplace(token, [this, number, &l] {
        l.gives_up = true;
        if (l.listens && draw(2) == 0) end(number, true);
      });
      l.listens = true;
    }
    auto const ends = [this, number] { end(number, draw(2) == 0); };
    switch (healed_ ? 0 : draw(6)) {
      case 0: return end(number, false);
      case 1: return work_.post(ends);
      case 2:
      case 3:
        open_.back()->timer = work_.schedule_at(clock_.now() + milliseconds{1 + draw(30)}, ends);
        return;
      default: return;  // until somebody ends it
    }
  }
  std::vector<load_result> start_many(std::span<explored_key const> wanted) {
    std::vector<std::uint32_t> numbers;
    for (auto const& k : wanted) numbers.push_back(read(k.number, k.original_copied, false));
    for (auto n = draw(4); n != 0; --n) interleave();
    bool const fails = !healed_ && draw(16) == 0, tells = draw(2) == 0;
    std::vector<load_result> all;
    for (auto const number : numbers) {
      told_.answers(number);
      if (fails) told_.of(number).fails = kcache::errc::loader_failed;
      all.push_back(result_of(number));
    }
    if (fails && tells) all.pop_back();
    else if (fails && wanted.size() == 1) throw std::runtime_error{std::to_string(numbers[0])};
    ending_batches_.insert(ending_batches_.end(), numbers.begin(), numbers.end());
    return all;
  }
  auto find(std::uint32_t number) {
    return std::find_if(open_.begin(), open_.end(),
                        [&](auto const& l) { return l->number == number; });
  }
  /// A load answers, unless it has.
  void end(std::uint32_t number, bool gives_up_if_alone) {
    auto const at = find(number);
    if (at == open_.end()) return;
    auto const l = std::move(*at);
    open_.erase(at);
    if (l->timer != 0) work_.cancel(l->timer);
    note(event::end, number);
    bool const gives_up = l->gives_up || (gives_up_if_alone && l->context.cancelled());
    if (gives_up) {  // whoever comes in between
      count(exploration::given_up);
      interleave();
    }
    told_.answers(number);
    l->on_stop.reset();
    l->done(gives_up ? load_result{kcache::errc::cancelled} : result_of(number));
    told_.end_load(number);
  }
  /// Or sees that nobody waits, and will say so later.
  void end_some() {
    if (open_.empty()) return;
    open_load& l = *open_[draw(open_.size())];
    if (draw(3) == 0 && l.context.cancelled()) l.gives_up = true;
    else end(l.number, draw(2) == 0);
  }

  // The end.

  void end_all() {
    healed_ = true;
    while (!open_.empty() || work_.run_one())
      if (!open_.empty()) end(open_.back()->number, false);
    expect(work_.pending() == 0, "no timer is left");
  }
  [[nodiscard]] bool all_answered(kcache::time_point until) const {
    return std::all_of(asked_.begin(), asked_.end(),
                       [&](asked_get const& a) { return a.answered || a.deadline > until; });
  }
  /// Every get ends by its deadline though its load hangs, every load when the source is well; then
  /// nothing is left, and each key can be had.
  void settle() {
    ending_ = true;
    work_.run_for(milliseconds{100});
    expect(all_answered(clock_.now()), "an answer for everybody whose deadline has come");
    end_all();
    expect(all_answered(kcache::never), "an answer for everybody");
    expect(group_->flights() == 0, "no flight is left");
    clear();
    expect(group_->size() == 0, "nothing is there when all is cleared");
    for (unsigned k = 0; k != keys; ++k) {
      std::size_t const i = ask(kcache::never);
      wants(i, k);
      group_->async_get(explored_key{k}, kcache::never, [this, i](answer const& a) {
        if (first_answer(i)) hear(i, 0, a, true);
        expect(a.has_value(), "a value, when all is well");
      });
      end_all();
    }
    expect(all_answered(kcache::never), "an answer for everybody, when all is well");
    expect(group_->flights() == 0, "no flight is left when all is well");
    count_all();
    group_.reset();
    expect(core_.expired(), "nothing holds what was the group's");
  }
  /// The group goes in the midst of it.
  void close() {
    ending_ = true;
    count(exploration::closed);
    count_all();
    group_.reset();
    expect(all_answered(kcache::never), "an answer for everybody, when the group goes");
    end_all();
    expect(core_.expired(), "nothing holds what was the group's, when it has gone");
  }
  void count_all() {
    auto const s = group_->stats();
    count(exploration::hits, s.cache.hits);
    count(exploration::evictions, s.cache.evicted);
    count(exploration::stale, s.stale);
    count(exploration::remembered, s.absent);
    count(exploration::loads, s.loads);
    count(exploration::refreshes, s.refreshes);
    count(exploration::batches, s.batches);
    count(exploration::shed, s.shed);
  }

  kcache::seeded_random random_;
  kcache::testing::manual_clock clock_;
  kcache::testing::manual_executor work_{clock_, random_.next() | 1};
  group_promises told_{clock_};
  std::function<void()> hook_;
  std::uint64_t used_ = 1 + draw(keys);
  unsigned depth_ = 0;
  bool ending_ = false, healed_ = false;

  kcache::duration default_deadline_{};
  std::vector<asked_get> asked_;
  std::vector<std::unique_ptr<open_load>> open_;
  std::vector<std::uint32_t> ending_batches_;
  std::unique_ptr<group_type> group_;
  std::weak_ptr<void> core_;
};

}  // namespace test

#endif
