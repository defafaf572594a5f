# SPDX-License-Identifier: BSL-1.0
"""Builds go_node.go against Debian's golang/groupcache; says what values it makes."""

import os
import pathlib
import shutil
import subprocess
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))

PACKAGES = "/usr/share/gocode"
SOURCE = pathlib.Path(__file__).resolve().parent / "go_node.go"


def size_of(key):
    """As sizeOf in go_node.go."""
    r = zlib.crc32(key) % 100
    for below, size in ((2, 1 << 20), (10, 10 << 10), (25, 2046), (40, 2045), (50, 0), (60, 1)):
        if r < below:
            return size
    return 100


def value_of(key):
    """As valueOf in go_node.go."""
    size = size_of(key)
    return ((key + b"\0") * (size // (len(key) + 1) + 1))[:size]


def build(folder):
    """The path of the program; ends this one with 77 where there is no Go."""
    if not shutil.which("go") or not os.path.isdir(f"{PACKAGES}/src/github.com/golang/groupcache"):
        print("SKIPPED against golang/groupcache: no golang-go, or no "
              "golang-github-golang-groupcache-dev")
        sys.exit(77)
    program = os.path.join(folder, "go_node")
    env = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOPROXY": "off",
           "GOPATH": f"{folder}/go:{PACKAGES}", "GOCACHE": f"{folder}/cache"}
    done = subprocess.run(["go", "build", "-o", program, str(SOURCE)], env=env, cwd=folder,
                          capture_output=True, text=True, timeout=150)
    if done.returncode != 0:
        print(f"FAIL cannot build {SOURCE.name}: {done.stderr}")
        sys.exit(1)
    return program
