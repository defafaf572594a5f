# SPDX-License-Identifier: BSL-1.0
"""The program as a person meets it: flags, one clear line on what is wrong, exit statuses."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile

from nodes import NODE, Node, expect, expect_equal, free_ports, main, request

SELF = "http://127.0.0.1:18001"


def run(*flags):
    done = subprocess.run([NODE, *map(str, flags)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def refused(flags, *words):
    status, out, err = run(*flags)
    where = f"node {' '.join(map(str, flags))}"
    expect(status not in (0, -signal.SIGSEGV, -signal.SIGABRT), f"{where}: exit status {status}")
    expect_equal(out, "", f"{where}: standard output")
    expect(err.startswith("node: ") and err.endswith("\n") and err.count("\n") == 1,
           f"{where}: one line, not {err!r}")
    for word in words:
        expect(word in err, f"{where}: {word!r} in {err!r}")


@contextlib.contextmanager
def a_database():
    """One that has scores already: nothing is said about filling it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "scores.sqlite")
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE scores (name TEXT PRIMARY KEY, score INTEGER NOT NULL)")
        yield path


def wrong_flags_are_refused():
    refused(["--bogus"], "--bogus")
    refused(["stray"], "stray")
    refused(["--port"], "--port")
    refused(["--port", "many"], "--port")
    refused(["--port", "70000"], "--port")
    refused(["--port", "-1"], "--port")
    refused(["--api", "http"], "--api")
    refused(["--ttl", "5"], "--ttl", "'5'")
    for bad in ("s", "5 s", "5S", "-5s", "5s1", "1e3ms", "", "99999999999s", "0x5s", "5d"):
        refused([f"--ttl={bad}"] if bad else ["--ttl", ""], "--ttl")
    refused(["--ttl", "0ms"], "--ttl")
    refused(["--loader-delay", "soon"], "--loader-delay")
    refused(["--capacity", "0"], "--capacity")
    refused(["--capacity", "-1"], "--capacity")
    refused(["--dialect", "klingon"], "--dialect", "klingon")


def bad_peers_are_refused():
    with tempfile.TemporaryDirectory() as folder:
        base = ["--port", "18001", "--db", os.path.join(folder, "scores.sqlite"), "--peers"]
        refused(base + ["http://127.0.0.1:18002"], "not among")
        refused(base + [f"{SELF},{SELF}"], "twice")
        refused(base + [f"{SELF},http://localhost:18001"], "two spellings")
        refused(base + [f"{SELF},127.0.0.1:18002"], "127.0.0.1:18002")
        refused(base + [f"{SELF},"], "bad peer address")
        refused(base + [""], "bad peer address")
        refused(base + [f"{SELF},https://127.0.0.1:18002"], "https")
        refused(base + [f"{SELF},http://127.0.0.1:18002/path"], "path")
        refused(["--port", "0", "--peers", SELF], "--port 0")
        expect_equal(os.listdir(folder), [], "nothing is made before all is well")


def strange_addresses_are_refused():
    refused(["--listen", "0.0.0.0"], "--insecure")
    refused(["--listen", "192.0.2.1"], "--insecure")
    refused(["--listen", "0.0.0.0", "--insecure"], "--self")
    refused(["--listen", "no such host"], "--listen")
    refused(["--self", "ftp://127.0.0.1:1"], "--self")
    with a_database() as db:
        refused(["--port", free_ports(1)[0], "--listen", "192.0.2.1", "--insecure", "--db", db],
                "cannot listen on 192.0.2.1")


def a_port_in_use_is_told():
    with a_database() as db, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        refused(["--port", port, "--db", db], "cannot listen", str(port), "in use")
        refused(["--port", 0, "--api", port, "--db", db], "cannot listen", str(port), "in use")


def databases_that_are_none_are_refused():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with open(path, "w", encoding="utf-8") as f:
            f.write("this is a letter and no database, and long enough to be sure of that\n" * 20)
        refused(["--port", 0, "--db", path], "file", "not a database")
        refused(["--port", 0, "--db", os.path.join(path, "below")], "no directory")
        refused(["--port", 0, "--db", os.path.join(folder, "missing", "s")], "missing")
        refused(["--port", 0, "--db", folder], "cannot open")
        other = os.path.join(folder, "other")
        with sqlite3.connect(other) as db:
            db.execute("CREATE TABLE recipes (name TEXT)")
        refused(["--port", 0, "--db", other], "other tables")
        with sqlite3.connect(other) as db:
            expect_equal(db.execute("SELECT name FROM sqlite_master").fetchall(), [("recipes",)],
                         "a stranger's database is left alone")


def help_tells_all_flags():
    status, out, err = run("--help")
    expect_equal((status, err), (0, ""), "--help")
    for flag in ("--port", "--api", "--peers", "--db", "--ttl", "--capacity", "--dialect",
                 "--loader-delay", "--listen", "--self", "--insecure"):
        expect(flag in out, f"--help tells of {flag}")


def a_node_alone_on_any_port():
    with tempfile.TemporaryDirectory() as folder:
        node = Node(folder, "--port", 0, "--db", os.path.join(folder, "scores.sqlite")).start()
        try:
            expect(node.port and node.api is None, "a port was chosen; no front end")
            expect("100003 scores" in node.errors(), f"a line of progress: {node.errors()!r}")
            expect_equal(request(node.port, "/_kcache/scores/Tom").body, b"\x0a\x03630", "Tom")
            node.signal(signal.SIGINT)
            expect_equal(node.process.wait(timeout=10), 0, "the exit status after SIGINT")
        finally:
            node.close()


main([wrong_flags_are_refused, bad_peers_are_refused, strange_addresses_are_refused,
      a_port_in_use_is_told, databases_that_are_none_are_refused, help_tells_all_flags,
      a_node_alone_on_any_port])
