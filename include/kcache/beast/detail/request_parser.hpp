// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_REQUEST_PARSER_HPP
#define KCACHE_BEAST_DETAIL_REQUEST_PARSER_HPP
/// \file
/// Floor 5. `request_parser`: one HTTP/1.1 request out of a flat buffer, or the status it deserves.

#include <kcache/beast/detail/http_text.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/cluster/transport.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/version.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kcache::beast {

/// Reads one request. Beast's grammar, driven from one flat buffer; nothing is stored, the few
/// fields that matter are looked at as they pass. Stricter than Beast, so that no two readers of
/// the same bytes can disagree on where a request ends:
///
/// | input | answer |
/// |---|---|
/// | any Transfer-Encoding; two Content-Length, or one that is not plain digits | 400 |
/// | a folded field; no Host, two, or one that is no host; a GET or HEAD with a body | 400 |
/// | a target that does not begin with `/`; whatever Beast's grammar refuses | 400 |
/// | a head over `max_head` bytes or `max_fields` fields | 431 |
/// | a target over `max_target` bytes | 414 |
/// | a Content-Length over `max_request` | 413, from the head alone |
/// | an Expect that is not `100-continue` | 417 |
/// | HTTP/1.0 | 505 |
///
/// After a refusal the connection must be closed: what follows cannot be told apart.
/// No I/O, no time, no allocation. Not thread safe.
class request_parser {
 public:
  enum class progress { head, body, ready, refused };

  /// `o` outlives the parser.
  explicit request_parser(options const& o) : limits_{&o} {}

  /// Begins a new request.
  void reset() noexcept { head_.reset(); }

  /// Looks at `bytes`, which begin where the request begins, hold all of it that has come, and are
  /// more than at the last call. `head`, `body`: call again with more. O(size of the head).
  progress feed(byte_view bytes) {
    if (!head_) head_.emplace(*limits_);
    head& h = *head_;
    if (h.refusal != 0) return progress::refused;
    if (!h.is_header_done()) {
      boost::beast::error_code ec;
      h.base = bytes.data();
      h.size = bytes.size();
      h.parsed = h.put(boost::asio::const_buffer{bytes.data(), bytes.size()}, ec);
      if (h.refusal != 0) return progress::refused;
      if (ec == boost::beast::http::error::need_more) {
        auto const state = h.wait_for_more(bytes.size());
        // Resumed, Beast would look at nothing until the head has ended. Begun anew it refuses a
        // bad line as soon as it is there, and the verdict does not depend on the pieces that the
        // bytes come in; heads come whole but for slow clients, who may cost a few microseconds.
        if (state == progress::head) head_.reset();
        return state;
      }
      if (ec == boost::beast::http::error::header_limit) return h.refuse_length();
      if (ec) return h.refuse(400, "bad request\n");
      if (!h.check()) return progress::refused;
    }
    return bytes.size() - h.parsed >= h.body_size ? progress::ready : progress::body;
  }

  // Once the head is there (`body` or `ready`):

  [[nodiscard]] std::size_t head_size() const noexcept { return head_->parsed; }
  [[nodiscard]] std::size_t body_size() const noexcept { return head_->body_size; }
  [[nodiscard]] std::size_t size() const noexcept { return head_size() + body_size(); }
  [[nodiscard]] bool keep_alive() const noexcept { return head_->keep_alive(); }
  /// The client waits for `100 Continue` before it sends the body.
  [[nodiscard]] bool expects_continue() const noexcept { return head_->expects_continue; }
  /// A HEAD request: the reply's head describes a body that is not sent.
  [[nodiscard]] bool is_head() const noexcept { return head_->is_head; }
  /// The request, as views of `bytes`, which are those of the last `feed` or moved copies of them.
  [[nodiscard]] wire_request_view view(byte_view bytes) const noexcept {
    return {head_->verb, bytes.substr(head_->target_at, head_->target_size),
            bytes.substr(head_size(), body_size())};
  }

  // Once refused:

  [[nodiscard]] int refusal() const noexcept { return head_->refusal; }
  /// A line for people, with its end.
  [[nodiscard]] std::string_view why() const noexcept { return head_->why; }

 private:
  static constexpr std::size_t longest_verb = 24;  // of those registered: 17
  static constexpr std::string_view too_large = "request header too large\n";

  struct head final : boost::beast::http::basic_parser<true> {
    using error_code = boost::beast::error_code;
    using text = boost::beast::string_view;

    explicit head(options const& o) : limits{o} {
      this->skip(true);  // the body lies behind the head in the same buffer: nothing to parse
      this->header_limit(static_cast<std::uint32_t>(o.max_head));
    }

    progress refuse(int status, std::string_view line) noexcept {
      if (refusal == 0) {
        refusal = status;
        why = line;
      }
      return progress::refused;
    }

    /// An unfinished head may be refused for its length before it ends.
    progress wait_for_more(std::size_t have) noexcept {
      constexpr std::size_t around = longest_verb + sizeof "  HTTP/1.1\r\n";
      if (have >= limits.max_head) return refuse_length();
      if (!has_start_line && have > limits.max_target + around) return refuse_length();
      return progress::head;
    }
    progress refuse_length() noexcept {
      return has_start_line ? refuse(431, too_large) : refuse(414, "request target too long\n");
    }

    /// Of the whole head.
    bool check() noexcept {
      if (parsed > limits.max_head) return refuse(431, too_large), false;
      if (hosts != 1) return refuse(400, "bad request: one Host field is required\n"), false;
      auto const length = this->content_length();
      if (length && *length > limits.max_request)
        return refuse(413, "request body too large\n"), false;
      body_size = length ? static_cast<std::size_t>(*length) : 0;
      if (body_size != 0 && (verb == wire_verb::get || is_head))
        return refuse(400, "bad request: this method has no body\n"), false;
      return true;
    }

    void on_request_impl(boost::beast::http::verb method, text name, text target, int version,
                         error_code& ec) override {
      has_start_line = true;
      if (name.size() > longest_verb) {
        refuse(400, "bad request: no such method\n");
      } else if (version != 11) {
        refuse(505, "not HTTP/1.1\n");
      } else if (target.size() > limits.max_target) {
        refuse(414, "request target too long\n");
      } else if (target.front() != '/') {
        refuse(400, "bad request: the target must begin with /\n");
      }
      using v = boost::beast::http::verb;
      switch (method) {
        case v::get: verb = wire_verb::get; break;
        case v::post: verb = wire_verb::post; break;
        case v::put: verb = wire_verb::put; break;
        case v::delete_: verb = wire_verb::del; break;
        default: is_head = method == v::head; break;
      }
      target_at = static_cast<std::size_t>(target.data() - base);
      target_size = target.size();
      stop_if_refused(ec);
    }

    void on_field_impl(boost::beast::http::field name, text name_text, text value,
                       error_code& ec) override {
      using f = boost::beast::http::field;
      if (++fields > limits.max_fields) {
        refuse(431, "too many header fields\n");
      } else if (is_folded({name_text.data(), name_text.size()}, {value.data(), value.size()},
                           base + size)) {
        refuse(400, "bad request: folded header field\n");
      } else if (name == f::transfer_encoding) {
        refuse(400, "bad request: Transfer-Encoding is not accepted\n");
      } else if (name == f::content_length) {
        if (++lengths != 1) refuse(400, "bad request: two Content-Length fields\n");
        if (!is_number(value)) refuse(400, "bad request: bad Content-Length\n");
      } else if (name == f::host) {
        if (++hosts != 1) refuse(400, "bad request: two Host fields\n");
        if (!is_host(value)) refuse(400, "bad request: bad Host\n");
      } else if (name == f::expect) {
        if (!is_word({value.data(), value.size()}, "100-continue"))
          refuse(417, "only 100-continue can be expected here\n");
        expects_continue = true;
      }
      stop_if_refused(ec);
    }

    static bool is_number(text value) noexcept {
      if (value.empty() || value.size() > 19) return false;
      for (char const c : value)
        if (c < '0' || c > '9') return false;
      return true;
    }
    static bool is_host(text value) noexcept {
      for (char const c : value) {
        bool const good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
                          c == ':' || c == '[' || c == ']' || c == '%';
        if (!good) return false;
      }
      return true;
    }
    void stop_if_refused(error_code& ec) const {
      if (refusal != 0) ec = boost::beast::http::error::bad_field;
    }

    // The body is not Beast's affair here.
    void on_response_impl(int, text, int, error_code&) override {}
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
    std::size_t on_body_impl(text, error_code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, text, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, text, error_code&) override { return 0; }
    void on_finish_impl(error_code&) override {}
#if BOOST_VERSION >= 109000
    void on_trailer_field_impl(boost::beast::http::field, text, text, error_code&) override {}
#endif

    options const& limits;
    char const* base = nullptr;  // of the bytes being parsed
    std::size_t size = 0;
    std::size_t parsed = 0;
    std::size_t target_at = 0;
    std::size_t target_size = 0;
    std::size_t body_size = 0;
    std::string_view why;
    int refusal = 0;
    unsigned fields = 0;
    unsigned hosts = 0;
    unsigned lengths = 0;
    wire_verb verb = wire_verb::other;
    bool is_head = false;
    bool has_start_line = false;
    bool expects_continue = false;
  };

  options const* limits_;
  std::optional<head> head_;
};

}  // namespace kcache::beast

#endif
