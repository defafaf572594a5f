# SPDX-License-Identifier: BSL-1.0
"""Asks a kcache node and a groupcache node for the same cached value, in turn, with wrk, and
compares the processor time that a request costs each: see ./run."""

import os
import pathlib
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "interop"), str(ROOT / "tests" / "cluster")]
sys.dont_write_bytecode = True

import go  # noqa: E402
from nodes import Node, free_ports, request  # noqa: E402

KEY = b"a-key-of-16-byte"
VALUE = 100
BAR = 0.5


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def native_script(folder):
    """A POST of the native dialect: GetRequest (include/kcache/nanopb/native.proto)."""
    body = (b"\x09" + b"i" * 8 + b"\x11" + bytes(8) + b"\x18\x01" + b"\x22\x06scores" +
            b"\x2a%c" % len(KEY) + KEY + b"\x30\xe8\x07")
    path = os.path.join(folder, "native.lua")
    escaped = "".join(f"\\{b:03d}" for b in body)
    pathlib.Path(path).write_text(f'wrk.method = "POST"\nwrk.body = "{escaped}"\n'
                                  'wrk.headers["Content-Type"] = "application/x-protobuf"\n')
    return path, body


def measure(pid, url, seconds, script=None):
    """Microseconds of processor time for a request, and requests a second."""
    before = cpu_seconds(pid)
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", *(["-s", script] if script else []), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    spent = cpu_seconds(pid) - before
    count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    if re.search(r"Socket errors|Non-2xx", done.stdout) or count == 0:
        sys.exit(f"measure.py: not all were answered: {done.stdout}")
    return spent / count * 1e6, count / seconds


def main():
    seconds, rounds = int(sys.argv[2]), int(sys.argv[3])
    if go.size_of(KEY) != VALUE:
        sys.exit("measure.py: the key's value has another size")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        db = os.path.join(folder, "values.sqlite")
        with sqlite3.connect(db) as values:
            values.execute("CREATE TABLE scores (name TEXT PRIMARY KEY, score BLOB)")
            values.execute("INSERT INTO scores VALUES (CAST(? AS TEXT), ?)",
                           (KEY, go.value_of(KEY)))
        program = go.build(folder)
        native = Node(folder, "--port", 0, "--db", db, "--ttl", "1h").start()
        dialect = Node(folder, "--port", 0, "--db", db, "--ttl", "1h", "--dialect",
                       "groupcache").start()
        port = free_ports(1)[0]
        groupcache = subprocess.Popen(
            [program, "-self", f"http://127.0.0.1:{port}", "-peers", f"http://127.0.0.1:{port}",
             "-base", "/_groupcache/", "-api", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            if b"ready" not in groupcache.stdout.readline():
                sys.exit("measure.py: the groupcache node did not start")
            path = "/_groupcache/scores/" + KEY.decode()
            post = "/_kcache.native/1/get"
            script, body = native_script(folder)
            asked = [
                ("golang/groupcache, GET", groupcache.pid, port, path, None),
                ("kcache, GET", dialect.process.pid, dialect.port, path, None),
                ("kcache, native POST", native.process.pid, native.port, post, script),
            ]
            for what, _, at, target, lua in asked:  # cached, and right
                for _ in (1, 2):
                    a = request(at, target, "POST" if lua else "GET", body if lua else None)
                    if a.status != 200 or go.value_of(KEY) not in a.body:
                        sys.exit(f"measure.py: {what}: {a.status} {a.body!r}")
            figures = {what: [] for what, *_ in asked}
            for _ in range(rounds):
                for what, pid, at, target, lua in asked:
                    url = f"http://127.0.0.1:{at}{target}"
                    figures[what].append(measure(pid, url, seconds, lua))
            cost = {what: statistics.median(f[0] for f in figures[what]) for what in figures}
            base = cost[asked[0][0]]
            print("| node | CPU per request, us: each run | median | requests/s "
                  "| of groupcache's |")
            print("|---|---|---|---|---|")
            for what, runs in figures.items():
                print(f"| {what} | {', '.join(f'{f[0]:.2f}' for f in runs)} | {cost[what]:.2f} | "
                      f"{statistics.median(f[1] for f in runs):.0f} | {cost[what] / base:.2f} |")
            ratio = cost[asked[1][0]] / base
            print(f"\nkcache / groupcache: {ratio:.2f} (the bar is {BAR})")
            return 0 if ratio <= BAR else 1
        finally:
            native.close()
            dialect.close()
            groupcache.kill()
            groupcache.wait()


sys.exit(main())
