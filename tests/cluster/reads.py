# SPDX-License-Identifier: BSL-1.0
"""Three nodes over loopback: what they answer, and how seldom they ask the database."""

import json
import sqlite3
import time

from nodes import (Ring, at_once, expect, expect_equal, main, player, poll, request, score)

DIALECTS = ("native", "kcache", "groupcache")


def all_keys_through_every_node_each_loaded_once():
    keys = ["Tom", "Jack", "Sam", *map(player, range(0, 100_000, 331))]
    for dialect in DIALECTS:
        with Ring("--dialect", dialect, "--ttl", "1h") as ring:
            for node in ring.nodes:
                for key in keys:
                    a = node.get(key)
                    expect_equal((a.status, a.body.decode(), a.type),
                                 (200, score(key), "application/octet-stream"),
                                 f"{dialect}: {key} through {node.port}")
            expect_equal(ring.count("loads"), len(keys), f"{dialect}: loads")
            owned = [n.count("entries") for n in ring.nodes]
            expect(min(owned) > 0 and sum(owned) == len(keys), f"{dialect}: entries {owned}")
            for key in keys[:50]:
                owners = {n.owner(key) for n in ring.nodes}
                expect_equal(len(owners), 1, f"{dialect}: the nodes agree who owns {key}")


def a_hundred_cold_reads_at_once_make_one_load():
    with Ring("--loader-delay", "200ms", "--ttl", "1h") as ring:
        for key in ("Tom", player(7), player(8)):
            before = ring.count("loads")
            answers = at_once(lambda i: ring.nodes[i % 3].get(key), range(100))
            wrong = [a for a in answers if isinstance(a, Exception) or a.status != 200
                     or a.body.decode() != score(key)]
            expect(not wrong, f"{key}: {wrong[:3]}")
            expect_equal(ring.count("loads") - before, 1, f"loads of {key}")


def a_source_that_fails_once_recovers():
    with Ring("--ttl", "1h") as ring:
        with sqlite3.connect(ring.db) as db:
            db.execute("ALTER TABLE scores RENAME TO gone")
        for node in ring.nodes:
            a = node.get("Tom")
            expect_equal(a.status, 502, "a failing source")
            expect(b"no such table" in a.body and a.body.endswith(b"\n"), f"its words: {a.body}")
        # Failures are not kept, and an owner's failure makes nobody else load.
        expect_equal(ring.count("loads"), 3, "loads while the source failed")
        with sqlite3.connect(ring.db) as db:
            db.execute("ALTER TABLE gone RENAME TO scores")
        for node in ring.nodes:
            expect_equal(node.get("Tom").body, b"630", "Tom, when the source is back")
        expect_equal(ring.count("loads"), 4, "loads in all")


def an_answer_for_everything():
    with Ring("--ttl", "1h") as ring:
        for node in ring.nodes:
            a = node.get("nobody")
            expect_equal((a.status, a.body[-1:]), (404, b"\n"), "an unknown key")
            for target in ("/api", "/api?", "/api?key=", "/api?other=Tom", "/api?key"):
                expect_equal(request(node.api, target).status, 400, target)
            expect_equal(request(node.api, "/elsewhere").status, 404, "another target")
            expect_equal(request(node.api, "/api?key=Tom", "POST", b"").status, 405, "POST")
            expect_equal(request(node.api, "/api?key=Tom", "DELETE").status, 405, "DELETE")
            # As forms have it: + is a space, %XX a byte, the first of the name counts.
            for target in ("/api?key=%54om", "/api?a=b&key=Tom", "/api?k%65y=T%6fm&key=Sam"):
                expect_equal(request(node.api, target).body, b"630", target)
            for key in ("T+om", "T%20om", "T%2Bom", "%00%FF", "Tom%00"):
                expect_equal(request(node.api, "/api?key=" + key).status, 404, key)
            for port in (node.port, node.api):
                a = request(port, "/stats")
                expect_equal((a.status, a.type), (200, "application/json"), "/stats")
                stats = json.loads(a.body)
                expect_equal(stats["node"], node.url(), "who tells")
                expect_equal(sorted(stats["peers"]), sorted(n.url() for n in ring.nodes), "peers")
        # The path form: answered by every node, for curl and Go clients.
        a = request(ring.nodes[0].port, "/_kcache/scores/Tom")
        expect_equal((a.status, a.body), (200, b"\x0a\x03630"), "the path form")


def a_slow_source_is_a_deadline_and_not_a_second_load():
    with Ring("--loader-delay", "1h") as ring:
        answers = at_once(lambda n: n.get("Tom"), ring.nodes)
        for a in answers:
            expect(not isinstance(a, Exception) and a.status == 504, f"a hung load: {a}")
            expect(a.seconds < 1.5, f"a reader waited {a.seconds:.2f} s")
        expect_equal(ring.count("loads"), 1, "loads")


def hung_loads_delay_nobody_past_the_deadline():
    # More than there are threads to load with.
    with Ring("--loader-delay", "1h", nodes=1) as ring:
        answers = at_once(lambda i: ring.nodes[0].get(player(i)), range(60))
        wrong = [a for a in answers if isinstance(a, Exception) or a.seconds > 1.5
                 or a.status not in (503, 504)]
        expect(not wrong, f"{len(wrong)} of 60 readers of hung keys: {wrong[:3]}")


def a_value_lives_as_long_as_it_may():
    with Ring("--ttl", "1s") as ring:
        node = ring.nodes[0]
        expect_equal(node.get("Tom").body, b"630", "Tom")
        loaded = time.monotonic()
        poll("Tom is loaded again", lambda: node.get("Tom") and ring.count("loads") > 1)
        expect(time.monotonic() - loaded > 0.9, "loaded again before its time")


def the_cache_is_bounded():
    with Ring("--capacity", "10", "--ttl", "1h", nodes=1) as ring:
        node = ring.nodes[0]
        for i in range(25):
            node.get(player(i))
        expect_equal(node.count("entries"), 10, "entries")
        expect_equal(node.stats()["group"]["removed"]["evicted"], 15, "evicted")
        before = node.count("loads")
        for i in range(15, 25):
            node.get(player(i))
        expect_equal(node.count("loads"), before, "the last ten are there")


main([all_keys_through_every_node_each_loaded_once, a_hundred_cold_reads_at_once_make_one_load,
      a_source_that_fails_once_recovers, an_answer_for_everything,
      a_slow_source_is_a_deadline_and_not_a_second_load,
      hung_loads_delay_nobody_past_the_deadline, a_value_lives_as_long_as_it_may,
      the_cache_is_bounded])
