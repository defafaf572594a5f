// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/eviction_laws.hpp>

#include "support/catch.hpp"

#include <kcache/policies/fifo.hpp>
#include <kcache/policies/lru.hpp>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace {

/// A user's policy: second chance in its simplest form, with a mark in the hook.
struct second_chance {
  struct hook : kcache::detail::list_hook {
    bool read = false;
  };
  template <class Node>
  class queue {
   public:
    explicit queue(std::uint64_t) noexcept {}
    void insert(Node& n) noexcept { order_.push_front(n); }
    void touch(Node& n) noexcept { mark(n) = true; }
    void erase(Node& n) noexcept {
      mark(n) = false;
      order_.erase(n);
    }
    Node* victim() noexcept {
      while (!order_.empty() && mark(*order_.back())) {
        mark(*order_.back()) = false;
        order_.move_to_front(*order_.back());
      }
      return order_.back();
    }

   private:
    static bool& mark(Node& n) noexcept {
      hook& h = n;
      return h.read;
    }
    kcache::detail::intrusive_list<Node> order_;
  };
};

enum class fault { none, keeps_erased, gives_up, by_address, by_chance, forgets_touched };

/// First in, first out, with a fault.
template <fault Fault>
struct faulty {
  struct hook {};
  template <class Node>
  class queue {
   public:
    explicit queue(std::uint64_t) {}
    void insert(Node& n) noexcept { nodes_.push_back(&n); }
    void touch(Node& n) noexcept {
      if (Fault == fault::forgets_touched) std::erase(nodes_, &n);
    }
    void erase(Node& n) noexcept {
      if (Fault == fault::keeps_erased && nodes_.size() == 5) return;
      std::erase(nodes_, &n);
    }
    Node* victim() noexcept {
      ++asked_;
      if (nodes_.empty() || (Fault == fault::gives_up && asked_ % 50 == 0)) return nullptr;
      if (Fault == fault::by_address) return *std::min_element(nodes_.begin(), nodes_.end());
      if (Fault == fault::by_chance && asked_ % 3 == 0) return nodes_.back();
      return nodes_.front();
    }

   private:
    std::vector<Node*> nodes_;
    static inline int asked_ = 0;
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
                   second_chance, faulty<fault::none>) {
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
  CHECK(broken_laws<faulty<fault::none>>().empty());
  CHECK_FALSE(broken_laws<faulty<fault::keeps_erased>>().empty());
  CHECK_FALSE(broken_laws<faulty<fault::gives_up>>().empty());
  CHECK_FALSE(broken_laws<faulty<fault::forgets_touched>>().empty());
  std::string const by_calls = "victims follow from the calls alone, not from addresses, time or "
                               "chance";
  CHECK(broken_laws<faulty<fault::by_address>>().count(by_calls) == 1);
  CHECK(broken_laws<faulty<fault::by_chance>>().count(by_calls) == 1);
}
