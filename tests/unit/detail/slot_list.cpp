// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/slot_list.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <vector>

using kcache::no_slot;
using kcache::slot;
using kcache::detail::marked_links;
using kcache::detail::short_slot;
using kcache::detail::slot_links;
using kcache::detail::slot_list;

namespace {

/// Both links in three bytes each.
struct short_links {
  short_slot newer;
  short_slot older;
};

template <class Links>
class list {
 public:
  explicit list(std::size_t slots) : links_(slots) {}

  void push(slot s) { order_.push_front(s, links()); }
  void erase(slot s) { order_.erase(s, links()); }
  void refresh(slot s) { order_.move_to_front(s, links()); }

  /// From front to back; empty if the way back is another.
  std::vector<slot> order() {
    std::vector<slot> down;
    for (slot s = order_.front(); s != no_slot; s = links_[s].older) down.push_back(s);
    std::vector<slot> up;
    for (slot s = order_.back(); s != no_slot; s = links_[s].newer) up.insert(up.begin(), s);
    CHECK(order_.empty() == down.empty());
    return down == up ? down : std::vector<slot>{};
  }

 private:
  auto links() {
    return [this](slot s) -> Links& { return links_[s]; };
  }
  std::vector<Links> links_;
  slot_list order_;
};

using slots = std::vector<slot>;

}  // namespace

TEMPLATE_TEST_CASE("a list of slots keeps its order both ways", "[slot_list]", slot_links,
                   short_links, marked_links) {
  list<TestType> l{70'000};
  CHECK(l.order().empty());
  for (slot const s : {7U, 69'999U, 300U, 0U}) l.push(s);
  CHECK(l.order() == slots{0, 300, 69'999, 7});
  l.refresh(0);
  CHECK(l.order() == slots{0, 300, 69'999, 7});
  l.refresh(69'999);
  CHECK(l.order() == slots{69'999, 0, 300, 7});
  l.refresh(7);
  CHECK(l.order() == slots{7, 69'999, 0, 300});
  l.erase(69'999);
  CHECK(l.order() == slots{7, 0, 300});
  l.erase(300);
  CHECK(l.order() == slots{7, 0});
  l.erase(7);
  CHECK(l.order() == slots{0});
  l.erase(0);
  CHECK(l.order().empty());
  l.push(1);
  CHECK(l.order() == slots{1});
}

TEST_CASE("a short slot is a slot in three bytes", "[slot_list]") {
  STATIC_REQUIRE(sizeof(short_slot) == 3);
  STATIC_REQUIRE(sizeof(marked_links) == 8);
  short_slot s;
  CHECK(s == no_slot);
  for (slot const n : {0U, 1U, 0x80U, 0x8000U, 0x123456U, short_slot::limit - 1, no_slot}) {
    s = n;
    CHECK(s == n);
  }
}
