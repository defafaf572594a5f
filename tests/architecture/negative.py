# SPDX-License-Identifier: BSL-1.0
"""Mistakes are refused at compile time in our own words. Each tests/negative/*.cpp compiles
without a warning as it is, and fails with -DERROR_CASE, saying what it announces in its comments:

    // expect: the words that the compiler must print

A file with several cases numbers them: `#if ERROR_CASE == 2`, and `// expect 2: ...`. Every word
is looked for in the compiler's errors and notes, but not in the lines of source that it quotes.

    negative.py FOLDER COMPILER [COMPILER...]   each with leading options, as one argument
"""

import pathlib
import re
import shlex
import sys

import tree

EXPECT = re.compile(r"^// expect(?: (\d+))?: (.+)$", re.M)
QUOTED = re.compile(r"^\s*\d* \|.*$", re.M)


def cases(body):
    found = {}
    for number, words in EXPECT.findall(body):
        found.setdefault(number or "1", []).append(words.strip())
    return found


def main():
    folder = pathlib.Path(sys.argv[1])
    compilers = [shlex.split(c) for c in sys.argv[2:]]
    report = tree.Report("refused at compile time")
    jobs = []
    for source in sorted(folder.glob("*.cpp")):
        body = source.read_text()
        found = cases(body)
        report.check(found, f"{source.name}: announces nothing (// expect: ...)")
        used = set(re.findall(r"ERROR_CASE [=!]= (\d+)", body))
        report.check(used <= set(found) and (not used or used == set(found)),
                     f"{source.name}: cases {sorted(used)} but expects {sorted(found)}")
        for compiler in compilers:
            jobs.append((compiler, source, None, []))
            jobs += [(compiler, source, n, words) for n, words in sorted(found.items())]

    def build(job):
        compiler, source, number, _ = job
        define = [f"-DERROR_CASE={number}"] if number else []
        return tree.run([*compiler, *tree.STRICT, f"-I{tree.INCLUDE}", "-fsyntax-only",
                         "-fdiagnostics-color=never", *define, source])

    for (compiler, source, number, words), (status, output) in tree.in_parallel(build, jobs):
        who = f"{source.name} with {compiler[0]}"
        if number is None:
            report.check(status == 0, f"{who} does not compile without its error:\n{output}")
            continue
        report.check(status != 0, f"{who}, case {number}, compiles, and must not")
        said = QUOTED.sub("", output)
        for w in words:
            report.check(w in said, f"{who}, case {number}, does not say `{w}` but:\n"
                                    f"{output[:4000]}")
    report.close()


if __name__ == "__main__":
    main()
