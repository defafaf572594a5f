# SPDX-License-Identifier: BSL-1.0
"""Two machines, as far as the network can tell: two namespaces with a cable between them. Wants
root and `ip netns`; skipped, loudly, where they are not permitted."""

import json
import os
import subprocess
import sys
import tempfile
import time

from nodes import Node, expect, expect_equal, main, player, poll, score

HERE = f"kcache{os.getpid()}"
SPACES = [f"{HERE}a", f"{HERE}b"]
CABLE = [f"kc{os.getpid()}a", f"kc{os.getpid()}b"]
ADDRESSES = ["10.99.87.1", "10.99.87.2"]


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
    return done.returncode == 0, done.stderr.strip()


def lay_cable():
    for space, end, address in zip(SPACES, CABLE, ADDRESSES):
        for words in (["-n", space, "addr", "add", f"{address}/30", "dev", end],
                      ["-n", space, "link", "set", end, "up"],
                      ["-n", space, "link", "set", "lo", "up"]):
            done, why = ip(*words)
            expect(done, f"ip {' '.join(words)}: {why}")


def get(i, target):
    """From within a namespace: (status, body, seconds)."""
    done = subprocess.run(
        ["ip", "netns", "exec", SPACES[i], "curl", "-sS", "--globoff", "--max-time", "5", "-w",
         "\n%{http_code} %{time_total}", f"http://{ADDRESSES[i]}:{target}"],
        capture_output=True, timeout=20)
    expect(done.returncode == 0, f"curl {target}: {done.stderr.decode()}")
    body, last = done.stdout.rsplit(b"\n", 1)
    status, seconds = last.split()
    return int(status), body.decode(), float(seconds)


def two_machines():
    peers = ",".join(f"http://{a}:8001" for a in ADDRESSES)
    with tempfile.TemporaryDirectory() as folder:
        nodes = []
        try:
            for space, address in zip(SPACES, ADDRESSES):
                nodes.append(Node(
                    folder, "--listen", address, "--self", f"http://{address}:8001", "--insecure",
                    "--port", 8001, "--api", 9999, "--peers", peers, "--ttl", "1h",
                    "--db", os.path.join(folder, "scores.sqlite"),
                    prefix=("ip", "netns", "exec", space)).start())

            def count(part, what):
                return [json.loads(get(i, "8001/stats")[1])[part][what] for i in (0, 1)]

            def read(keys, longest=1.0):
                for key in keys:
                    for i in (0, 1):
                        status, body, seconds = get(i, f"9999/api?key={key}")
                        expect_equal((status, body), (200, score(key)), f"{key} from {SPACES[i]}")
                        expect(seconds < longest, f"{key} from {SPACES[i]} took {seconds} s")

            keys = ["Tom", "Jack", "Sam", *map(player, range(40))]
            read(keys)
            expect_equal(sum(count("group", "loads")), len(keys), "each key was loaded once")
            expect(min(count("cluster", "calls")) > 0, "each machine has asked the other")

            # The cable is cut: no reset, no refusal, the packets are just gone.
            expect(ip("-n", SPACES[0], "link", "set", CABLE[0], "down")[0], "the cable is cut")
            read(map(player, range(100, 120)), longest=1.3)
            expect(min(count("cluster", "peers_lost")) > 0, "both have noticed")

            expect(ip("-n", SPACES[0], "link", "set", CABLE[0], "up")[0], "the cable is mended")
            before = count("group", "served")

            def asked_again():
                read([player(1_000 + time.monotonic_ns() % 90_000)])
                return all(now > then for now, then in zip(count("group", "served"), before))

            poll("both ask each other again", asked_again, seconds=30)
            for node in nodes:
                node.terminate(within=2)
        finally:
            for node in nodes:
                node.close()


def skip(why):
    print(f"SKIPPED two network namespaces: {why}")
    sys.exit(77)


made = []
try:
    for name in SPACES:
        good, reason = ip("netns", "add", name)
        if not good:
            skip(reason)
        made.append(name)
        good, reason = ip("netns", "exec", name, "true")  # as in a chroot, which has no mounts
        if not good:
            skip(reason)
    good, reason = ip("link", "add", CABLE[0], "netns", SPACES[0], "type", "veth", "peer", "name",
                      CABLE[1], "netns", SPACES[1])
    if not good:
        skip(reason)
    lay_cable()
    main([two_machines])
except FileNotFoundError as e:
    skip(str(e))
finally:
    for name in made:
        ip("netns", "del", name)
