# SPDX-License-Identifier: BSL-1.0
"""Every header compiles alone, included twice, without a warning; compilers after the first get
them all in one program. The first also tells what each costs: lines of `-E -P`, which do not
depend on the machine. The cache and the group have a budget, and floors 0 to 4 reach neither
Boost nor nanopb.

    headers.py COMPILER [COMPILER...]   each with leading options, as one argument
"""

import pathlib
import re
import shlex
import sys
import tempfile

import tree

BUDGET = {"cache.hpp": 60_000, "group.hpp": 80_000}


def compile_alone(compiler, headers, folder):
    """Includes the headers, twice, in a program of their own."""
    name = headers[0].replace("/", "_") if len(headers) == 1 else f"all_{compiler[0]}"
    source = folder / f"{pathlib.Path(name).name}.cpp"
    source.write_text("".join(f"#include <kcache/{h}>\n" for h in headers * 2))
    return tree.run([*compiler, *tree.STRICT, f"-I{tree.INCLUDE}", "-fsyntax-only", source])


def cost(compiler, header, folder):
    name = header.replace("/", "_")
    source, out, deps = (folder / f"{name}.{x}" for x in ("e.cpp", "ii", "d"))
    source.write_text(f"#include <kcache/{header}>\n")
    status, output = tree.run([*compiler, "-std=c++20", f"-I{tree.INCLUDE}", "-E", "-P", "-MD",
                               "-MF", deps, source, "-o", out])
    if status != 0:
        return None, output
    with out.open("rb") as f:
        lines = sum(1 for _ in f)
    return lines, deps.read_text()


def main():
    compilers = [shlex.split(c) for c in sys.argv[1:]]
    report = tree.Report("headers compile alone")
    headers = [h for h in tree.headers() if "impl/" not in h]
    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        # Another compiler has the same standard library and can only warn of other things: it
        # sees all of them at once.
        jobs = [(compilers[0], [h]) for h in headers] + [(c, headers) for c in compilers[1:]]
        for (compiler, which), (status, output) in tree.in_parallel(
                lambda job: compile_alone(job[0], job[1], folder), jobs):
            what = which[0] if len(which) == 1 else "a program that includes every header"
            report.check(status == 0, f"{what}: does not compile, included twice, with "
                                      f"{compiler[0]}:\n{output}")

        print("lines of -E -P, floor, header")
        for header, (lines, more) in tree.in_parallel(
                lambda h: cost(compilers[0], h, folder), headers):
            if lines is None:
                continue  # reported above
            print(f"{lines:>9,}  {tree.floor(header)}  {header}")
            if header in BUDGET:
                report.check(lines <= BUDGET[header], f"{header}: {lines:,} lines, budget "
                                                      f"{BUDGET[header]:,}")
            if (tree.floor(header) or 0) <= 4:
                foreign = re.findall(r"\S*(?:/boost/|/pb(?:_\w+)?\.h)\S*", more)
                report.check(not foreign, f"{header} reaches {foreign[:1]}")
    report.close()


if __name__ == "__main__":
    main()
