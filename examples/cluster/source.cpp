// SPDX-License-Identifier: BSL-1.0
#include "source.hpp"

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <utility>

namespace demo {
namespace {

constexpr int players = 100'000;
constexpr int creation_wait_ms = 60'000;  // another node is filling the table
constexpr int read_wait_ms = 800;         // less than the second that a reader waits

struct close_database {
  void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};
struct finalize {
  void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
};
using database = std::unique_ptr<sqlite3, close_database>;
using statement = std::unique_ptr<sqlite3_stmt, finalize>;

database open(std::string const& path, int flags) {
  sqlite3* raw = nullptr;
  int const status = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  database db{raw};
  if (status != SQLITE_OK)
    throw std::runtime_error{raw ? sqlite3_errmsg(raw) : sqlite3_errstr(status)};
  return db;
}

void check(sqlite3* db, int status) {
  if (status != SQLITE_OK && status != SQLITE_DONE && status != SQLITE_ROW)
    throw std::runtime_error{sqlite3_errmsg(db)};
}

void run(sqlite3* db, char const* sql) {
  check(db, sqlite3_exec(db, sql, nullptr, nullptr, nullptr));
}

statement prepare(sqlite3* db, char const* sql) {
  sqlite3_stmt* raw = nullptr;
  check(db, sqlite3_prepare_v2(db, sql, -1, &raw, nullptr));
  return statement{raw};
}

void bind(sqlite3* db, sqlite3_stmt* s, int position, std::string const& text) {
  check(db,
        sqlite3_bind_text64(s, position, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

/// How many tables there are in all, and how many of them are called scores.
std::pair<int, int> count_tables(sqlite3* db) {
  auto const s = prepare(db,
                         "SELECT count(*), count(CASE WHEN name = 'scores' THEN 1 END) "
                         "FROM sqlite_master WHERE type = 'table'");
  check(db, sqlite3_step(s.get()));
  return {sqlite3_column_int(s.get(), 0), sqlite3_column_int(s.get(), 1)};
}

/// A line that grows on a terminal; one line elsewhere.
class progress {
 public:
  explicit progress(std::string what) : what_{std::move(what)} {
    if (!terminal_) std::fprintf(stderr, "%s\n", what_.c_str());
  }
  void operator()(int done, int all) const {
    if (terminal_) std::fprintf(stderr, "\r%s: %d %%", what_.c_str(), done * 100 / all);
  }
  ~progress() {
    if (terminal_) std::fputc('\n', stderr);
  }
  progress(progress const&) = delete;
  progress& operator=(progress const&) = delete;

 private:
  std::string const what_;
  bool const terminal_ = isatty(STDERR_FILENO) == 1;
};

void fill(sqlite3* db, std::string const& path) {
  progress const tell{"node: filling " + path + " with " + std::to_string(players + 3) + " scores"};
  run(db, "CREATE TABLE scores (name TEXT PRIMARY KEY, score INTEGER NOT NULL) WITHOUT ROWID");
  auto const insert = prepare(db, "INSERT INTO scores VALUES (?, ?)");
  auto const add = [&](std::string const& name, int score) {
    bind(db, insert.get(), 1, name);
    check(db, sqlite3_bind_int(insert.get(), 2, score));
    check(db, sqlite3_step(insert.get()));
    check(db, sqlite3_reset(insert.get()));
  };
  add("Tom", 630);
  add("Jack", 589);
  add("Sam", 567);
  for (int i = 0; i != players; ++i) {
    std::string number = std::to_string(i);
    number.insert(0, 6 - number.size(), '0');
    add("player" + number, static_cast<int>(i * 7'919LL % 1'000));
    if (i % 1'000 == 999) tell(i + 1, players);
  }
}

/// Leaves a database that has a table `scores`.
void create_if_missing(std::string const& path) {
  auto const db = open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3_busy_timeout(db.get(), creation_wait_ms);
  if (count_tables(db.get()).second == 1) return;
  // Whoever gets the lock fills the table; the others, when they get it, find it filled.
  run(db.get(), "BEGIN IMMEDIATE");
  auto const [all, scores] = count_tables(db.get());
  if (scores == 0 && all != 0) throw std::runtime_error{"it holds other tables, but no scores"};
  if (scores == 0) fill(db.get(), path);
  run(db.get(), "COMMIT");
}

}  // namespace

struct score_source::connection {
  explicit connection(std::string const& path)
      : db{open(path, SQLITE_OPEN_READONLY)},
        select{prepare(db.get(), "SELECT score FROM scores WHERE name = ?")} {}

  /// Nothing: there is no such name.
  std::optional<std::string> look_up(std::string const& name) {
    struct reset_at_end {
      sqlite3_stmt* s;
      ~reset_at_end() { sqlite3_reset(s); }
    } const guard{select.get()};
    bind(db.get(), select.get(), 1, name);
    int const status = sqlite3_step(select.get());
    check(db.get(), status);
    if (status == SQLITE_DONE) return std::nullopt;
    auto const text = reinterpret_cast<char const*>(sqlite3_column_text(select.get(), 0));
    if (!text) throw std::runtime_error{"the score of " + name + " cannot be read"};
    return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(select.get(), 0)));
  }

  database db;
  statement select;
};

score_source::score_source(std::string path, std::chrono::milliseconds delay)
    : path_{std::move(path)}, delay_{delay} {
  auto const folder = std::filesystem::path{path_}.parent_path();
  std::error_code ignored;
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    throw std::runtime_error{"cannot open " + path_ + ": there is no directory " + folder.string()};
  try {
    create_if_missing(path_);
    give_back(borrow());
  } catch (std::exception const& e) {
    throw std::runtime_error{"cannot open " + path_ + ": " + e.what()};
  }
}

score_source::~score_source() = default;

kcache::result<std::string> score_source::load(std::string const& name,
                                               kcache::load_context const& context) {
  if (!wait_for_source(context)) return kcache::errc::cancelled;
  try {
    auto c = borrow();
    auto score = c->look_up(name);
    give_back(std::move(c));
    if (!score) return kcache::errc::not_found;
    return std::move(*score);
  } catch (std::exception const& e) {
    return kcache::error{kcache::errc::loader_failed, path_ + ": " + e.what()};
  }
}

void score_source::stop() {
  std::lock_guard lock{mutex_};
  stopped_ = true;
  stopping_.notify_all();
}

/// False: there is no need for the value any more.
bool score_source::wait_for_source(kcache::load_context const& context) {
  using clock = std::chrono::steady_clock;
  auto const ready = clock::now() + delay_;
  std::unique_lock lock{mutex_};
  for (auto now = clock::now(); now < ready && !stopped_ && !context.cancelled();
       now = clock::now())
    stopping_.wait_until(lock, std::min(ready, now + std::chrono::milliseconds{20}));
  return !stopped_ && !context.cancelled();
}

score_source::owned score_source::borrow() {
  {
    std::lock_guard lock{mutex_};
    if (!idle_.empty()) {
      owned c = std::move(idle_.back());
      idle_.pop_back();
      return c;
    }
  }
  auto c = std::make_unique<connection>(path_);
  sqlite3_busy_timeout(c->db.get(), read_wait_ms);
  return c;
}

void score_source::give_back(owned c) {
  std::lock_guard lock{mutex_};
  idle_.push_back(std::move(c));
}

}  // namespace demo
