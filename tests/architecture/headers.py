# SPDX-License-Identifier: BSL-1.0
"""Every header compiles alone, included twice, without a warning; compilers after the first get
them all in one program. Floors 0 to 4 reach neither Boost nor nanopb, and the cache and the
group have a budget: lines of `-E -P`, which do not depend on the machine.

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
    """Includes the headers, twice, in a program of their own. Returns what the compiler returned
    and said, and all that was read."""
    name = headers[0].replace("/", "_") if len(headers) == 1 else f"all_{compiler[0]}"
    source = folder / f"{pathlib.Path(name).name}.cpp"
    source.write_text("".join(f"#include <kcache/{h}>\n" for h in headers * 2))
    deps = source.with_suffix(".d")
    status, output = tree.run([*compiler, *tree.STRICT, f"-I{tree.INCLUDE}", "-fsyntax-only", "-MD",
                               "-MF", deps, source])
    return status, output, deps.read_text() if deps.exists() else ""


def cost(compiler, header, folder):
    """How many lines a compiler reads for it."""
    source, out = folder / "cost.cpp", folder / "cost.ii"
    source.write_text(f"#include <kcache/{header}>\n")
    status, output = tree.run([*compiler, "-std=c++20", f"-I{tree.INCLUDE}", "-E", "-P", source,
                               "-o", out])
    if status != 0:
        return None, output
    with out.open("rb") as f:
        return sum(1 for _ in f), output


def main():
    compilers = [shlex.split(c) for c in sys.argv[1:]]
    report = tree.Report("headers compile alone")
    headers = [h for h in tree.headers() if "impl/" not in h]
    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        # Another compiler has the same standard library and can only warn of other things: it
        # sees all of them at once.
        jobs = [(compilers[0], [h]) for h in headers] + [(c, headers) for c in compilers[1:]]
        for (compiler, which), (status, output, deps) in tree.in_parallel(
                lambda job: compile_alone(job[0], job[1], folder), jobs):
            what = which[0] if len(which) == 1 else "a program that includes every header"
            report.check(status == 0, f"{what}: does not compile, included twice, with "
                                      f"{compiler[0]}:\n{output}")
            if status == 0 and len(which) == 1 and (tree.floor(which[0]) or 0) <= 4:
                foreign = re.findall(r"\S*(?:/boost/|/pb(?:_\w+)?\.h)\S*", deps)
                report.check(not foreign, f"{which[0]} reaches {foreign[:1]}")
                report.check(f"kcache/{which[0]}" in deps, f"{which[0]}: nobody says what it reads")

        for header, most in BUDGET.items():
            lines, output = cost(compilers[0], header, folder)
            report.check(lines is not None, f"{header}: {output}")
            print(f"{header}: {lines} lines, budget {most}")
            report.check((lines or 0) <= most, f"{header}: {lines} lines, budget {most}")
    report.close()


if __name__ == "__main__":
    main()
