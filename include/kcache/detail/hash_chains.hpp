// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_HASH_CHAINS_HPP
#define KCACHE_DETAIL_HASH_CHAINS_HPP
/// \file
/// Floor 2. A hash table through its entries' own links.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kcache::detail {

/// Chains by the low bits of `Entry::hash()`, at most one entry per bucket on average; owns
/// nothing. `Entry` has a link `chain`. Operations are O(1) on average, growth O(n) and rare.
template <class Entry>
class hash_chains {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return buckets_.size() * sizeof(Entry*); }

  /// The first entry of that hash which `is_key` accepts, or null. Throws what `is_key` throws.
  template <class IsKey>
  [[nodiscard]] Entry* find(std::uint64_t hash, IsKey const& is_key) const {
    if (buckets_.empty()) return nullptr;
    Entry* e = buckets_[bucket(hash, buckets_)];
    while (e && !(e->hash() == hash && is_key(*e))) e = e->chain;
    return e;
  }

  /// Makes room for `entries` in all, at most one more than there are. May throw; then nothing has
  /// changed.
  void reserve(std::uint64_t entries) {
    if (entries <= buckets_.size()) return;
    std::vector<Entry*> larger(buckets_.empty() ? 8 : 2 * buckets_.size());
    for (Entry* first : buckets_) {
      while (first) {
        Entry& e = *first;
        first = e.chain;
        link(e, larger);
      }
    }
    buckets_.swap(larger);
  }
  /// Needs a `reserve` before it.
  void insert(Entry& e) noexcept {
    link(e, buckets_);
    ++size_;
  }
  void erase(Entry& e) noexcept {
    Entry** at = &buckets_[bucket(e.hash(), buckets_)];
    while (*at != &e) at = &(*at)->chain;
    *at = e.chain;
    e.chain = nullptr;
    --size_;
  }
  /// Some entry, or null. A walk over all of them by erasing each is O(entries + buckets) if
  /// `from`, at first 0, is handed back each time.
  [[nodiscard]] Entry* any(std::size_t& from) const noexcept {
    while (from != buckets_.size() && !buckets_[from]) ++from;
    return from == buckets_.size() ? nullptr : buckets_[from];
  }

 private:
  static std::size_t bucket(std::uint64_t hash, std::vector<Entry*> const& in) noexcept {
    return static_cast<std::size_t>(hash) & (in.size() - 1);
  }
  static void link(Entry& e, std::vector<Entry*>& in) noexcept {
    Entry*& first = in[bucket(e.hash(), in)];
    e.chain = first;
    first = &e;
  }

  std::vector<Entry*> buckets_;
  std::size_t size_ = 0;
};

}  // namespace kcache::detail

#endif
