# SPDX-License-Identifier: BSL-1.0
"""What the architecture checks share: the tree, the floors, running a compiler, reporting."""

import fnmatch
import functools
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
KCACHE = INCLUDE / "kcache"

STRICT = """-std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
    -Wold-style-cast -Wnon-virtual-dtor -Werror""".split()

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
_FLOOR = re.compile(r"/// \\file\n/// Floor (\d)\.")


def files():
    """Every file of the tree, relative to its root: tracked, or new and not ignored."""
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z",
           "--cached", "--others", "--exclude-standard"]
    try:
        out = subprocess.run(git, capture_output=True, check=True).stdout
        names = [n for n in out.decode().split("\0") if n]
    except (OSError, subprocess.CalledProcessError):  # a tarball, or no git
        names = [p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if p.is_file()]
        names = [n for n in names if n.split("/")[0] not in (".git", "build")]
    return sorted(n for n in set(names) if (ROOT / n).is_file())


@functools.cache
def text(path):
    """The text of a file, named relative to the root of the tree."""
    return (ROOT / path).read_text(encoding="utf-8")


def headers():
    """Every header, as it is included but without `kcache/`, e.g. `policies/clock.hpp`."""
    return sorted(p.relative_to(KCACHE).as_posix() for p in KCACHE.rglob("*.hpp"))


def public_headers():
    """Those that a user may name."""
    return [h for h in headers() if not h.startswith(("detail/", "impl/")) and "/impl/" not in h
            and "/detail/" not in h]


def header_text(header):
    return text(f"include/kcache/{header}")


def includes(path):
    """[(name, is_quoted)] of every #include of a file, conditional ones too."""
    return [(name, mark == '"') for mark, name in _INCLUDE.findall(text(path))]


def kcache_includes(path):
    """The kcache headers that a file includes, without `kcache/`."""
    return [name[len("kcache/"):] for name, _ in includes(path) if name.startswith("kcache/")]


@functools.cache
def closure(header):
    """The header and every kcache header that it reaches."""
    seen, todo = set(), [header]
    while todo:
        h = todo.pop()
        if h not in seen and (KCACHE / h).is_file():
            seen.add(h)
            todo += kcache_includes(f"include/kcache/{h}")
    return frozenset(seen)


def stated_floor(header):
    found = _FLOOR.search(header_text(header))
    return int(found.group(1)) if found else None


@functools.cache
def floor_rules():
    rules = []
    for line in text("tests/architecture/floors.txt").splitlines():
        if line.strip() and not line.startswith("#"):
            floor, pattern = line.split()
            rules.append((floor, pattern))
    return rules


def floor(header):
    """The floor of a header, or None when the map does not know it."""
    for value, pattern in floor_rules():
        if fnmatch.fnmatchcase(header, pattern):
            return stated_floor(header) if value == "stated" else int(value)
    return None


def top_floor(path):
    """The highest floor that a source file reaches through its kcache includes; -1: none."""
    reached = set()
    for h in kcache_includes(path):
        reached |= closure(h)
    return max((floor(h) or 0 for h in reached), default=-1)


def reaches(path, prefix):
    """Does a source file reach a kcache header whose name starts so?"""
    return any(h.startswith(prefix) for i in kcache_includes(path) for h in closure(i))


def needs_adapters(header):
    return (floor(header) or 0) >= 5


def run(command, **options):
    """(exit status, output and errors together)."""
    options.setdefault("timeout", 300)
    # Meson sets this for programs under test, and compilers are slow with it.
    options["env"] = {k: v for k, v in options.get("env", os.environ).items()
                      if k != "MALLOC_PERTURB_"}
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, **options)
    return done.returncode, done.stdout


def in_parallel(work, items):
    """[(item, work(item))], in order. Meson runs other tests beside us: no more than two."""
    items = list(items)
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        return list(zip(items, pool.map(work, items)))


class Report:
    """Collects complaints; `close` prints them and ends the program."""

    def __init__(self, subject):
        self.subject, self.checked, self.complaints = subject, 0, []

    def check(self, holds, complaint):
        self.checked += 1
        if not holds:
            self.complaints.append(complaint)

    def close(self):
        for c in self.complaints:
            print(f"FAIL {c}")
        print(f"{self.subject}: {self.checked} checked, {len(self.complaints)} wrong")
        if self.checked == 0:
            print(f"FAIL {self.subject}: nothing was checked")
        sys.exit(1 if self.complaints or self.checked == 0 else 0)
