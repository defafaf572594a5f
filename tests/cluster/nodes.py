# SPDX-License-Identifier: BSL-1.0
"""What the tests of real processes share: nodes of the demo on free ports, readers, checks.

Nothing here waits for a time to pass: what is waited for is polled, with a deadline."""

import collections
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

NODE = sys.argv[1] if len(sys.argv) > 1 else None
SOURCES = {"Tom": "630", "Jack": "589", "Sam": "567"}


def score(key):
    """What the table holds (examples/cluster/source.hpp); None: nothing."""
    if key.startswith("player") and len(key) == 12 and key[6:].isdigit():
        return str(int(key[6:]) * 7919 % 1000)
    return SOURCES.get(key)


def player(i):
    return f"player{i:06d}"


class Failed(Exception):
    pass


def expect(holds, what):
    if not holds:
        raise Failed(what)


def expect_equal(actual, wanted, what):
    expect(actual == wanted, f"{what}: expected {wanted!r}, not {actual!r}")


def poll(what, condition, seconds=20):
    """What `condition` yields once it yields something true."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        expect(time.monotonic() < until, f"not within {seconds} s: {what}")
        time.sleep(0.02)


def free_ports(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


Answer = collections.namedtuple("Answer", "status body seconds type")


def request(port, target, method="GET", body=None, host="127.0.0.1", timeout=10):
    """One request on a connection of its own. A failure of the connection is an exception."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, target, body)
        reply = connection.getresponse()
        data = reply.read()
        return Answer(reply.status, data, time.monotonic() - began, reply.getheader("Content-Type"))
    finally:
        connection.close()


class Node:
    """A process. `port` is the peers' port, `api` the front end's, once it is ready."""

    def __init__(self, folder, *flags, prefix=()):
        self.folder, self.flags, self.prefix = folder, flags, prefix
        self.process = self.port = self.api = None

    def launch(self):
        self.err = open(os.path.join(self.folder, f"{time.monotonic_ns()}.err"), "w+b")
        self.process = subprocess.Popen([*self.prefix, NODE, *map(str, self.flags)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.err)
        return self

    def wait_ready(self, seconds=30):
        """True; or False: it has ended instead."""
        watchdog = threading.Timer(seconds, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline().decode()
        watchdog.cancel()
        if " ready" not in line:
            self.process.wait()
            return False
        urls = [urllib.parse.urlsplit(w.rstrip(",")) for w in line.split() if "://" in w]
        self.port = urls[0].port
        self.api = urls[1].port if len(urls) > 1 else None
        return True

    def start(self):
        self.launch()
        expect(self.wait_ready(), f"the node did not start: {self.errors()}")
        return self

    def errors(self):
        self.err.seek(0)
        return self.err.read().decode(errors="replace")

    def get(self, key, timeout=10):
        return request(self.api, "/api?key=" + urllib.parse.quote(key), timeout=timeout)

    def owner(self, key):
        return request(self.api, "/owner?key=" + urllib.parse.quote(key)).body.decode().strip()

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stats(self):
        return json.loads(request(self.port, "/stats").body)

    def count(self, what):
        return self.stats()["group"][what]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self, within):
        """Stops it gracefully; how long that took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=within + 10)
        except subprocess.TimeoutExpired:
            raise Failed(f"SIGTERM: not gone within {within + 10} s") from None
        took = time.monotonic() - began
        expect_equal(status, 0, "the exit status after SIGTERM")
        expect(took <= within, f"SIGTERM: gone after {took:.1f} s, not within {within} s")
        return took

    def close(self):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.kill()
            self.process.wait()
        if self.process:
            self.process.stdout.close()
            self.err.close()


class Ring:
    """Nodes that are each other's peers, each with a front end, over one new database."""

    def __init__(self, *flags, nodes=3, folder=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="kcache-")
        self.db = os.path.join(self.folder, "scores.sqlite")
        self.nodes = []
        try:
            for last_try in (False, False, False, False, True):
                if self._start(nodes, flags, last_try):
                    return
        except BaseException:
            self.close()
            raise

    def _start(self, count, flags, last_try):
        ports = free_ports(count)
        peers = ",".join(f"http://127.0.0.1:{p}" for p in ports)
        self.nodes = [Node(self.folder, "--port", p, "--api", 0, "--peers", peers, "--db", self.db,
                           *flags).launch() for p in ports]
        ready = [n.wait_ready() for n in self.nodes]
        if all(ready):
            return True
        said = [n.errors() for n in self.nodes]
        for n in self.nodes:
            n.close()
        # Another program may have taken a port between our look and the node's.
        expect(not last_try and any("cannot listen" in s for s in said),
               f"the nodes did not start: {said}")
        return False

    def count(self, what):
        return sum(n.count(what) for n in self.nodes)

    def keys_of(self, node, count, start=0):
        """Keys that a node owns."""
        found, i = [], start
        while len(found) < count:
            if self.nodes[0].owner(player(i)) == node.url():
                found.append(player(i))
            i += 1
        return found

    def close(self):
        for n in self.nodes:
            n.close()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Readers:
    """Threads that read keys through nodes, again and again, and note what was not right."""

    def __init__(self, nodes, keys, threads=8, longest=None):
        self.nodes, self.keys, self.longest = nodes, keys, longest
        self.reads, self.slowest, self.wrong = 0, 0.0, []
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._read, args=(i,)) for i in range(threads)]

    def _read(self, at):
        while not self.stopping.is_set():
            node, key = self.nodes[at % len(self.nodes)], self.keys[at % len(self.keys)]
            at += 7
            try:
                a = node.get(key)
                wrong = None
                if a.status != 200 or a.body.decode() != score(key):
                    wrong = f"{key} through {node.port}: {a.status} {a.body!r}"
                elif self.longest and a.seconds > self.longest:
                    wrong = f"{key} through {node.port} took {a.seconds:.2f} s"
            except Exception as e:  # whatever it was, a reader saw it
                a, wrong = None, f"{key} through {node.port}: {type(e).__name__}: {e}"
            with self.lock:
                self.reads += 1
                self.slowest = max(self.slowest, a.seconds if a else 0)
                if wrong:
                    self.wrong.append(wrong)

    def wait_for(self, more, seconds=30):
        """Until so many more reads have ended."""
        goal = self.reads + more
        poll(f"{more} more reads", lambda: self.reads >= goal, seconds)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for t in self.threads:
            t.join()

    def check(self, what):
        expect(not self.wrong, f"{what}: {len(self.wrong)} of {self.reads} reads went wrong, "
                               f"among them {self.wrong[:5]}")
        print(f"  {what}: {self.reads} reads, the slowest {self.slowest * 1000:.0f} ms")


def at_once(work, items):
    """[work(item)], all at the same time."""
    results, barrier = [None] * len(items), threading.Barrier(len(items))

    def one(i):
        barrier.wait()
        try:
            results[i] = work(items[i])
        except Exception as e:
            results[i] = e

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(items))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def main(tests):
    """Runs all, says which failed."""
    failed = 0
    for test in tests:
        name = test.__name__.replace("_", " ")
        began = time.monotonic()
        try:
            test()
            print(f"ok   {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as e:
            failed += 1
            said = e if isinstance(e, Failed) else f"{type(e).__name__}: {e}"
            print(f"FAIL {name}: {said}", flush=True)
    sys.exit(1 if failed else 0)
