# SPDX-License-Identifier: BSL-1.0
"""The lists in include/meson.build and tests/unit/meson.build are complete, and every public header
has the test of its name, whose first include it is.

    lists.py         fails where a list does not say what the tree holds
    lists.py --fix   writes the lists (between `# lists: begin` and `# lists: end`)
"""

import pathlib
import re
import sys

import tree

# Public headers without a test of their own, and why.
NO_TEST = {
    "fwd.hpp": "declarations only; every header that defines them includes it",
    "kcache.hpp": "includes only: umbrella.py",
    "version.hpp": "three macros: text.py",
    "config.hpp": "compiler checks; every header includes it",
}
# The parts of the Beast adapter are tested together: a unit with Beast takes long to compile. Each
# is reached by the test named here.
TESTED_IN = {
    "beast/io_threads.hpp": "beast/server.cpp",
    "beast/mount.hpp": "beast/parsers.cpp",
    "beast/options.hpp": "beast/server.cpp",
}
# The most translation units with Beast that the tests build under sanitizers, each 8 to 26 s. The
# programs of a user (install/, documented/) are compiled plainly, once for each way of use.
BEAST_UNITS = 6

UNIT = tree.ROOT / "tests" / "unit"


def unit_sources():
    return sorted(p.relative_to(UNIT).as_posix() for p in UNIT.rglob("*.cpp"))


def suite_of(source):
    """The executable of a test: by the highest thing that it includes."""
    path = f"tests/unit/{source}"
    foreign = [n for n, _ in tree.includes(path) if n.startswith("boost/")]
    if foreign or tree.reaches(path, ("beast/", "defaults", "membership/")):
        return "beast"
    if tree.reaches(path, "nanopb/") or any(n.startswith("pb") for n, _ in tree.includes(path)):
        return "nanopb"
    return "cluster" if tree.top_floor(path) == 4 else "core"


def is_concurrent(source):
    return "[concurrent]" in tree.text(f"tests/unit/{source}")


def quoted(names, indent):
    return "".join(f"{indent}'{n}',\n" for n in names)


def unit_list():
    out = "unit_sources = {\n"
    for suite in ("core", "cluster", "nanopb", "beast"):
        names = [s for s in unit_sources() if suite_of(s) == suite]
        out += f"  '{suite}': [\n{quoted(names, '    ')}  ],\n" if names else f"  '{suite}': [],\n"
    concurrent = [s for s in unit_sources() if is_concurrent(s)]
    return out + f"}}\nunit_concurrent = [\n{quoted(concurrent, '  ')}]\n"


def header_list():
    names = sorted(p.relative_to(tree.INCLUDE).as_posix() for p in tree.KCACHE.rglob("*")
                   if p.suffix in (".hpp", ".proto"))
    return f"kcache_headers = [\n{quoted(names, '  ')}]\n"


def check_list(report, path, wanted, fix):
    body = (tree.ROOT / path).read_text()
    found = re.search(r"^# lists: begin[^\n]*\n(.*?)^# lists: end", body, re.S | re.M)
    if found and fix and found.group(1) != wanted:
        (tree.ROOT / path).write_text(body[:found.start(1)] + wanted + body[found.end(1):])
        print(f"{path}: written")
        return
    report.check(found is not None, f"{path}: no `# lists: begin` and `# lists: end`")
    if found:
        have, want = found.group(1).splitlines(), wanted.splitlines()
        report.check(have == want, f"{path} is not what the tree holds; run "
                                   f"tests/architecture/lists.py --fix\n"
                     + "".join(f"  missing: {x.strip()}\n" for x in want if x not in have)
                     + "".join(f"  too much: {x.strip()}\n" for x in have if x not in want))


def check_tests(report):
    for header in [*NO_TEST, *TESTED_IN]:
        report.check((tree.KCACHE / header).is_file(), f"lists.py speaks of {header}")
    sources = unit_sources()
    for header in tree.public_headers():
        test = header.replace(".hpp", ".cpp")
        if header in NO_TEST or header in TESTED_IN:
            report.check(test not in sources, f"{header} has a test: say so in lists.py")
        if header in NO_TEST:
            continue
        if header in TESTED_IN:
            test = TESTED_IN[header]
            report.check(test in sources and tree.reaches(f"tests/unit/{test}", header),
                         f"{header} is not reached by tests/unit/{test}")
            continue
        report.check(test in sources, f"{header} has no test tests/unit/{test}")
        if test in sources:
            first = next((n for n, _ in tree.includes(f"tests/unit/{test}")), "")
            report.check(first == f"kcache/{header}",
                         f"tests/unit/{test}: its first include is {first}, not kcache/{header}")
    beast = [p.relative_to(tree.ROOT).as_posix() for p in (tree.ROOT / "tests").rglob("*.cpp")]
    beast = [p for p in beast if not p.startswith(("tests/documented/", "tests/install/"))
             and (any(n.startswith("boost/beast") for n, _ in tree.includes(p))
                  or any("boost/beast" in n for i in tree.kcache_includes(p)
                         for h in tree.closure(i)
                         for n, _ in tree.includes(f"include/kcache/{h}")))]
    report.check(len(beast) <= BEAST_UNITS, f"{len(beast)} translation units of the tests include "
                                            f"Beast, at most {BEAST_UNITS} may: {beast}")


def check_names(report):
    """Catch2 refuses a program in which two tests have one name."""
    seen = {}
    name = re.compile(r'^\s*(?:TEMPLATE_\w*|TEST_CASE)\(\s*'
                      r'("(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)', re.M)
    for source in unit_sources():
        for said in name.findall(tree.text(f"tests/unit/{source}")):
            said = re.sub(r'"\s*"', "", said)
            first = seen.setdefault((suite_of(source), said), source)
            report.check(first == source, f"tests/unit/{source}: {first} has a test {said} too")


def check_folders(report):
    """Every folder with a meson.build is named by the one above it."""
    for path in tree.files():
        folder = pathlib.PurePosixPath(path).parent
        if path.endswith("/meson.build") and path != "tests/install/subproject/meson.build":
            above = folder.parent / "meson.build"
            report.check((tree.ROOT / above).is_file()
                         and f"'{folder.name}'" in tree.text(above.as_posix()),
                         f"{above} does not know the folder {folder.name}")


def main():
    fix = sys.argv[1:] == ["--fix"]
    report = tree.Report("lists")
    check_list(report, "include/meson.build", header_list(), fix)
    check_list(report, "tests/unit/meson.build", unit_list(), fix)
    if not fix:
        check_tests(report)
        check_names(report)
        check_folders(report)
        report.close()


if __name__ == "__main__":
    main()
