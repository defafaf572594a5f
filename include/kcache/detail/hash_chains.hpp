// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_HASH_CHAINS_HPP
#define KCACHE_DETAIL_HASH_CHAINS_HPP
/// \file
/// Floor 3. `hash_chains`: a hash table of objects that lie elsewhere, which never fails to take
/// one more.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kcache::detail {

/// `Item` has `hash()`, a std::uint64_t whose lowest bits are well mixed, and a member `chain`, an
/// `Item*` that is the table's. 8 to 16 bytes an item, of as many as there ever were; expected
/// O(1). Without memory for more buckets the chains are longer. Not thread safe.
template <class Item>
class hash_chains {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Where the item is that has this hash and is `wanted`; null: nowhere. Throws what that does.
  template <class Wanted>
  [[nodiscard]] Item** find(std::uint64_t hash, Wanted wanted) {
    for (Item** at = &bucket_of(hash); *at; at = &(*at)->chain)
      if ((*at)->hash() == hash && wanted(**at)) return at;
    return nullptr;
  }
  void insert(Item& item) noexcept {
    make_room();
    chain(item);
    ++size_;
  }
  /// Where `find` found it.
  void erase(Item** at) noexcept {
    *at = std::exchange((*at)->chain, nullptr);
    --size_;
  }
  /// The item is in the table.
  void erase(Item& item) noexcept {
    Item** at = &bucket_of(item.hash());
    while (*at != &item) at = &(*at)->chain;
    erase(at);
  }

 private:
  static constexpr std::size_t least = 8;

  [[nodiscard]] Item*& bucket_of(std::uint64_t hash) noexcept {
    return buckets_.empty() ? only_ : buckets_[hash & (buckets_.size() - 1)];
  }
  void chain(Item& item) noexcept { item.chain = std::exchange(bucket_of(item.hash()), &item); }
  void chain_all(Item* item) noexcept {
    while (item) chain(*std::exchange(item, item->chain));
  }
  void make_room() noexcept {
    if (size_ < buckets_.size() || (buckets_.empty() && size_ == 0)) return;
    try {
      std::vector<Item*> more(buckets_.empty() ? least : 2 * buckets_.size());
      more.swap(buckets_);
      chain_all(std::exchange(only_, nullptr));
      for (Item* const first : more) chain_all(first);
    } catch (...) {  // no memory
    }
  }

  std::vector<Item*> buckets_;  // as many as a power of two
  Item* only_ = nullptr;        // the one bucket until there is memory, and need, for more
  std::size_t size_ = 0;
};

}  // namespace kcache::detail

#endif
