// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_HTTP_CORPUS_HPP
#define KCACHE_TESTS_SUPPORT_HTTP_CORPUS_HPP
/// \file
/// Requests on which two readers may disagree (request smuggling), or that are no requests, and
/// what each deserves. Standard library only.

#include <string>
#include <vector>

namespace kcache_tests {

struct bad_request {
  char const* what;
  std::string bytes;
  int status;  ///< the answer, after which the connection is closed
};

/// With the default limits (8 KiB and 32 fields of head, 4 KiB of target, 64 KiB of body). Each
/// input that could hide a second request holds one: `/hidden` must never reach the handler.
inline std::vector<bad_request> bad_requests() {
  std::string const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
  auto const post = [&](std::string const& fields, std::string const& body) {
    return "POST /a HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body;
  };
  auto const get = [](std::string const& fields) {
    return "GET /a HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
  };
  std::string const chunk = "0\r\n\r\n" + hidden;
  std::string many;
  for (int i = 0; i != 40; ++i) many += "A: b\r\n";
  using s = std::string;
  return {
      // Transfer-Encoding: none is accepted on a request.
      {"chunked", post("Transfer-Encoding: chunked\r\n", chunk), 400},
      {"length, then chunked",
       post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunk), 400},
      {"chunked, then length",
       post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunk), 400},
      {"xchunked", post("Transfer-Encoding: xchunked\r\n", hidden), 400},
      {"chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", chunk), 400},
      {"identity with length",
       post("Transfer-Encoding: identity\r\nContent-Length: 0\r\n", hidden), 400},
      {"identity", post("Transfer-Encoding: identity\r\n", hidden), 400},
      {"gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", chunk), 400},
      {"two of them",
       post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunk), 400},
      {"empty", post("Transfer-Encoding:\r\n", hidden), 400},
      {"tab before chunked", post("Transfer-Encoding:\tchunked\r\n", chunk), 400},
      {"upper case", post("TRANSFER-ENCODING: CHUNKED\r\n", chunk), 400},
      {"quoted", post("Transfer-Encoding: \"chunked\"\r\n", chunk), 400},
      {"vertical tab before chunked", post("Transfer-Encoding: \x0b" "chunked\r\n", chunk), 400},
      {"space before the colon", post("Transfer-Encoding : chunked\r\n", chunk), 400},
      {"folded chunked", post("Transfer-Encoding:\r\n chunked\r\n", chunk), 400},
      {"after a bare CR", post("X: y\rTransfer-Encoding: chunked\r\n", chunk), 400},
      {"after a bare LF", post("X: y\nTransfer-Encoding: chunked\r\n", chunk), 400},
      {"chunked on a GET", get("Transfer-Encoding: chunked\r\n") + chunk, 400},
      // Content-Length: one, of digits.
      {"two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400},
      {"two equal lengths", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400},
      {"a list of lengths", post("Content-Length: 4, 4\r\n", "hell"), 400},
      {"a list without space", post("Content-Length: 4,4\r\n", "hell"), 400},
      {"a list with an empty item", post("Content-Length: 4,\r\n", "hell"), 400},
      {"a sign", post("Content-Length: +4\r\n", "hell"), 400},
      {"a minus", post("Content-Length: -4\r\n", "hell"), 400},
      {"hexadecimal", post("Content-Length: 0x4\r\n", "hell"), 400},
      {"an exponent", post("Content-Length: 1e1\r\n", "hellohello"), 400},
      {"a fraction", post("Content-Length: 4.0\r\n", "hell"), 400},
      {"letters", post("Content-Length: four\r\n", "hell"), 400},
      {"an empty length", post("Content-Length:\r\n", hidden), 400},
      {"two numbers", post("Content-Length: 4 4\r\n", "hell"), 400},
      {"over 64 bits", post("Content-Length: 18446744073709551620\r\n", "hell"), 400},
      {"2^64 - 1", post("Content-Length: 18446744073709551615\r\n", "hell"), 400},
      {"space before the colon of a length", post("Content-Length : 4\r\n", "hell"), 400},
      {"a NUL in a length", post(s{"Content-Length: 4\0\r\n", 20}, "hell"), 400},
      {"a folded length", post("Content-Length: 4\r\n 0\r\n", "hell"), 400},
      {"a length folded away", post("X: y\r\n Content-Length: 33\r\n", hidden), 400},
      {"a GET with a body", get("Content-Length: 33\r\n") + hidden, 400},
      {"a HEAD with a body", "HEAD /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nhell", 400},
      // Too much.
      {"1 GB announced", post("Content-Length: 1000000000\r\n", "x"), 413},
      {"1e12 announced", post("Content-Length: 1000000000000\r\n", ""), 413},
      {"one byte over the limit", post("Content-Length: 65537\r\n", ""), 413},
      {"a long target", "GET /" + s(5'000, 'k') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
      {"an endless target", "GET /" + s(9'000, 'k'), 414},
      {"a long field", get("A: " + s(9'000, 'b') + "\r\n"), 431},
      {"an endless field", "GET /a HTTP/1.1\r\nHost: x\r\nA: " + s(9'000, 'b'), 431},
      {"40 fields", get(many), 431},
      {"an endless name", "GET /a HTTP/1.1\r\n" + s(9'000, 'n'), 431},
      // Host.
      {"no Host", "GET /a HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", get("Host: y\r\n"), 400},
      {"two equal Hosts", get("Host: x\r\n"), 400},
      {"a list of Hosts", "GET /a HTTP/1.1\r\nHost: x, y\r\n\r\n", 400},
      {"a space in Host", "GET /a HTTP/1.1\r\nHost: x y\r\n\r\n", 400},
      {"a path in Host", "GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
      {"a user in Host", "GET /a HTTP/1.1\r\nHost: u@x\r\n\r\n", 400},
      {"a folded Host", "GET /a HTTP/1.1\r\nHost:\r\n x\r\n\r\n", 400},
      {"space before the first field", "GET /a HTTP/1.1\r\n Host: x\r\n\r\n", 400},
      // Request lines.
      {"HTTP/1.0", "GET /a HTTP/1.0\r\nHost: x\r\n\r\n", 505},
      {"HTTP/1.0 and chunked",
       "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk, 505},
      {"HTTP/0.9", "GET /a\r\n", 400},
      {"HTTP/2.0", "GET /a HTTP/2.0\r\nHost: x\r\n\r\n", 400},
      {"HTTP/1.2", "GET /a HTTP/1.2\r\nHost: x\r\n\r\n", 400},
      {"HTTP/1.11", "GET /a HTTP/1.11\r\nHost: x\r\n\r\n", 400},
      {"http in lower case", "GET /a http/1.1\r\nHost: x\r\n\r\n", 400},
      {"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"two spaces", "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"a space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"a tab for a space", "GET\t/a\tHTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"a NUL in the target", s{"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 28}, 400},
      {"no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"a whole URL", "GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"an asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"a verb with a colon", "GE:T /a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"no verb", " /a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"bare line feeds", "GET /a HTTP/1.1\nHost: x\n\n", 400},
      {"bare carriage returns", "GET /a HTTP/1.1\rHost: x\r\r", 400},
      // Fields.
      {"a field without a colon", get("Nonsense\r\n"), 400},
      {"a field without a name", get(": x\r\n"), 400},
      {"a space in a name", get("A B: x\r\n"), 400},
      {"a NUL in a name", get(s{"A\0B: x\r\n", 8}), 400},
      {"a NUL in a value", get(s{"A: \0\r\n", 6}), 400},
      {"a bare CR in a value", get("A: x\ry\r\n"), 400},
      {"a bare LF in a value", get("A: x\ny\r\n"), 400},
      {"a DEL in a value", get("A: \x7f\r\n"), 400},
      {"a folded field", get("A: x\r\n y\r\n"), 400},
      {"a field folded by a tab", get("A: x\r\n\ty\r\n"), 400},
      {"a fold of nothing", get("A:\r\n \r\n"), 400},
      {"a high byte in a name", get("\xc3\xa9: x\r\n"), 400},
      {"an unknown expectation",
       post("Expect: the-unexpected\r\nContent-Length: 4\r\n", "hell"), 417},
      // No HTTP at all.
      {"a TLS hello", s{"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 11}, 400},
      {"an empty line first", "\r\n" + hidden, 400},
      {"SSH", "SSH-2.0-OpenSSH_9.2\r\n", 400},
      {"redis", "*1\r\n$4\r\nPING\r\n", 400},
      {"memcached", "get key\r\n", 400},
      {"JSON", "{\"key\": 1}\r\n", 400},
      {"NULs", s(64, '\0'), 400},
  };
}

}  // namespace kcache_tests

#endif
