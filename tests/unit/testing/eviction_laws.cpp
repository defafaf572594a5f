// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/eviction_laws.hpp>

#include "support/catch.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/lru.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

using kcache::slot;

namespace {

/// A user's policy: the entry that was put or read last goes first. Good for loops.
struct most_recent_goes {
  struct hook {
    slot above = kcache::no_slot;
    slot below = kcache::no_slot;
  };
  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t) noexcept : entries_{entries} {}

    void insert(slot s) noexcept {
      entries_.hook(s) = {.below = top_};
      if (top_ != kcache::no_slot) entries_.hook(top_).above = s;
      top_ = s;
    }
    void erase(slot s) noexcept {
      hook const h = entries_.hook(s);
      (h.above == kcache::no_slot ? top_ : entries_.hook(h.above).below) = h.below;
      if (h.below != kcache::no_slot) entries_.hook(h.below).above = h.above;
    }
    void touch(slot s) noexcept {
      erase(s);
      insert(s);
    }
    slot evict() noexcept {
      slot const victim = top_;
      if (victim != kcache::no_slot) erase(victim);
      return victim;
    }

   private:
    Entries entries_;
    slot top_ = kcache::no_slot;
  };
};

/// Another: at random, but from the calls alone; it needs no hook, and memory of its own.
struct any_goes {
  struct hook {};
  template <class Entries>
  class queue {
   public:
    queue(Entries const&, std::uint64_t) noexcept {}

    void reserve(std::size_t n) {
      place_.resize(n);
      in_.reserve(n);
    }
    void insert(slot s) noexcept {
      place_[s] = in_.size();
      in_.push_back(s);
    }
    void erase(slot s) noexcept {
      place_[in_.back()] = place_[s];
      in_[place_[s]] = in_.back();
      in_.pop_back();
    }
    slot evict() noexcept {
      if (in_.empty()) return kcache::no_slot;
      slot const victim = in_[static_cast<std::size_t>(random_.next() % in_.size())];
      erase(victim);
      return victim;
    }

   private:
    kcache::seeded_random random_;
    std::vector<slot> in_;
    std::vector<std::size_t> place_;
  };
};

enum class fault {
  none,
  keeps_erased,
  gives_up,
  names_the_gone,
  by_address,
  by_chance,
  forgets_replaced,
  forgets_at_resize,
  foretells_the_gone,
  asks_about_the_gone,
  keeps_late_marks,
};

/// First in, first out, with a second chance and a fault.
template <fault Fault>
struct faulty {
  struct hook {
    std::uint64_t age = 0;
    kcache::read_mark read;
  };
  static void mark(hook& h) noexcept { h.read.raise(1); }

  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t) noexcept : entries_{entries} {}

    void insert(slot s) noexcept {
      hook& h = entries_.hook(s);
      h.age = ++now_;
      if (Fault != fault::keeps_late_marks) h.read.set(0);
      line_.push_back(s);
    }
    void replaced(slot s) noexcept {
      if (Fault == fault::forgets_replaced) erase(s);
    }
    void resize(std::uint64_t) noexcept {
      if (Fault == fault::forgets_at_resize && !line_.empty()) line_.pop_back();
    }
    void erase(slot s) noexcept {
      if (Fault == fault::keeps_erased && line_.size() == 5) return;
      last_ = s;
      std::erase(line_, s);
    }
    slot soon() noexcept {
      return Fault == fault::foretells_the_gone && line_.size() == 1 ? last_ : kcache::no_slot;
    }
    slot evict() noexcept {
      ++asked_;
      if (line_.empty() || (Fault == fault::gives_up && asked_ % 50 == 0)) return kcache::no_slot;
      if (Fault == fault::names_the_gone && asked_ % 50 == 0) return last_;
      auto const before = [this](slot a, slot b) {
        if (Fault == fault::by_address) return &entries_.hook(a) < &entries_.hook(b);
        return entries_.hook(a).age < entries_.hook(b).age;
      };
      auto victim = std::min_element(line_.begin(), line_.end(), before);
      if (hook& h = entries_.hook(*victim); h.read.reads() != 0) {
        h.read.set(0);
        h.age = ++now_;
        victim = std::min_element(line_.begin(), line_.end(), before);
      }
      if (Fault == fault::by_chance && chance_++ % 3 == 0) victim = line_.end() - 1;
      slot const s = *victim;
      line_.erase(victim);
      if (Fault == fault::asks_about_the_gone) entries_.hook(last_).age = 0;
      last_ = s;
      return s;
    }

   private:
    Entries entries_;
    std::vector<slot> line_;
    std::uint64_t now_ = 0;
    slot last_ = 0;
    int asked_ = 0;
    static inline int chance_ = 0;
  };
};

/// First in, first out, by addresses of hooks, which do not keep theirs.
struct keeps_addresses {
  struct hook {
    slot self = 0;
    hook* younger = nullptr;
    hook* older = nullptr;
  };
  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t) noexcept : entries_{entries} {}

    void insert(slot s) noexcept {
      hook& h = entries_.hook(s);
      h = {.self = s, .older = youngest_};
      (youngest_ == nullptr ? oldest_ : youngest_->younger) = &h;
      youngest_ = &h;
    }
    void erase(slot s) noexcept {
      hook const& h = entries_.hook(s);
      (h.younger == nullptr ? youngest_ : h.younger->older) = h.older;
      (h.older == nullptr ? oldest_ : h.older->younger) = h.younger;
    }
    slot evict() noexcept {
      if (oldest_ == nullptr) return kcache::no_slot;
      slot const victim = oldest_->self;
      erase(victim);
      return victim;
    }

   private:
    Entries entries_;
    hook* youngest_ = nullptr;
    hook* oldest_ = nullptr;
  };
};

template <class E>
std::set<std::string> broken_laws() {
  std::set<std::string> found;
  kcache::testing::check_eviction_laws<E>([&](bool kept, char const* law) {
    if (!kept) found.insert(law);
  });
  return found;
}

}  // namespace

TEMPLATE_TEST_CASE("the laws of eviction", "[eviction_laws]", kcache::lru, kcache::fifo,
                   kcache::clock_hand, kcache::sieve, kcache::s3_fifo, most_recent_goes, any_goes,
                   faulty<fault::none>) {
  int checked = 0;
  for (std::uint64_t seed = 0; seed != 3; ++seed) {
    kcache::testing::check_eviction_laws<TestType>(
        [&](bool kept, char const* law) {
          ++checked;
          if (!kept) FAIL_CHECK(law);
        },
        seed);
  }
  CHECK(checked > 10'000);
}

TEST_CASE("each fault breaks a law", "[eviction_laws]") {
  using laws = std::set<std::string>;
  std::string const by_calls =
      "victims follow from the calls alone, not from addresses, time or chance";
  std::string const yields =
      "while a queue holds entries it yields one of them, and asks for no others";
  CHECK(broken_laws<faulty<fault::none>>().empty());
  CHECK(broken_laws<faulty<fault::keeps_erased>>().count(yields) == 1);
  CHECK(broken_laws<faulty<fault::gives_up>>().count(yields) == 1);
  CHECK(broken_laws<faulty<fault::names_the_gone>>().count(yields) == 1);
  CHECK(broken_laws<faulty<fault::by_address>>() == laws{by_calls});
  CHECK(broken_laws<faulty<fault::by_chance>>().count(by_calls) == 1);
  CHECK_FALSE(broken_laws<keeps_addresses>().empty());
  CHECK(broken_laws<faulty<fault::forgets_replaced>>().count(yields) == 1);
  CHECK(broken_laws<faulty<fault::forgets_at_resize>>().count(yields) == 1);
  CHECK(broken_laws<faulty<fault::foretells_the_gone>>().count(yields) == 1);
  CHECK(broken_laws<faulty<fault::asks_about_the_gone>>().count(yields) == 1);
  CHECK(broken_laws<faulty<fault::keeps_late_marks>>() ==
        laws{"what was marked after it had left counts for nobody"});
}
