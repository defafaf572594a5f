// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_HTTP_TEXT_HPP
#define KCACHE_BEAST_DETAIL_HTTP_TEXT_HPP
/// \file
/// Floor 5. HTTP/1.1 heads as text: written by hand into a string that is used again and again.

#include <kcache/cluster/transport.hpp>

#include <charconv>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace kcache::beast {

/// The reason phrase of a status; "Status" for those that kcache does not use.
[[nodiscard]] constexpr std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Payload Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
  }
}

/// The `Content-Type` of a body; errors and other text are not to be guessed at by browsers.
[[nodiscard]] constexpr std::string_view content_type(media type) noexcept {
  switch (type) {
    case media::octet_stream: return "application/octet-stream";
    case media::protobuf: return "application/protobuf";
    case media::x_protobuf: return "application/x-protobuf";
    case media::text: return "text/plain; charset=utf-8";
    case media::json: return "application/json";
  }
  return "application/octet-stream";
}

/// A status has no body by definition (RFC 9110, 6.4.1): none is sent, and none is read.
[[nodiscard]] constexpr bool has_no_body(int status) noexcept {
  return status / 100 == 1 || status == 204 || status == 304;
}

inline void append_number(std::string& out, std::size_t n) {
  char digits[20];
  auto const end = std::to_chars(digits, digits + sizeof digits, n).ptr;
  out.append(digits, end);
}

/// Writes the head of a reply into `out`, replacing what it held. A status out of 100..999 is 500.
inline void write_reply_head(std::string& out, int status, media type, std::size_t body_size,
                             bool keep_alive) {
  if (status < 100 || status > 999) status = 500;
  out.assign("HTTP/1.1 ");
  append_number(out, static_cast<std::size_t>(status));
  out += ' ';
  out += reason_phrase(status);
  if (!has_no_body(status)) {
    out += "\r\nContent-Type: ";
    out += content_type(type);
    if (type == media::text) out += "\r\nX-Content-Type-Options: nosniff";
    out += "\r\nContent-Length: ";
    append_number(out, body_size);
  }
  out += keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
}

[[nodiscard]] constexpr std::string_view verb_text(wire_verb verb) noexcept {
  switch (verb) {
    case wire_verb::get: return "GET";
    case wire_verb::post: return "POST";
    case wire_verb::put: return "PUT";
    case wire_verb::del: return "DELETE";
    case wire_verb::other: break;
  }
  return {};
}

/// Writes the head of a request into `out`, replacing what it held.
inline void write_request_head(std::string& out, wire_request const& request,
                               std::string_view host) {
  out.assign(verb_text(request.verb));
  out += ' ';
  out += request.target;
  out += " HTTP/1.1\r\nHost: ";
  out += host;
  if (request.verb != wire_verb::get) {
    out += "\r\nContent-Type: application/x-protobuf\r\nContent-Length: ";
    append_number(out, request.body.size());
  }
  out += "\r\n\r\n";
}

/// What can stand in a request line as a target: `/`, and no byte that would end the line or it.
[[nodiscard]] inline bool is_target(std::string_view target) noexcept {
  if (target.empty() || target.front() != '/') return false;
  for (char const c : target)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return false;
  return true;
}

/// A field was folded over several lines: Beast has joined its value elsewhere than in the buffer,
/// which ends at `end`, or has skipped a line end to find it.
[[nodiscard]] inline bool is_folded(std::string_view name, std::string_view value,
                                    char const* end) noexcept {
  char const* const from = name.data() + name.size() + 1;
  std::less<> const before;
  if (before(value.data(), from) || before(end, value.data())) return true;
  for (char const* p = from; p != value.data(); ++p)
    if (*p != ' ' && *p != '\t') return true;
  return false;
}

/// `a` is `lower`, in any case; `lower` is lower-case ASCII.
[[nodiscard]] constexpr bool is_word(std::string_view a, std::string_view lower) noexcept {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i != a.size(); ++i) {
    char const c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] | 0x20) : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

}  // namespace kcache::beast

#endif
