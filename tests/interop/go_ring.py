# SPDX-License-Identifier: BSL-1.0
"""A ring of two Go nodes (golang/groupcache) and one kcache node: 6,000 reads of 600 keys through
all three, no wrong value, exactly 600 loads. Once for each dialect that joins such a ring."""

import bisect
import os
import random
import sqlite3
import subprocess
import tempfile
import threading
import urllib.parse
import zlib

import go
from nodes import Failed, Node, expect, expect_equal, free_ports, main, request

SIZES = {0, 1, 100, 2045, 2046, 10 << 10, 1 << 20}


def all_keys():
    """600 of them. What has a meaning in URLs, or none, or is no text at all."""
    keys = [b"any-%c-byte" % i for i in range(256) if i != 0x20]
    keys += [b"Tom", b"/", b"//", b".", b"..", b"a/../b", b"a//b", b"%", b"%41", b"%zz", b"%%",
             b"?", b"a?b=c", b"#", b"a#b", b"+", b"a+b", b"++", b"&", b"a&b=c", b"=", b";", b":",
             b"http://x/", b"\xff\xfe", "grüße/日本".encode(), b"k" * 250, b"\0", b"\0\0", b"~-_.!*'()"]
    keys += [b" ", b"a b", b" a", b"a ", b"a  b", b"% +/?#", b"a+b c"]
    keys += [b"key/%d" % i for i in range(100)] + [b"%d%%?#+" % i for i in range(100)]
    keys += [b"plain%d" % i for i in range(600 - len(keys))]
    assert len(keys) == len(set(keys)) == 600
    return keys


class GoNode:
    def __init__(self, program, port, peers, base):
        self.process = subprocess.Popen(
            [program, "-self", f"http://127.0.0.1:{port}", "-peers", peers, "-base", base,
             "-api", "127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        self.ready = " ready" in line
        if self.ready:
            self.api = urllib.parse.urlsplit(line.split()[-1]).port

    def read(self, key):
        return request(self.api, "/get?key=" + urllib.parse.quote(key, safe=""), timeout=30)

    def loads(self):
        return int(request(self.api, "/loads").body)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class OurNode:
    def __init__(self, folder, port, peers, dialect, db):
        self.node = Node(folder, "--port", port, "--api", 0, "--peers", peers, "--dialect", dialect,
                         "--db", db, "--ttl", "1h").launch()
        self.ready = self.node.wait_ready()

    def read(self, key):
        return request(self.node.api, "/api?key=" + urllib.parse.quote(key, safe=""), timeout=30)

    def loads(self):
        return self.node.count("loads")

    def close(self):
        self.node.close()


def start(folder, program, dialect, db):
    for _ in range(5):
        ports = free_ports(3)
        peers = ",".join(f"http://127.0.0.1:{p}" for p in ports)
        base = "/_groupcache/" if dialect == "groupcache" else "/_kcache/"
        nodes = [OurNode(folder, ports[0], peers, dialect, db),
                 GoNode(program, ports[1], peers, base), GoNode(program, ports[2], peers, base)]
        if all(n.ready for n in nodes):
            return nodes, peers.split(",")
        for n in nodes:  # a port was taken meanwhile
            n.close()
    raise Failed("the nodes did not start")


def owned(peers, keys):
    """How many of the keys each peer owns: the ring of WIRE.md, once more, in a few lines."""
    points = {}
    for peer in peers:  # of tied points the peer added last has it
        for i in range(50):
            points[zlib.crc32(f"{i}{peer}".encode())] = peer
    ring = sorted(points)
    owners = []
    for key in keys:
        at = bisect.bisect_left(ring, zlib.crc32(key))
        owners.append(points[ring[at % len(ring)]])
    return [owners.count(peer) for peer in peers]


def read_all(nodes, keys):
    """Ten times each, through all three in turn, in an order of no meaning."""
    ours = nodes[0]
    reads = [(ours if b" " in k else nodes[i % 3], k) for k in keys for i in range(10)]
    random.Random(1).shuffle(reads)
    wrong, lock = [], threading.Lock()

    def work(part):
        for node, key in part:
            try:
                a = node.read(key)
                problem = None
                if a.status != 200 or a.body != go.value_of(key):
                    problem = f"status {a.status}, {len(a.body)} bytes, {a.body[:40]!r}"
            except Exception as e:
                problem = f"{type(e).__name__}: {e}"
            if problem:
                with lock:
                    wrong.append(f"{key!r} through {type(node).__name__}: {problem}")

    threads = [threading.Thread(target=work, args=(reads[i::16],)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    expect(not wrong, f"{len(wrong)} of {len(reads)} reads went wrong, among them {wrong[:5]}")
    return len(reads)


def ring(dialect):
    keys = all_keys()
    expect_equal({go.size_of(k) for k in keys}, SIZES, "sizes of values")
    db = os.path.join(FOLDER, "values.sqlite")
    if not os.path.exists(db):
        with sqlite3.connect(db) as values:
            values.execute("CREATE TABLE scores (name TEXT PRIMARY KEY, score BLOB) WITHOUT ROWID")
            values.executemany("INSERT INTO scores VALUES (CAST(? AS TEXT), ?)",
                               [(k, go.value_of(k)) for k in keys])
    nodes, peers = start(FOLDER, PROGRAM, dialect, db)
    try:
        count = read_all(nodes, keys)
        loads = [n.loads() for n in nodes]
        print(f"  {dialect}: {count} reads of {len(keys)} keys, loads {loads}")
        expect_equal(count, 6_000, "reads")
        expect_equal(sum(loads), len(keys), f"loads {loads}")
        expect_equal(loads, owned(peers, keys), "loads at each node: each is its owner's")
        cluster = nodes[0].node.stats()["cluster"]
        for trouble in ("unreachable", "bad_replies", "wrong_owner", "bad_requests"):
            expect_equal(cluster[trouble], 0, f"cluster.{trouble}")
    finally:
        for n in nodes:
            n.close()


def a_ring_in_the_kcache_dialect():
    ring("kcache")


def a_ring_in_the_groupcache_dialect():
    ring("groupcache")


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as FOLDER:
    PROGRAM = go.build(FOLDER)
    main([a_ring_in_the_kcache_dialect, a_ring_in_the_groupcache_dialect])
