// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/slots.hpp>

#include "support/catch.hpp"

#include <kcache/policies.hpp>
#include <kcache/policies/clock_hand.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using kcache::default_policies;
using kcache::never;
using kcache::no_slot;
using kcache::time_point;
using kcache::detail::cell_slot;
using kcache::detail::is_plain_key;
using kcache::detail::pair_slot;
using kcache::detail::shared_words;
using kcache::detail::slot_for;
using kcache::detail::storage_plan;

namespace {

struct sixteen {
  std::uint64_t high;
  std::uint64_t low;
};
struct seventeen {
  std::array<char, 17> bytes;
};
struct thirty_two {
  std::array<std::uint64_t, 4> words;
};
struct thirty_three {
  std::array<char, 33> bytes;
};
struct alignas(16) wide {
  std::uint64_t word;
};
/// Three bytes of padding, and a size that is no multiple of a word.
struct padded {
  char c;
  int n;
  char d;
};
struct moves_only {
  explicit moves_only(int number) noexcept : n{number} {}
  moves_only(moves_only&&) noexcept = default;
  moves_only& operator=(moves_only&&) = delete;
  int n;
};

struct weighs {
  template <class K, class V>
  std::uint64_t operator()(K const&, V const&) const {
    return 1;
  }
};
struct hears {
  template <class K, class V>
  void operator()(K const&, V const&, kcache::removal_cause) const noexcept {}
};
struct hash_that_throws {
  template <class K>
  std::uint64_t operator()(K const&) const {
    return 0;
  }
};
struct hash_that_does_not {
  template <class K>
  std::uint64_t operator()(K const&) const noexcept {
    return 0;
  }
};
using weighed = kcache::with_weigher<weighs>;
using told = kcache::with_removal_listener<hears>;
using idle = kcache::with_expiry<kcache::expire_after_access<>>;
using kept_hash = kcache::with_hash<hash_that_throws>;

/// What cache.hpp's table says of these types.
enum class kept_as { pair, free_cell, locked_cell };
template <class K, class V, class P = default_policies>
constexpr kept_as how() {
  using plan = storage_plan<K, V, P>;
  if (plan::inline_pairs) return plan::lock_free ? kept_as::pair : kept_as{-1};
  return plan::lock_free ? kept_as::free_cell : kept_as::locked_cell;
}

using u64 = std::uint64_t;
using text = std::string;

// A pair in the table: a key of 16 bytes and a value of 32, trivially copyable.
static_assert(how<u64, u64>() == kept_as::pair);
static_assert(how<int, char>() == kept_as::pair);
static_assert(how<sixteen, thirty_two, kept_hash>() == kept_as::pair);
static_assert(how<u64, void*>() == kept_as::pair);
static_assert(how<u64, moves_only>() == kept_as::pair);
static_assert(how<double, padded>() == kept_as::pair);
static_assert(how<u64, u64, idle>() == kept_as::pair);
// Not with a weigher or a listener.
static_assert(how<u64, u64, weighed>() == kept_as::free_cell);
static_assert(how<u64, u64, told>() == kept_as::free_cell);
// Larger or owning values; strings as keys.
static_assert(how<u64, thirty_three>() == kept_as::free_cell);
static_assert(how<u64, wide>() == kept_as::free_cell);
static_assert(how<u64, text>() == kept_as::free_cell);
static_assert(how<u64, std::unique_ptr<int>>() == kept_as::free_cell);
static_assert(how<text, u64>() == kept_as::free_cell);
static_assert(how<text, text>() == kept_as::free_cell);
static_assert(how<std::u8string, std::shared_ptr<int>>() == kept_as::free_cell);
// Any other key: a user's == must not meet a key that is half destroyed.
static_assert(how<seventeen, u64, kept_hash>() == kept_as::locked_cell);
static_assert(how<wide, u64, kept_hash>() == kept_as::locked_cell);
static_assert(how<std::u16string, u64>() == kept_as::locked_cell);
static_assert(how<std::unique_ptr<int>, text>() == kept_as::locked_cell);
static_assert(how<std::vector<int>, u64, kept_hash>() == kept_as::locked_cell);

// What leaves waits for the end of the lock where it is told of or runs destructors.
template <class K, class V, class P = default_policies>
constexpr bool linked = storage_plan<K, V, P>::linked;
static_assert(!linked<u64, u64> && !linked<text, text> && !linked<u64, text>);
static_assert(!linked<text, thirty_three> && !linked<u64, u64, weighed>);
static_assert(linked<text, text, told> && linked<u64, u64, told>);
static_assert(linked<u64, std::unique_ptr<int>> && linked<std::unique_ptr<int>, u64>);
static_assert(linked<text, std::u16string>);

// A hash that may throw is kept.
static_assert(!storage_plan<u64, u64, default_policies>::keeps_hash);
static_assert(!storage_plan<text, u64, default_policies>::keeps_hash);
static_assert(!storage_plan<text, u64, kcache::with_hash<hash_that_does_not>>::keeps_hash);
static_assert(storage_plan<text, u64, kept_hash>::keeps_hash);

// Idle times are kept where the policy has them, through jitter too.
static_assert(!storage_plan<u64, u64, default_policies>::idle);
static_assert(!storage_plan<u64, u64, kcache::with_expiry<kcache::jittered<>>>::idle);
static_assert(storage_plan<u64, u64, idle>::idle);
static_assert(storage_plan<u64, u64, kcache::with_expiry<kcache::jittered<
                                         kcache::expire_after_access<>>>>::idle);

static_assert(is_plain_key<sixteen> && !is_plain_key<seventeen> && !is_plain_key<wide> &&
              !is_plain_key<text>);

// What bytes per entry follow from: the slot, and the hook where it lies apart.
template <class K, class V, class P = default_policies>
constexpr std::size_t bytes_of = sizeof(slot_for<K, V, P>) +
                                 (storage_plan<K, V, P>::hook_inside
                                      ? 0
                                      : sizeof(typename P::eviction::hook));
static_assert(bytes_of<u64, u64> == 32 && bytes_of<text, text> == 16);
static_assert(bytes_of<u64, u64, kcache::with_eviction<kcache::fifo>> == 32);
static_assert(bytes_of<u64, u64, kcache::with_eviction<kcache::clock_hand>> == 32);
static_assert(bytes_of<text, text, kcache::with_eviction<kcache::clock_hand>> == 16);
static_assert(bytes_of<text, text, weighed> == 24 && bytes_of<text, text, kept_hash> == 24);
static_assert(bytes_of<text, text, idle> == 24 && bytes_of<u64, u64, idle> == 40);
// A hook that readers mark is where they look.
static_assert(storage_plan<u64, u64, kcache::with_eviction<kcache::clock_hand>>::hook_inside);
static_assert(!storage_plan<u64, u64, default_policies>::hook_inside);
static_assert(std::is_same_v<slot_for<u64, u64, default_policies>,
                             pair_slot<u64, u64, default_policies>>);
static_assert(std::is_same_v<slot_for<u64, text, default_policies>,
                             cell_slot<u64, text, default_policies>>);

template <class K, class V>
typename pair_slot<K, V, default_policies>::fresh fresh_of(K const& k, V const& v, time_point t) {
  return {shared_words<K>::words_of(k), shared_words<V>::words_of(v), t};
}

}  // namespace

TEST_CASE("words give back the object, whatever its size", "[slots]") {
  CHECK(shared_words<char>::object(shared_words<char>::words_of('x')) == 'x');
  CHECK(shared_words<double>::object(shared_words<double>::words_of(2.5)) == 2.5);
  CHECK(shared_words<moves_only>::object(shared_words<moves_only>::words_of(moves_only{4})).n == 4);
  padded const p{'c', -7, 'd'};
  padded const q = shared_words<padded>::object(shared_words<padded>::words_of(p));
  CHECK(q.c == 'c');
  CHECK(q.n == -7);
  CHECK(q.d == 'd');
  seventeen s{};
  for (std::size_t i = 0; i != 17; ++i) s.bytes[i] = static_cast<char>(i);
  CHECK(shared_words<seventeen>::object(shared_words<seventeen>::words_of(s)).bytes == s.bytes);
  CHECK(shared_words<seventeen>::copy{}.size() == 3);

  // What lies above a short object is always the same: words are compared whole.
  CHECK(shared_words<char>::words_of(-1) == shared_words<char>::copy{0xff});
  CHECK(shared_words<bool>::words_of(true) == shared_words<bool>::copy{1});
}

TEST_CASE("a pair's slot is free, holds a pair, and is free again", "[slots]") {
  using slot_type = pair_slot<u64, u64, default_policies>;
  slot_type s;
  CHECK_FALSE(s.resident());
  s.set(fresh_of<u64, u64>(7, 8, time_point{kcache::duration{9}}));
  CHECK(s.resident());
  CHECK(s.key() == 7);
  CHECK(slot_type::value_words::object(s.value_copy()) == 8);
  CHECK(s.expires_at() == time_point{kcache::duration{9}});
  s.set_value(fresh_of<u64, u64>(0, 10, never));
  CHECK(s.key() == 7);
  CHECK(slot_type::value_words::object(s.value_copy()) == 10);
  CHECK(s.expires_at() == never);
  for (kcache::slot const next : {kcache::slot{0}, kcache::slot{5}, no_slot}) {
    s.set_free(next);
    CHECK_FALSE(s.resident());
    CHECK(s.next_free() == next);
  }
  // Extremes of keys, values and times do not look like a free slot.
  for (u64 const word : {u64{0}, ~u64{0}}) {
    for (auto const t : {never, time_point::min() + kcache::duration{1}, time_point{}}) {
      s.set(fresh_of<u64, u64>(word, word, t));
      CHECK(s.resident());
      CHECK(s.key() == word);
    }
  }
}

TEST_CASE("a slot moves to a larger table with all it has", "[slots]") {
  using marked_hash = kcache::with_eviction<kcache::clock_hand, kept_hash>;
  using slot_type = pair_slot<sixteen, thirty_two, marked_hash>;
  slot_type from;
  from.set({shared_words<sixteen>::words_of({1, 2}),
            shared_words<thirty_two>::words_of({{3, 4, 5, 6}}), time_point{kcache::duration{7}}});
  from.hook.value.newer = 10;
  from.hook.value.older = 11;
  from.hook.value.reads.set(1);
  from.hash.value = 12;
  slot_type to;
  to.copy(from);
  CHECK(to.resident());
  CHECK(to.key().high == 1);
  CHECK(to.key().low == 2);
  CHECK(slot_type::value_words::object(to.value_copy()).words == std::array<u64, 4>{3, 4, 5, 6});
  CHECK(to.expires_at() == time_point{kcache::duration{7}});
  CHECK(to.hook.value.newer == 10);
  CHECK(to.hook.value.older == 11);
  CHECK(to.hook.value.reads.reads() == 1);
  CHECK(to.hash.value == 12);
  from.set_free(99);
  to.copy(from);
  CHECK_FALSE(to.resident());
  CHECK(to.next_free() == 99);

  struct all : idle {
    using weigher = weighs;
    using hash = hash_that_throws;
  };
  using full = cell_slot<text, text, all>;
  full a;
  a.weight.value = 1;
  a.hash.value = 2;
  a.idle_until.value = 3;
  a.set_free(4);
  full b;
  b.copy(a);
  CHECK(b.weight.value == 1);
  CHECK(b.hash.value == 2);
  CHECK(b.idle_until.value == 3);
  CHECK(b.next_free() == 4);
}

TEST_CASE("a cell's slot is free, holds a cell, and is free again", "[slots]") {
  using slot_type = cell_slot<text, text, default_policies>;
  slot_type s;
  CHECK_FALSE(s.resident());
  CHECK(s.look() == nullptr);
  auto* const c = slot_type::node::make(std::string_view{"key"}, std::string_view{"value"}, false,
                                        time_point{kcache::duration{5}});
  s.set(*c);
  CHECK(s.resident());
  CHECK(&s.get() == c);
  CHECK(s.look() == c);
  CHECK(s.key() == "key");
  CHECK(s.expires_at() == time_point{kcache::duration{5}});
  slot_type copy;
  copy.copy(s);
  CHECK(copy.look() == c);
  for (kcache::slot const next : {kcache::slot{0}, kcache::slot{5}, no_slot}) {
    s.set_free(next);
    CHECK_FALSE(s.resident());
    CHECK(s.look() == nullptr);
    CHECK(s.next_free() == next);
  }
  slot_type::node::heap::release(*c);
  slot_type::node::heap::release(*c);
}
