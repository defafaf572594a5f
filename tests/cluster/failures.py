# SPDX-License-Identifier: BSL-1.0
"""Nodes that are killed, frozen and stopped while others read."""

import signal
import threading

from nodes import (Node, Readers, Ring, at_once, expect, expect_equal, main, player, poll,
                   score)

# Values that live shortly keep the readers asking their owners.
SHORT = ("--ttl", "300ms")
KEYS = [player(i) for i in range(300)]


def a_killed_node_is_missed_by_no_reader():
    with Ring(*SHORT) as ring:
        first, second, victim = ring.nodes
        with Readers([first, second], KEYS) as readers:
            readers.wait_for(300)
            asked = victim.count("served")
            expect(asked > 0, "the victim is asked for its keys")
            victim.kill()
            readers.wait_for(1_000)
        readers.check("a node killed")
        expect(first.stats()["cluster"]["unreachable"] > 0, "the victim's keys were loaded here")

        # It comes back, on its old port, and gets its keys back.
        victim.close()
        victim.start()
        with Readers(ring.nodes, KEYS) as readers:
            poll("the restarted node is asked again", lambda: victim.count("served") > 20)
            readers.wait_for(600)
        readers.check("the node restarted")
        for node in ring.nodes:
            for key in KEYS:
                a = node.get(key)
                expect_equal((a.status, a.body.decode()), (200, score(key)), f"{key}, all back")


def a_frozen_node_delays_no_reader_past_the_deadline():
    with Ring(*SHORT) as ring:
        first, second, frozen = ring.nodes
        with Readers([first, second], KEYS, longest=1.3) as readers:
            readers.wait_for(300)
            frozen.signal(signal.SIGSTOP)
            readers.wait_for(1_000)
            poll("both have noticed", lambda: all(n.stats()["cluster"]["peers_lost"] > 0
                                                  for n in (first, second)))
            readers.wait_for(500)
            frozen.signal(signal.SIGCONT)
            served = frozen.count("served")
            poll("the thawed node is asked again", lambda: frozen.count("served") > served + 20)
        readers.check("a node frozen and thawed")


def sigterm_under_load_loses_no_read():
    with Ring(*SHORT) as ring:
        first, second, leaving = ring.nodes
        with Readers([first, second], KEYS) as readers:
            readers.wait_for(300)
            took = leaving.terminate(within=2)
            readers.wait_for(500)
        readers.check(f"a node stopped gracefully in {took * 1000:.0f} ms")


def requests_under_way_are_answered_when_a_node_stops():
    with Ring("--loader-delay", "300ms", nodes=1) as ring:
        node = ring.nodes[0]
        answers = []
        thread = threading.Thread(target=lambda: answers.extend(
            at_once(lambda i: node.get(player(i)), range(10))))
        thread.start()
        poll("ten loads are under way", lambda: node.count("loads") == 10)
        node.terminate(within=2)
        thread.join()
        wrong = [a for a in answers if isinstance(a, Exception) or a.status != 200]
        expect(not wrong and len(answers) == 10, f"requests under way: {wrong[:3]}")


def a_node_whose_loader_hangs_stops_within_three_seconds():
    with Ring("--loader-delay", "1h", nodes=1) as ring:
        node = ring.nodes[0]
        threads = [threading.Thread(target=lambda i=i: at_once(lambda k: node.get(k), [player(i)]))
                   for i in range(30)]
        for t in threads:
            t.start()
        poll("loads hang", lambda: node.count("loads") > 0)
        node.terminate(within=3)
        for t in threads:
            t.join()


def three_nodes_that_start_at_once_fill_one_database():
    # Ring starts them so; here with one killed in the middle of it.
    with Ring(nodes=1) as ring:
        path = ring.db + ".2"
        victim = Node(ring.folder, "--port", 0, "--db", path).launch()
        poll("it has begun", lambda: b"filling" in victim.errors().encode())
        victim.kill()
        victim.close()
        nodes = [Node(ring.folder, "--port", 0, "--api", 0, "--db", path).launch()
                 for _ in range(3)]
        try:
            for n in nodes:
                expect(n.wait_ready(), f"a node on a database half made: {n.errors()}")
                for key in ("Tom", player(0), player(99_999)):
                    expect_equal(n.get(key).body.decode(), score(key), key)
        finally:
            for n in nodes:
                n.close()


main([a_killed_node_is_missed_by_no_reader, a_frozen_node_delays_no_reader_past_the_deadline,
      sigterm_under_load_loses_no_read, requests_under_way_are_answered_when_a_node_stops,
      a_node_whose_loader_hangs_stops_within_three_seconds,
      three_nodes_that_start_at_once_fill_one_database])
