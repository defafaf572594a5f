// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_INPUT_BUFFER_HPP
#define KCACHE_BEAST_DETAIL_INPUT_BUFFER_HPP
/// \file
/// Floor 5. `input_buffer`: the one flat buffer of a connection, that messages are parsed from.

#include <kcache/bytes.hpp>
#include <kcache/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

namespace kcache::beast {

/// Bytes that came from a socket and are not consumed yet, always contiguous. Views of `data()`
/// live until the next `prepare`. Not thread safe.
class input_buffer {
 public:
  explicit input_buffer(std::size_t usual_size) : usual_{usual_size} {}

  [[nodiscard]] byte_view data() const noexcept { return {store_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }

  /// Room behind the data for at least one byte, and for the whole of a message of `message` bytes
  /// that begins where the data begins. May throw `bad_alloc`, and then has changed nothing.
  [[nodiscard]] std::span<char> prepare(std::size_t message = 0) {
    std::size_t const wanted = std::max({message, size() + 1, usual_});
    if (begin_ + wanted > capacity_ || end_ == capacity_) {
      if (wanted <= capacity_) {
        std::memmove(store_.get(), store_.get() + begin_, size());
      } else {
        // To the byte where the size is known; a head that grows past the usual size doubles.
        std::size_t const larger = message > size() ? wanted : std::max(wanted, 2 * capacity_);
        std::unique_ptr<char[]> fresh{new char[larger]};
        if (size() != 0) std::memcpy(fresh.get(), store_.get() + begin_, size());
        store_ = std::move(fresh);
        capacity_ = larger;
      }
      end_ -= begin_;
      begin_ = 0;
    }
    return {store_.get() + end_, capacity_ - end_};
  }
  /// `n` bytes were written into the room that `prepare` gave.
  void commit(std::size_t n) noexcept {
    KCACHE_ASSERT(n <= capacity_ - end_);
    end_ += n;
  }
  /// Forgets the first `n` bytes.
  void consume(std::size_t n) noexcept {
    KCACHE_ASSERT(n <= size());
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Gives back the memory that an unusually large message needed, once it has been consumed.
  void shrink() noexcept {
    if (size() != 0 || capacity_ <= 4 * usual_) return;
    store_.reset();
    capacity_ = 0;
  }

 private:
  std::size_t usual_;
  std::unique_ptr<char[]> store_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace kcache::beast

#endif
