# SPDX-License-Identifier: BSL-1.0
"""Every header stands on its floor: it includes its own floor or lower, of third parties only
what that floor may know, and of the standard library nothing that we keep out of headers."""

import re

import tree

# Never in a header: each costs every user thousands of lines, or is not for a library to use.
BANNED = {"random", "iostream", "ostream", "istream", "iomanip", "sstream", "fstream", "regex",
          "filesystem", "future", "thread", "format", "print", "bits/stdc++.h"}
BANNED_BUT = {
    # A pool of threads and the standard's own sleep live where the policy is.
    "policies/thread_pool.hpp": {"thread"},
    "policies/ticking_clock.hpp": {"thread"},
    "beast/": {"thread"},
}

STD = set("""
algorithm any array atomic barrier bit bitset cassert cctype cerrno charconv chrono cinttypes
climits cmath compare complex concepts condition_variable coroutine cstddef cstdint cstdio cstdlib
cstring ctime cwchar deque exception execution expected filesystem format forward_list fstream
functional future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list
locale map memory memory_resource mutex new numbers numeric optional ostream print queue random
ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span sstream stack
stacktrace stdexcept stop_token streambuf string string_view system_error thread tuple type_traits
typeindex typeinfo unordered_map unordered_set utility valarray variant vector version
""".split())

# What the adapters may know besides: (prefix of the header, prefixes of what it may include).
ADAPTERS = [
    ("beast/", ("boost/",)),
    ("nanopb/", ("pb.h", "pb_encode.h", "pb_decode.h", "pb_common.h")),
    ("membership/", ("boost/asio", "boost/system", "boost/json", "boost/url", "boost/beast")),
]

# System headers, where the standard library has no word for it.
SYSTEM = {
    "policies/random.hpp": {"sys/random.h", "unistd.h"},
    "detail/reader.hpp": {"linux/membarrier.h", "sys/syscall.h", "unistd.h"},
    "detail/spin_lock.hpp": {"sched.h"},
    "policies/clock.hpp": {"dlfcn.h"},
    "beast/": {"sys/socket.h", "netinet/in.h", "netinet/tcp.h", "openssl/ssl.h"},
}


def allowed(table, header):
    return set().union(*(v for k, v in table.items() if header.startswith(k)), set())


def check_header(report, header):
    own = tree.floor(header)
    if own is None:
        report.check(False, f"{header}: not in tests/architecture/floors.txt, or its \\file "
                            f"sentence states no floor (/// \\file, then /// Floor N. ...)")
        return
    stated = tree.stated_floor(header)
    report.check(stated == own, f"{header}: its \\file sentence says floor {stated}, "
                                f"floors.txt says {own}")
    path = f"include/kcache/{header}"
    for name, quoted in tree.includes(path):
        report.check(not quoted, f'{header}: #include "{name}": use <>')
        if name.startswith("kcache/"):
            other = name[len("kcache/"):]
            if not (tree.KCACHE / other).is_file():
                report.check(False, f"{header}: includes {name}, which does not exist")
                continue
            theirs = tree.floor(other)
            report.check(theirs is not None and theirs <= own,
                         f"{header} (floor {own}) includes {other} (floor {theirs})")
        elif name in STD:
            report.check(name not in BANNED or name in allowed(BANNED_BUT, header),
                         f"{header}: <{name}> is kept out of headers")
        elif name in allowed(SYSTEM, header):
            report.check(True, "")
        else:
            may = tuple(p for start, prefixes in ADAPTERS if header.startswith(start)
                        for p in prefixes)
            report.check(bool(may) and name.startswith(may),
                         f"{header} (floor {own}) includes <{name}>, which is neither of the "
                         f"standard library nor of its own adapter")
    if own == 7:
        code = re.sub(r"^\s*(//.*|#\s*(include|ifndef|define|endif).*)?$", "",
                      tree.header_text(header), flags=re.M)
        report.check(not code.strip(), f"{header}: an umbrella holds includes only")


def main():
    report = tree.Report("floors")
    for header in tree.headers():
        check_header(report, header)
    for floor, pattern in tree.floor_rules():
        report.check(floor == "stated" or floor.isdigit(), f"floors.txt: floor {floor}?")
    # impl/x.hpp, and where it was split impl/x_part.hpp, is the foot of x.hpp, or of detail/x.hpp.
    for header in tree.headers():
        if "impl/" in header:
            stem = header.removesuffix(".hpp")
            stems = [stem] + ([stem.rpartition("_")[0]] if "_" in stem else [])
            owners = [f"{s.replace('impl/', place, 1)}.hpp" for s in stems
                      for place in ("", "detail/")]
            report.check(any((tree.KCACHE / o).is_file()
                             and header in tree.kcache_includes(f"include/kcache/{o}")
                             for o in owners),
                         f"{header}: not included by {' or '.join(owners)}")
    report.close()


if __name__ == "__main__":
    main()
