# SPDX-License-Identifier: BSL-1.0
"""kcache.hpp names every public header but those of testing/, and all headers can be included
into two translation units of one program: they are compiled once and linked twice, so that a
function or variable without `inline` is a duplicate.

    umbrella.py COMPILER [LIBRARY...]   the compiler with leading options, as one argument
"""

import pathlib
import shlex
import sys
import tempfile

import tree


def main():
    compiler, libraries = shlex.split(sys.argv[1]), sys.argv[2:]
    if not (tree.KCACHE / "kcache.hpp").is_file():
        print("SKIPPED: include/kcache/kcache.hpp does not exist")
        sys.exit(77)
    report = tree.Report("umbrella")
    named = tree.kcache_includes("include/kcache/kcache.hpp")
    public = [h for h in tree.public_headers() if h != "kcache.hpp"]
    for h in public:
        if not h.startswith("testing/"):
            report.check(h in named, f"kcache.hpp does not include {h}")
    for h in named:
        report.check(h in public and not h.startswith("testing/"),
                     f"kcache.hpp includes {h}, which is not public")
    report.check(len(named) == len(set(named)), "kcache.hpp includes a header twice")

    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        everything = folder / "everything.cpp"
        everything.write_text("".join(f"#include <kcache/{h}>\n" for h in public + ["kcache.hpp"]))
        (folder / "main.cpp").write_text("int main() {}\n")
        steps = [
            [*compiler, *tree.STRICT, f"-I{tree.INCLUDE}", "-c", everything, "-o", folder / "a.o"],
            ["cp", folder / "a.o", folder / "b.o"],
            [*compiler, folder / "main.cpp", folder / "a.o", folder / "b.o", *libraries,
             "-pthread", "-o", folder / "program"],
            [folder / "program"],
        ]
        for step in steps:
            status, output = tree.run(step)
            report.check(status == 0, f"{step[0]} failed:\n{output}")
            if status != 0:
                break
    report.close()


if __name__ == "__main__":
    main()
