// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_RESPONSE_PARSER_HPP
#define KCACHE_BEAST_DETAIL_RESPONSE_PARSER_HPP
/// \file
/// Floor 5. `response_parser`: one HTTP/1.1 reply, its body going straight to where it will live.

#include <kcache/beast/detail/http_text.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/bytes.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace kcache::beast {

/// Reads one reply. Go's servers answer bodies over 2,048 bytes chunked, so chunks are read. A peer
/// is not trusted: a reply whose end is not certain (no length at all, two, a folded or
/// contradictory one), whose head is over `max_head`, or whose body is, or says it will be, over
/// `max_value` and a little for the message around it, is bad, the latter before memory is spent.
///
/// No I/O, no time. May throw `bad_alloc`. Not thread safe.
class response_parser {
 public:
  enum class progress { more, ready, bad };
  struct fed {
    progress state;
    std::size_t consumed;
  };

  /// What a message may add to the value in it.
  static constexpr std::size_t framing = 4 * 1'024;

  /// `o` outlives the parser.
  explicit response_parser(options const& o) : limits_{&o} {}

  /// Begins a new reply.
  void reset() noexcept {
    message_.reset();
    body_.reset();
    body_size_ = filled_ = 0;
    interim_ = 0;
    has_body_ = false;
  }

  /// Takes `bytes`, which begin with the first one not consumed yet. `more`: call again with what
  /// was not consumed and new bytes behind it, unless `direct()` has room for them. `ready`: what
  /// was not consumed does not belong to the reply.
  fed feed(byte_view bytes) {
    std::size_t done = 0;
    for (;;) {
      auto const rest = bytes.substr(done);
      if (has_body_) {
        std::size_t const n = std::min(rest.size(), body_size_ - filled_);
        if (n != 0) std::memcpy(body_.get() + filled_, rest.data(), n);
        filled_ += n;
        return {filled_ == body_size_ ? progress::ready : progress::more, done + n};
      }
      if (!message_) message_.emplace(*limits_);
      message& m = *message_;
      if (rest.empty()) return {progress::more, done};
      bool const had_head = m.is_header_done();
      // Before Boost 1.86 (boostorg/beast#2861) Beast asserts that five bytes are there when it
      // looks at the last chunk once more: a peer could abort us. No chunked body ends in fewer.
      if (had_head && rest.size() < 5) return {progress::more, done};
      std::size_t const had_body = m.chunks.size();
      boost::beast::error_code ec;
      m.end = rest.data() + rest.size();
      std::size_t const n = m.put(boost::asio::const_buffer{rest.data(), rest.size()}, ec);
      if (ec == boost::beast::http::error::need_more) {
        // A head, a chunk's line or the trailer is not all here, and Beast wants each whole. A head
        // is begun anew then, so that what is wrong with it shows at once (see request_parser).
        if (!had_head) message_.reset();
        return {rest.size() >= limits_->max_head ? progress::bad : progress::more, done};
      }
      done += n;
      bool const was_line = m.chunks.size() == had_body;
      if (ec || (was_line && n > limits_->max_head)) return {progress::bad, done};
      if (!had_head && m.is_header_done()) {
        if (m.code / 100 == 1) {  // an interim reply; the real one follows
          if (m.code == 101 || ++interim_ > 8) return {progress::bad, done};
          message_.reset();
          continue;
        }
        if (m.is_bad || m.need_eof()) return {progress::bad, done};
        if (!m.is_done() && !m.chunked()) {
          body_size_ = static_cast<std::size_t>(*m.content_length());
          body_ = std::make_shared_for_overwrite<char[]>(body_size_);
          has_body_ = true;
          continue;
        }
      }
      if (m.is_done()) return {progress::ready, done};
    }
  }

  /// Where the rest of a body of known length may be read to without a copy; empty if there is no
  /// such rest. What was read is reported to `filled`.
  [[nodiscard]] std::span<char> direct() const noexcept {
    return {body_.get() + filled_, body_size_ - filled_};
  }
  progress filled(std::size_t n) noexcept {
    filled_ += n;
    return filled_ == body_size_ ? progress::ready : progress::more;
  }

  // Once ready:

  [[nodiscard]] int status() const noexcept { return message_->code; }
  [[nodiscard]] bool keep_alive() const noexcept { return message_->keep_alive(); }
  /// The body, which the caller takes over.
  [[nodiscard]] shared_bytes take_body() {
    if (has_body_) {
      byte_view const view{body_.get(), body_size_};
      return {view, std::move(body_)};
    }
    return message_->chunks.empty() ? shared_bytes{}
                                    : shared_bytes::of(std::move(message_->chunks));
  }

 private:
  struct message final : boost::beast::http::basic_parser<false> {
    using error_code = boost::beast::error_code;
    using text = boost::beast::string_view;

    explicit message(options const& o) {
      this->header_limit(static_cast<std::uint32_t>(o.max_head));
      this->body_limit(o.max_value + framing);
    }

    void on_response_impl(int status, text, int, error_code&) override {
      code = status;
      if (status < 100) is_bad = true;
    }
    void on_field_impl(boost::beast::http::field name, text name_text, text value,
                       error_code&) override {
      using f = boost::beast::http::field;
      if (name != f::content_length && name != f::transfer_encoding) return;
      if (is_folded({name_text.data(), name_text.size()}, {value.data(), value.size()}, end))
        is_bad = true;
      if (name == f::transfer_encoding) {
        if (!is_word({value.data(), value.size()}, "chunked")) is_bad = true;
      } else {
        if (++lengths != 1) is_bad = true;
        for (char const c : value)
          if (c < '0' || c > '9') is_bad = true;
      }
    }
    std::size_t on_chunk_body_impl(std::uint64_t remain, text body, error_code&) override {
      // The whole chunk is within the limit already; reserving it saves growing by steps.
      if (chunks.capacity() - chunks.size() < remain)
        chunks.reserve(std::max(chunks.size() + static_cast<std::size_t>(remain),
                                chunks.size() * 2));
      chunks.append(body.data(), body.size());
      return body.size();
    }
    void on_request_impl(boost::beast::http::verb, text, text, int, error_code&) override {}
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
    std::size_t on_body_impl(text, error_code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, text, error_code&) override {}
    void on_finish_impl(error_code&) override {}
#if BOOST_VERSION >= 109000
    void on_trailer_field_impl(boost::beast::http::field, text, text, error_code&) override {}
#endif

    char const* end = nullptr;  // of the bytes being parsed
    std::string chunks;
    int code = 0;
    unsigned lengths = 0;
    bool is_bad = false;
  };

  options const* limits_;
  std::optional<message> message_;
  std::shared_ptr<char[]> body_;
  std::size_t body_size_ = 0;
  std::size_t filled_ = 0;
  unsigned interim_ = 0;
  bool has_body_ = false;
};

}  // namespace kcache::beast

#endif
