// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SHARD_HPP
#define KCACHE_DETAIL_SHARD_HPP
/// \file
/// Floor 2. `shard`: one independent part of a cache, with a lock of its own.
///
/// # Parts
/// Slots with an index (slot_table.hpp), the policy's queue over the slots, bounds for expiry
/// (expiry_blocks.hpp), rings with notes of reads (read_rings.hpp) where the policy wants to be
/// told of them, cells that readers may still see (retired_cells.hpp), and tables whose entries
/// were cleared and are yet to be taken out.
///
/// # Writing
/// One lock. Every change first does what may throw (comparing keys, making room, the guard) and
/// then what may not: that is the strong guarantee. Nothing of the user's is destroyed and no
/// listener called under the lock: what leaves goes to the caller's `removed`. Notes of reads are
/// told to the queue before it is asked anything, so that it decides as if each read had waited for
/// the lock; a put that merely replaces a value is noted like a read.
///
/// # Reading
/// Where keys allow (plain or flat), a read takes no lock. Pairs kept in slots are copied word by
/// word and believed if the shard's sequence number is even and unchanged. Cells do not change
/// once they are in a slot, and are not freed during a read section, so a key that is equal is a
/// hit at once; only a miss asks whether the sequence number moved. A reader that had no luck eight
/// times, that met an expired entry or must move an idle deadline, takes the lock. Other keys are
/// compared by the user's code, which must not meet a key half destroyed: such caches lock.
///
/// # Clearing
/// A fresh table takes the old one's place: so all entries are gone at once. The old one waits in
/// line; each put takes two of its entries out, or as many as it needs room for, before it asks for
/// anything that lives. Their weight counts till then, so that all that is kept never exceeds the
/// share. Nothing in the old table changes any more: readers that were in it see the state before
/// the clearing, in which their calls began. A note that such a reader leaves may be told of the
/// slot's next entry, as any note may.

#include <kcache/config.hpp>
#include <kcache/detail/expiry_blocks.hpp>
#include <kcache/detail/min_max.hpp>
#include <kcache/detail/read_rings.hpp>
#include <kcache/detail/reader.hpp>
#include <kcache/detail/removed_entries.hpp>
#include <kcache/detail/retired_cells.hpp>
#include <kcache/detail/slot_table.hpp>
#include <kcache/detail/slots.hpp>
#include <kcache/detail/spin_lock.hpp>
#include <kcache/policies/eviction.hpp>
#include <kcache/policies/removal.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace kcache::detail {

/// What a put knows of its entry before it asks for a place.
template <bool Dated>
struct entry_facts {
  std::uint64_t hash;
  std::uint64_t weight;
  time_point expires_at;
  [[no_unique_address]] optional_field<Dated, compact_dates, 0> dates{};
};

/// What a look at a dated entry yields beside it. `now`: the clock, read once for this look.
struct entry_moment {
  compact_dates dates;
  time_point now;
};
template <bool Dated>
using moment_field = optional_field<Dated, entry_moment, 0>;

/// What came of a look. Beyond the answers: `disturbed` by a writer, or not at its end; to be done
/// under the `lock`.
enum class sight : unsigned char { hit, miss, disturbed, lock };

struct no_rings {
  explicit no_rings(void const*) noexcept {}
};
struct no_cells {};

template <class Key, class Value, class Policies>
class alignas(apart) shard {
 public:
  using plan = storage_plan<Key, Value, Policies>;
  using slot_type = slot_for<Key, Value, Policies>;
  using node = cell_node<Key, Value, plan::linked, plan::dated>;
  using eviction_type = typename Policies::eviction;
  using stats_type = typename Policies::stats;
  using hash_type = typename Policies::hash;
  using key_view = typename storage_traits<Key>::view_type;
  using listener_type = typename Policies::removal_listener;
  using removed_type =
      std::conditional_t<plan::linked,
                         removed_entries<node, listener_type>,
                         std::conditional_t<plan::inline_pairs, nothing_removed,
                                            freed_cells<Value>>>;
  /// What `put` takes: a pair's words, or a cell.
  using fresh_type = typename std::conditional_t<plan::inline_pairs, slot_type, node>::fresh;

  using facts_type = entry_facts<plan::dated>;

  /// What a read of a pair yields. Left as it is made, but for `hit`, where there is nothing.
  template <bool Dated>
  struct pair_found {
    bool hit = false;
    typename slot_type::value_words::copy value;
    time_point expires_at;
    [[no_unique_address]] moment_field<Dated> moment{};
  };

  /// What a read of a cell yields: the cell of a hit, if `take` has seen to it that it stays.
  template <bool Dated>
  struct cell_found {
    sight seen = sight::miss;
    cell<Value>* at = nullptr;
    [[no_unique_address]] moment_field<Dated> moment{};
  };

  /// What the queue sees of its entries.
  struct entries {
    shard* owner;
    [[nodiscard]] typename eviction_type::hook& hook(slot s) const noexcept {
      return owner->hook_at(s);
    }
    [[nodiscard]] std::uint64_t hash(slot s) const noexcept { return owner->hash_at(s); }
    [[nodiscard]] std::uint64_t weight(slot s) const noexcept { return owner->weight_at(s); }
  };

  /// `share` is this shard's part of the capacity; it stores no entry heavier than `heaviest`.
  /// An entry that was not read for `idle` expires, where the plan says so. `hash`, `listener` and
  /// `stats` outlive the shard.
  shard(std::uint64_t share, std::uint64_t heaviest, duration idle, hash_type const& hash,
        listener_type const& listener, stats_type& stats);
  shard(shard const&) = delete;
  shard& operator=(shard const&) = delete;
  ~shard();

  // Reads: of pairs, which are copied, and of cells, which are shown to `take(cell)` inside a read
  // section or under the lock. `take` returns false if it cannot: then it is called once more,
  // under the lock, and if it cannot there either the read ends with `sight::lock`, as if it had
  // not been. With `Trace` the read is counted, the policy is told, and an expired entry removed.
  // With `Dated` the moment is filled in. What a read yields is what `then(found)` makes of it: the
  // short way and the long one each make it, and share no memory for it.
  template <bool Trace, bool Dated, class Clock, class Then>
  KCACHE_INLINE auto find_pair(Key const& key, std::uint64_t hash, Clock const& clock,
                               stats_type& stats, Then const& then);
  template <bool Trace, bool Dated, class Clock, class Take, class Then>
  KCACHE_INLINE auto read_cell(key_view key, std::uint64_t hash, Clock const& clock,
                               stats_type& stats, Take take, Then const& then);

  /// Stores `fresh` or returns false: the guard said no, or it had expired already, or it is too
  /// heavy. `guard(present)`: `present()` is the slot of the key's live entry, or null.
  template <class Guard>
  [[nodiscard]] bool put(fresh_type const& fresh, key_view key, facts_type const& facts,
                         time_point now, Guard& guard, removed_type& removed);
  /// True if there was a live entry.
  template <class Guard>
  bool erase(key_view key, std::uint64_t hash, time_point now, Guard& guard,
             removed_type& removed);
  void clear(time_point now, removed_type& removed) noexcept;
  /// Takes out up to `most` entries that were cleared, and returns how many.
  std::size_t remove_cleared(std::size_t most, removed_type& removed) noexcept;
  /// Takes out expired entries, about `most` at most, and returns how many.
  std::size_t remove_expired(time_point now, std::size_t most, removed_type& removed) noexcept;
  /// Evicts what is too much before it returns.
  void set_share(std::uint64_t share, std::uint64_t heaviest, time_point now,
                 removed_type& removed) noexcept;

  /// Three steps of fetching ahead what a read of this hash will look at, in a read section.
  void prefetch(std::uint64_t hash, int step) const noexcept;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::uint64_t weight() const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  using hook_type = typename eviction_type::hook;
  using table_type =
      slot_table<slot_type, std::conditional_t<plan::hook_inside, nothing_apart, hook_type>>;
  using queue_type = typename eviction_type::template queue<entries>;
  static constexpr bool touched = touched_eviction<eviction_type, queue_type>;
  static constexpr bool marked = marked_eviction<eviction_type>;
  static constexpr bool noted = touched && plan::lock_free;
  static constexpr bool has_replaced =
      requires(queue_type& q, slot s) { q.replaced(s); };
  static constexpr bool has_clear = requires(queue_type& q) {
    { q.clear() } noexcept;
  };
  static constexpr std::uint32_t least_slots = 8;
  /// As many or fewer slots in use are cleared at once.
  static constexpr slot few_slots = 16;
  /// A put takes so many cleared entries out: they are gone before as many were put anew.
  static constexpr std::size_t cleared_at_once = 2;
  static constexpr std::size_t cleared_looked_at = 64;
  static constexpr int tries = 8;

  /// The sequence number is odd while one of these lives.
  class writing {
   public:
    explicit writing(shard& s) noexcept
        : number_{s.sequence_}, odd_{number_.load(std::memory_order_relaxed) + 1} {
      number_.store(odd_, std::memory_order_relaxed);
    }
    writing(writing const&) = delete;
    writing& operator=(writing const&) = delete;
    ~writing() { number_.store(odd_ + 1, std::memory_order_release); }

   private:
    std::atomic<std::uint64_t>& number_;
    std::uint64_t odd_;
  };

  // Reading without a lock.
  template <bool Trace, bool Dated, class Clock>
  [[gnu::noinline]] pair_found<Dated> find_pair_again(Key const& key, std::uint64_t hash,
                                                      Clock const& clock, stats_type& stats);
  template <bool Trace, bool Dated, class Clock, class Take>
  [[gnu::noinline]] cell_found<Dated> read_cell_again(key_view key, std::uint64_t hash,
                                                      Clock const& clock, stats_type& stats,
                                                      Take take);
  /// `stats`: what the cache's address is for, without a look at the shard.
  [[nodiscard]] KCACHE_INLINE static read_section section(reader& r,
                                                          stats_type const& stats) noexcept {
    static_cast<void>(stats);
    if constexpr (noted) {
      return read_section{r, &stats};
    } else {
      return read_section{r};
    }
  }
  template <bool Trace, bool Dated, bool Home, class Clock>
  KCACHE_INLINE sight look_at_pairs(reader& r, Key const& key, std::uint64_t hash,
                                    Clock const& clock, stats_type const& stats,
                                    pair_found<Dated>& found);
  template <bool Trace, bool Dated, bool Home, class Clock, class Take>
  KCACHE_INLINE sight look_at_cells(reader& r, key_view key, std::uint64_t hash,
                                    Clock const& clock, stats_type const& stats, Take take,
                                    cell_found<Dated>& found);
  template <bool Home, class Look>
  KCACHE_INLINE static search search_in(table_type& t, std::uint64_t hash, Look const& look);
  template <bool Trace>
  KCACHE_INLINE bool leave_trace(table_type& t, slot s, reader const& r) noexcept;
  /// Where the ring is full.
  [[gnu::noinline]] void note_later(slot s, std::uint32_t thread) noexcept;
  template <bool Trace, bool Dated, class Clock>
  [[nodiscard]] KCACHE_INLINE sight judge(slot_type const& e, time_point expires_at,
                                          Clock const& clock,
                                          moment_field<Dated>& moment) const noexcept;
  static void count(stats_type& stats, std::uint64_t hash, sight seen) noexcept {
    if (seen == sight::hit) stats.on_hit();
    if (seen == sight::miss) stats.on_miss();
    count_key(stats, hash, seen);
  }
  /// As above, where the thread's reader is at hand: `counting_stats` need not look for it.
  KCACHE_INLINE static void count(stats_type& stats, reader const& r, std::uint64_t hash,
                                  sight seen) noexcept {
    if constexpr (requires { stats.on_hit(r), stats.on_miss(r); }) {
      seen == sight::hit ? stats.on_hit(r) : stats.on_miss(r);
      count_key(stats, hash, seen);
    } else {
      static_cast<void>(r);
      count(stats, hash, seen);
    }
  }
  KCACHE_INLINE static void count_key(stats_type& stats, std::uint64_t hash, sight seen) noexcept {
    static_cast<void>(stats), static_cast<void>(hash), static_cast<void>(seen);
    if constexpr (requires { stats.on_key_hit(hash); }) {
      if (seen == sight::hit) stats.on_key_hit(hash);
    }
  }

  // Under the lock.
  [[nodiscard]] table_type& table() const noexcept {
    return *table_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] slot_type& at(slot s) const noexcept { return slots_[s]; }
  [[nodiscard]] hook_type& hook_at(slot s) const noexcept {
    if constexpr (plan::hook_inside) {
      return at(s).hook.value;
    } else {
      return hooks_[s];
    }
  }
  [[nodiscard]] std::uint64_t hash_at(slot s) const noexcept;
  [[nodiscard]] static std::uint64_t weight_of(slot_type const& e) noexcept;
  [[nodiscard]] static time_point expiry_of(slot_type const& e) noexcept;
  [[nodiscard]] std::uint64_t weight_at(slot s) const noexcept { return weight_of(at(s)); }
  [[nodiscard]] time_point expiry_at(slot s) const noexcept { return expiry_of(at(s)); }
  /// Of the share.
  [[nodiscard]] std::uint64_t room() const noexcept { return share_ - weight_ - cleared_weight_; }
  [[nodiscard]] slot find(key_view key, std::uint64_t hash) const;
  template <class Take>
  sight read_locked(bool trace, key_view key, std::uint64_t hash, time_point now,
                    Take take);
  void tell() noexcept;
  void touch(slot s) noexcept;
  inline void prepare(bool new_slot, bool expires);
  [[gnu::noinline]] void grow();
  void reserve_again() noexcept;
  void use(table_type& t) noexcept;
  void give_up(table_type& t) noexcept;
  [[nodiscard]] slot most_slots() const noexcept;
  [[gnu::noinline]] void free_old_tables() noexcept;
  inline void insert(fresh_type const& fresh, facts_type const& facts, time_point now) noexcept;
  void replace(slot s, fresh_type const& fresh, facts_type const& facts, time_point now,
               removed_type& removed) noexcept;
  bool replaces_only(slot s, facts_type const& facts, time_point now) noexcept;
  void set_value(slot s, fresh_type const& fresh, removed_type& removed) noexcept;
  void set_facts(slot s, facts_type const& facts, time_point now) noexcept;
  [[nodiscard]] removal_cause cause_of(slot s, time_point now, removal_cause live) const noexcept;
  [[gnu::noinline]] std::size_t take_expired(time_point now, removed_type& removed) noexcept;
  [[nodiscard]] table_type* make_fresh() const noexcept;
  /// `most_looks`: at so many slots.
  [[gnu::noinline]] std::size_t take_cleared(std::size_t most, removed_type& removed,
                                             std::size_t most_looks = ~std::size_t{0}) noexcept;
  void release_cells(table_type& t, slot first, slot last) noexcept;
  inline void make_way(time_point now, removed_type& removed) noexcept;
  inline void make_way_among_live(time_point now, removed_type& removed) noexcept;
  void take_out(slot s, removal_cause cause, removed_type& removed) noexcept;
  /// As `take_out`, of what the queue has given up already.
  void drop(slot s, removal_cause cause, removed_type& removed) noexcept;
  template <class Cell>
  void dismiss(Cell& c, std::size_t bytes, removal_cause cause, removed_type& removed) noexcept;

  // What readers look at.
  std::atomic<std::uint64_t> sequence_{0};
  std::atomic<table_type*> table_;
  // Who takes the lock to tell notes does not disturb them.
  alignas(64) mutable spin_lock lock_;
  std::uint32_t size_ = 0;
  slot free_ = no_slot;
  slot unused_ = 0;
  slot_type* slots_ = nullptr;  // the table's
  std::uint64_t weight_ = 0;
  std::uint64_t share_;
  stats_type& stats_;
  table_type* cleared_ = nullptr;  // what was cleared first
  std::uint64_t cleared_weight_ = 0;
  // The writers'.
  hook_type* hooks_ = nullptr;  // the table's, where they lie apart
  queue_type queue_;
  std::size_t cell_bytes_ = 0;
  std::uint64_t heaviest_;
  hash_type const& hash_;
  listener_type const& listener_;
  expiry_blocks expiry_;
  duration idle_;
  table_type* old_tables_ = nullptr;
  table_type* last_cleared_ = nullptr;
  /// So many slots the queue was told of.
  slot reserved_ = 0;
  [[no_unique_address]] std::conditional_t<plan::inline_pairs || !plan::lock_free, no_cells,
                                           retired_cells<Value, !plan::linked>>
      retired_;
  [[no_unique_address]] std::conditional_t<noted, read_rings, no_rings> rings_{
      &stats_};
};

}  // namespace kcache::detail

#include <kcache/impl/shard.hpp>
#include <kcache/impl/shard_clearing.hpp>
#include <kcache/impl/shard_facts.hpp>
#include <kcache/impl/shard_growth.hpp>
#include <kcache/impl/shard_reading.hpp>

#endif
