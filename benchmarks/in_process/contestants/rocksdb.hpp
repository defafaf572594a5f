// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_ROCKSDB_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_ROCKSDB_HPP
/// \file
/// RocksDB's block caches: from bytes to a pointer. Every entry is charged 1, so that the capacity
/// counts entries. Numbers are stored in the pointer itself, and keys that are numbers widened to
/// the 16 bytes that HyperClockCache wants. Neither knows expiry.

#include "../kinds.hpp"
#include "contestant.hpp"

#include <rocksdb/cache.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

namespace bench {

struct rocksdb_lru_engine {
  static constexpr char const* name = "RocksDB LRU";
  static constexpr bool replaces = true;
  static std::shared_ptr<rocksdb::Cache> make(std::size_t capacity) {
    rocksdb::LRUCacheOptions o;
    o.capacity = capacity;
    o.num_shard_bits = shard_bits(capacity);
    o.high_pri_pool_ratio = 0;
    o.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
    return rocksdb::NewLRUCache(o);
  }
  static int shard_bits(std::size_t capacity) { return capacity < 10'000 ? 0 : 6; }
};

struct rocksdb_hyper_clock_engine {
  static constexpr char const* name = "RocksDB HyperClock";
  // An insert of a key that is there is dropped.
  static constexpr bool replaces = false;
  static std::shared_ptr<rocksdb::Cache> make(std::size_t capacity) {
    rocksdb::HyperClockCacheOptions o{capacity, 1};
    o.num_shard_bits = rocksdb_lru_engine::shard_bits(capacity);
    o.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
    return o.MakeSharedCache();
  }
};

template <class Kind, class Engine>
class rocksdb_cache {
 public:
  static constexpr char const* name = Engine::name;
  static constexpr role part = role::peer;

  explicit rocksdb_cache(std::size_t capacity) : cache_{Engine::make(capacity)} {}

  template <class F>
  bool read(typename Kind::key_arg k, F f) {
    wide_key const wide{k};
    auto* const handle = cache_->Lookup(wide.slice());
    if (handle == nullptr) return false;
    show(cache_->Value(handle), f);
    cache_->Release(handle);
    return true;
  }
  void put(typename Kind::key_arg k, typename Kind::value_arg v) {
    if constexpr (!Engine::replaces) cache_->Erase(wide_key{k}.slice());
    put_new(k, v);
  }
  void put_new(typename Kind::key_arg k, typename Kind::value_arg v) {
    auto const s = cache_->Insert(wide_key{k}.slice(), own(v), 1, &drop);
    expect(s.ok(), "RocksDB refuses an insert");
  }
  [[nodiscard]] std::size_t size() const { return cache_->GetUsage(); }

 private:
  static constexpr bool in_pointer = std::is_same_v<typename Kind::value, std::uint64_t>;

  class wide_key {
   public:
    explicit wide_key(typename Kind::key_arg k) {
      if constexpr (in_pointer) {
        std::uint64_t const words[2] = {k, ~k};
        std::memcpy(bytes_.data(), words, sizeof words);
      } else {
        text_ = {k.data(), k.size()};
      }
    }
    [[nodiscard]] rocksdb::Slice slice() const {
      if constexpr (in_pointer) return {bytes_.data(), bytes_.size()};
      else return text_;
    }

   private:
    std::array<char, 16> bytes_;
    rocksdb::Slice text_;
  };

  static void* own(typename Kind::value_arg v) {
    if constexpr (in_pointer) return reinterpret_cast<void*>(v);
    else return new typename Kind::value(v);
  }
  template <class F>
  static void show(void* stored, F& f) {
    if constexpr (in_pointer) f(reinterpret_cast<std::uint64_t>(stored));
    else f(*static_cast<typename Kind::value const*>(stored));
  }
  static void drop(rocksdb::Slice const&, void* stored) {
    if constexpr (!in_pointer) delete static_cast<typename Kind::value*>(stored);
  }

  std::shared_ptr<rocksdb::Cache> cache_;
};

template <class Kind>
using rocksdb_lru = rocksdb_cache<Kind, rocksdb_lru_engine>;
template <class Kind>
using rocksdb_hyper_clock = rocksdb_cache<Kind, rocksdb_hyper_clock_engine>;

}  // namespace bench

#endif
