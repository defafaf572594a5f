// SPDX-License-Identifier: BSL-1.0
#include "options.hpp"

#include <kcache/peer.hpp>

#include <CLI/CLI.hpp>

#include <charconv>
#include <iostream>
#include <system_error>

namespace demo {
namespace {

std::vector<std::string> split(std::string const& list) {
  std::vector<std::string> items;
  for (std::size_t from = 0;;) {
    auto const comma = list.find(',', from);
    items.push_back(list.substr(from, comma - from));
    if (comma == std::string::npos) return items;
    from = comma + 1;
  }
}

void add_duration(CLI::App& app, std::string const& name, std::chrono::milliseconds& to,
                  std::string const& what) {
  app.add_option_function<std::string>(
         name,
         [&to, name](std::string const& text) {
           auto const d = parse_duration(text);
           if (!d) throw CLI::ValidationError(name, "'" + text + "' is no duration like 5s, 300ms");
           to = *d;
         },
         what)
      ->type_name("DURATION");
}

std::string url(std::string const& host, std::uint16_t port) {
  bool const ipv6 = host.find(':') != std::string::npos;
  return "http://" + (ipv6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

/// What no single option can tell. Returns what is wrong.
std::string complete(options& o, bool has_peers) {
  auto const listening = kcache::peer_address::parse_listen(url(o.listen, o.port));
  if (!listening) return "--listen wants an address, not '" + o.listen + "'";
  if (!listening->is_loopback() && !o.insecure)
    return "--listen " + o.listen +
           " is no loopback address, and nothing here authenticates who "
           "connects: say --insecure if the network is trusted";
  bool const any = listening->host() == "0.0.0.0" || listening->host() == "::";
  if (o.self.empty() && any)
    return "--listen " + o.listen + " is no address that others can use: give --self http://...";
  if (o.port == 0 && (has_peers || !o.self.empty()))
    return "--port 0 chooses a port that nobody can know beforehand: not with --peers or --self";
  if (o.self.empty()) o.self = url(o.listen, o.port);
  if (auto const self = kcache::peer_address::parse_listen(o.self); !self)
    return "--self: " + std::string{self.error().message()};
  if (o.ttl.count() == 0) return "--ttl must be longer than nothing";
  return {};
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::uint32_t n = 0;
  auto const end = text.data() + text.size();
  auto const [unit_at, problem] = std::from_chars(text.data(), end, n);
  if (problem != std::errc{} || unit_at == text.data()) return std::nullopt;
  std::string_view const unit{unit_at, static_cast<std::size_t>(end - unit_at)};
  std::chrono::milliseconds d{n};
  if (unit == "s") d *= 1'000;
  else if (unit == "m") d *= 60'000;
  else if (unit == "h") d *= 3'600'000;
  else if (unit != "ms") return std::nullopt;
  if (d > std::chrono::hours{10'000}) return std::nullopt;
  return d;
}

std::variant<options, int> parse(int argc, char const* const* argv) {
  options o;
  std::string peers;
  CLI::App app{
      "One node of a cluster that serves one group, `scores`, over an SQLite database.\n"
      "The front end answers GET /api?key=Tom, GET /owner?key=Tom and GET /stats; peers are\n"
      "answered on --port, and so is GET /stats. SIGINT and SIGTERM stop the node gracefully.\n",
      "node"};
  app.add_option("--port", o.port, "Port for peers; 0: any free one (default 8001)");
  app.add_option("--api", o.api, "Port of the front end; 0: any free one (default: no front end)");
  auto* const peers_option =
      app.add_option("--peers", peers, "All nodes, this one among them (default: alone)")
          ->type_name("URL,URL,...");
  app.add_option("--db", o.db, "SQLite database, made if there is none (default scores.sqlite)")
      ->type_name("FILE");
  add_duration(app, "--ttl", o.ttl, "How long a value is served (default 5s)");
  app.add_option("--capacity", o.capacity, "How many values this node keeps (default 10000)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
  app.add_option_function<std::string>(
         "--dialect",
         [&o](std::string const& text) {
           auto const d = kcache::dialect_named(text);
           if (!d) throw CLI::ValidationError("--dialect", "there is no dialect '" + text + "'");
           o.dialect = *d;
         },
         "What the cluster speaks: native, kcache, groupcache (default native)")
      ->type_name("NAME");
  add_duration(app, "--loader-delay", o.loader_delay, "Makes the source slow (default 0ms)");
  app.add_option("--listen", o.listen, "Address to listen on (default 127.0.0.1)")
      ->type_name("ADDRESS");
  app.add_option("--self", o.self, "Where peers find this node (default http://LISTEN:PORT)")
      ->type_name("URL");
  app.add_flag("--insecure", o.insecure, "The network of --listen is trusted");
  try {
    app.parse(argc, argv);
  } catch (CLI::CallForHelp const& e) {
    return app.exit(e);
  } catch (CLI::ParseError const& e) {
    std::cerr << "node: " << e.what() << " (see --help)\n";
    return 2;
  }
  bool const has_peers = peers_option->count() != 0;
  if (has_peers) o.peers = split(peers);
  if (auto const problem = complete(o, has_peers); !problem.empty()) {
    std::cerr << "node: " << problem << '\n';
    return 2;
  }
  return o;
}

}  // namespace demo
