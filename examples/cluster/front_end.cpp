// SPDX-License-Identifier: BSL-1.0
#include "front_end.hpp"

#include <kcache/cluster/wire_path.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace demo {
namespace {

using kcache::media;
using kcache::wire_response;

wire_response line(int status, std::string text) {
  return {status, media::text, std::move(text) + '\n', {}};
}

int status_of(kcache::errc e) {
  using kcache::errc;
  switch (e) {
    case errc::bad_message: return 400;
    case errc::loader_failed: return 502;
    case errc::deadline: return 504;
    case errc::overloaded:
    case errc::cancelled: return 503;
    default: return 500;
  }
}

wire_response failure(kcache::error const& e) {
  if (e == kcache::errc::not_found) return line(404, "no such key");
  return line(status_of(e.code()), std::string{e.message()});
}

/// The key, or what to answer where there is none.
std::variant<std::string, wire_response> key_in(std::string_view query) {
  auto field = find_field(query, "key");
  if (field.found == form_field::state::malformed) return line(400, "bad escape in the query");
  if (field.value.empty()) return line(400, "key is required");
  return std::move(field.value);
}

}  // namespace

form_field find_field(std::string_view query, std::string_view name) {
  using state = form_field::state;
  while (!query.empty()) {
    auto const end = std::min(query.find('&'), query.size());
    auto const pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    auto const equals = std::min(pair.find('='), pair.size());
    auto const key = kcache::wire::percent_decode(pair.substr(0, equals), true);
    if (!key) return {state::malformed};
    if (key->bytes() != name) continue;
    auto const raw = pair.substr(std::min(equals + 1, pair.size()));
    auto const value = kcache::wire::percent_decode(raw, true);
    if (!value) return {state::malformed};
    return {state::present, std::string{value->bytes()}};
  }
  return {};
}

void front_end::serve(kcache::wire_request_view request, kcache::wire_responder respond) {
  auto const question = std::min(request.target.find('?'), request.target.size());
  auto const path = request.target.substr(0, question);
  auto const query = request.target.substr(std::min(question + 1, request.target.size()));
  if (path != "/api" && path != "/owner") return serve_stats(request, std::move(respond));
  if (request.verb != kcache::wire_verb::get) return respond(line(405, "method not allowed"));
  if (path == "/api") serve_value(query, std::move(respond));
  else serve_owner(query, std::move(respond));
}

void front_end::serve_stats(kcache::wire_request_view request, kcache::wire_responder respond) {
  if (request.target.substr(0, request.target.find('?')) != "/stats")
    return respond(line(404, "not found"));
  if (request.verb != kcache::wire_verb::get) return respond(line(405, "method not allowed"));
  respond({200, media::json, stats_(), {}});
}

void front_end::serve_value(std::string_view query, kcache::wire_responder respond) {
  auto key = key_in(query);
  if (auto* refusal = std::get_if<wire_response>(&key)) return respond(std::move(*refusal));
  // Answered on whatever thread has the value at last: this one, an I/O thread, must not wait.
  scores_.async_get(
      std::get<std::string>(key), [respond = std::move(respond)](score_group::answer a) mutable {
        if (!a) return respond(failure(a.error()));
        kcache::handle<std::string> value = std::move(*a);  // without its age
        auto const bytes = *value;
        respond({200, media::octet_stream, {}, kcache::shared_bytes{bytes, std::move(value)}});
      });
}

void front_end::serve_owner(std::string_view query, kcache::wire_responder respond) {
  auto key = key_in(query);
  if (auto* refusal = std::get_if<wire_response>(&key)) return respond(std::move(*refusal));
  respond(line(200, owner_(std::get<std::string>(key))));
}

}  // namespace demo
