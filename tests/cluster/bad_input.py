# SPDX-License-Identifier: BSL-1.0
"""What strangers may send to both ports: a clear status or a closed connection, and the next
request is served."""

import os
import socket
import struct
import time

from nodes import Ring, expect, expect_equal, main

HOST = b"Host: x\r\n"


def exchange(port, data, close_write=False, seconds=10):
    """The status of the reply, 0 for a connection closed without one, and the body."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        try:
            s.sendall(data)
            if close_write:
                s.shutdown(socket.SHUT_WR)
            reply = b""
            while b"\r\n\r\n" not in reply:
                more = s.recv(65536)
                if not more:
                    return 0, reply
                reply += more
            head, body = reply.split(b"\r\n\r\n", 1)
            length = int(next(x for x in head.split(b"\r\n") if x.lower().startswith(
                b"content-length:")).split(b":")[1])
            while len(body) < length:
                more = s.recv(65536)
                if not more:
                    break
                body += more
            return int(head.split()[1]), body[:length]
        except (ConnectionResetError, BrokenPipeError):
            return 0, b""


def get(target):
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def post(target, body, length=None):
    size = len(body) if length is None else length
    return (b"POST " + target + b" HTTP/1.1\r\n" + HOST +
            b"Content-Length: %d\r\n\r\n" % size + body)


LONG = b"k" * 20 * 1024
NATIVE = b"/_kcache.native/1/"

PEER_PORT = [
    ("a bad escape", get(b"/_kcache/scores/%zz"), 400, b"bad request\n"),
    ("half an escape", get(b"/_kcache/scores/Tom%4"), 400, b"bad request\n"),
    ("no second slash", get(b"/_kcache/scores"), 400, b"bad request\n"),
    ("an unknown group", get(b"/_kcache/nobody/Tom"), 404, b"no such group: nobody\n"),
    ("no key", get(b"/_kcache/scores/"), 500, b"key is required\n"),
    ("a key of 20 KB", get(b"/_kcache/scores/" + LONG), 414, None),
    ("a method that the path form has not", post(b"/_kcache/scores/Tom", b""), 405, None),
    ("another target", get(b"/elsewhere"), 404, None),
    ("a native operation by GET", get(NATIVE + b"get"), 405, None),
    ("an unknown operation", post(NATIVE + b"nothing", b""), 404, None),
    ("another version", post(b"/_kcache.native/2/get", b""), 426, None),
    ("garbage for protobuf", post(NATIVE + b"get", b"\xff\xff\xff\xff garbage \x00"), 400, None),
    ("protobuf that is cut short", post(NATIVE + b"get", b"\x0a\x7fscor"), 400, None),
    ("protobuf that says it is huge", post(NATIVE + b"get", b"\x0a\xff\xff\xff\xff\x0f"), 400,
     None),
    ("garbage to hello", post(NATIVE + b"hello", b"\x0b\x0b\x0b"), 400, None),
]
API_PORT = [
    ("a bad escape", get(b"/api?key=%zz"), 400, None),
    ("half an escape", get(b"/api?key=Tom%4"), 400, None),
    ("a key of 20 KB", get(b"/api?key=" + LONG), 414, None),
    ("a bad escape to /owner", get(b"/owner?key=%"), 400, None),
]
BOTH_PORTS = [
    ("a body of 1 GB", post(b"/api", b"", 10**9), 413, None),
    ("a body of 1 GB to get", post(NATIVE + b"get", b"x" * 1000, 10**9), 413, None),
    ("a body longer than numbers", post(b"/api", b"", 10**30), 400, None),
    ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, None),
    ("random bytes", os.urandom(4096).replace(b"\n", b" ") + b"\r\n\r\n", None, None),
    ("a head of 20 KB", b"GET /stats HTTP/1.1\r\n" + HOST + b"X: " + LONG + b"\r\n\r\n", 431, None),
    ("1,500 fields", b"GET /stats HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 1500 + b"\r\n", 431, None),
    ("two lengths", b"POST /api HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n"
     b"Content-Length: 2\r\n\r\nxx", 400, None),
    ("chunks", b"POST /api HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, None),
    ("no Host", b"GET /stats HTTP/1.1\r\n\r\n", 400, None),
    ("half a request", b"GET /sta", 0, None),
]


def served(ring):
    """Both ports still do their work."""
    node = ring.nodes[0]
    expect_equal(exchange(node.api, get(b"/api?key=Tom")), (200, b"630"), "the next to the API")
    expect_equal(exchange(node.port, get(b"/_kcache/scores/Tom")), (200, b"\x0a\x03630"),
                 "the next to the peers' port")


def all_bad_input_has_an_answer():
    with Ring(nodes=1) as ring:
        node = ring.nodes[0]
        for port, cases in ((node.port, PEER_PORT), (node.api, API_PORT), (node.port, BOTH_PORTS),
                            (node.api, BOTH_PORTS)):
            for what, data, status, body in cases:
                got, text = exchange(port, data, close_write=status == 0)
                if status is None:
                    expect(got in (0, 400), f"{what}: {got} {text!r}")
                else:
                    expect_equal(got, status, what)
                if got >= 400:
                    expect(text.endswith(b"\n") and len(text) < 200, f"{what}: says {text!r}")
                expect(body is None or text == body, f"{what}: {text!r}")
                served(ring)


def the_connection_goes_on_where_the_request_was_whole():
    with Ring(nodes=1) as ring:
        for port, bad, good, answer in (
                (ring.nodes[0].port, b"/_kcache/scores/%", b"/_kcache/scores/Tom", b"\x0a\x03630"),
                (ring.nodes[0].api, b"/api?key=%zz", b"/api?key=Tom", b"630")):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
                s.sendall(get(bad) + get(good))
                reply = b""
                while not reply.endswith(answer):
                    more = s.recv(65536)
                    expect(more, f"closed after {reply!r}")
                    reply += more
                expect(reply.startswith(b"HTTP/1.1 400 ") and b"HTTP/1.1 200 OK\r\n" in reply,
                       f"two replies: {reply!r}")


def who_is_slow_is_shown_out_and_delays_nobody():
    with Ring(nodes=1) as ring:
        node = ring.nodes[0]
        for port in (node.port, node.api):
            slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(100)]
            began = time.monotonic()
            for s in slow:
                s.sendall(b"GET /stats HT")
            served(ring)
            for s in slow:
                expect(s.recv(65536).startswith(b"HTTP/1.1 408 "), "half a request, then nothing")
                s.close()
            expect(time.monotonic() - began < 5, "half a request is not waited for longer than 5 s")
        # Resets in the middle of things.
        for i in range(50):
            with socket.create_connection(("127.0.0.1", node.api), timeout=10) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.sendall(get(b"/api?key=player%06d" % i)[:-2 if i % 2 else None])
        served(ring)


main([all_bad_input_has_an_answer, the_connection_goes_on_where_the_request_was_whole,
      who_is_slow_is_shown_out_and_delays_nobody])
