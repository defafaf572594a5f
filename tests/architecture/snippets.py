# SPDX-License-Identifier: BSL-1.0
"""What the documents show is built and run.

In Markdown, every ```cpp block is tested. A block with `int main` is a program: it is built, run,
and must exit with 0. Any other block says in a comment right before it how it is tested:

    <!-- test: body -->      statements: put into main(), built and run
    <!-- test: scope -->     declarations: put at namespace scope, built
    <!-- test: none: why --> not tested
    <!-- test: build -->     a program that is built but not run, since it would not end

Lines that follow `test: ...` inside the comment are put before the block: what the reader is
expected to have (`struct user {...};`, `#include <...>`). A block's own #include lines come first.

In headers, an example is a run of comment lines indented by four spaces or more. The programs in
tests/documented/ give the examples what they need, include them where they belong, and run:

    int main() {
    #include "examples/cache.hpp/1"
    }

Every example is in one of these programs, or excused by a comment in one of them:
`// examples/loader.hpp/1: not code`. In an example `{ ... }`, and `...` at the end of a line, stand
for an empty block, and a line that begins with `...` for nothing.

    snippets.py (markdown|headers) COMPILER [LIBRARY...]
"""

import pathlib
import re
import shlex
import sys
import tempfile

import tree

BLOCK = re.compile(r"(?:<!--\s*test:\s*(?P<how>(?:(?!-->)[^\n])*?)[ \t]*"
                   r"(?:\n(?P<before>(?:(?!-->).)*?))?-->[ \t]*\n+)?"
                   r"^```(?:cpp|c\+\+)[^\n]*\n(?P<code>.*?)^```[ \t]*$", re.S | re.M)


def build_and_run(compiler, libraries, source, folder, run=True):
    program = source.with_suffix(".out")
    # An example need not use all that it names.
    flags = [*tree.STRICT, "-Wno-unused", "-O0", f"-I{tree.INCLUDE}", f"-I{folder}", "-pthread"]
    status, output = tree.run([*compiler, *flags, source, *libraries, "-o", program])
    if status != 0 or not run:
        return status, output
    try:
        return tree.run([program], timeout=30, cwd=folder)
    except Exception as e:  # it did not end
        return 1, str(e)


def program_of(how, before, code):
    hoisted = "".join(re.findall(r"^[ \t]*#[ \t]*include.*\n", code, re.M))
    rest = re.sub(r"^[ \t]*#[ \t]*include.*\n", "\n", code, flags=re.M)
    head = f"{hoisted}{before or ''}\n"
    if how == "body":
        return f"{head}int main() {{\n{rest}\n}}\n"
    if how == "scope":
        return f"{head}{rest}\nint main() {{}}\n"
    return f"{before or ''}\n{code}"


def markdown(report, compiler, libraries, folder):
    jobs = []
    for path in (p for p in tree.files() if p.endswith(".md")):
        for n, m in enumerate(BLOCK.finditer(tree.text(path)), 1):
            line = tree.text(path)[:m.start("code")].count("\n")
            how = m["how"] or ("program" if "int main" in m["code"] else "")
            where = f"{path}:{line}"
            if re.match(r"none: \S", how):
                print(f"{where}: not tested ({how[6:]})")
                continue
            report.check(how in ("program", "build", "body", "scope"),
                         f"{where}: how is this block tested? (tests/architecture/snippets.py)")
            source = folder / f"{path.replace('/', '_')}_{n}.cpp"
            source.write_text(program_of(how, m["before"], m["code"]))
            jobs.append((where, source, how in ("program", "body")))
    for (where, source, _), (status, output) in tree.in_parallel(
            lambda j: build_and_run(compiler, libraries, j[1], folder, j[2]), jobs):
        report.check(status == 0, f"{where}: failed ({status}):\n{output}")


def examples_of(header):
    """The examples in a header's comments, each a list of lines."""
    found, current = [], []
    for line in tree.header_text(header).splitlines():
        m = re.match(r"\s*//[/!]?(    .*)$", line)
        if m:
            current.append(m.group(1)[4:])
        elif re.match(r"\s*//[/!]?\s*$", line) and current:
            current.append("")
        elif current:
            found.append(current)
            current = []
    return found + ([current] if current else [])


def compilable(lines):
    """An example as a compiler may see it."""
    done = []
    for line in lines:
        line = re.sub(r"^\s*\.\.\. .*", "", line).replace("{ ... }", "{}")
        done.append(re.sub(r"\.\.\.(\s*//.*)?$", "{}", line))
    return "\n".join(done) + "\n"


def headers(report, compiler, libraries, folder):
    programs = sorted((tree.ROOT / "tests" / "documented").glob("*.cpp"))
    bodies = "".join(p.read_text() for p in programs)
    known = set()
    for header in tree.headers():
        for n, lines in enumerate(examples_of(header), 1):
            name = f"examples/{header}/{n}"
            known.add(name)
            report.check(f'#include "{name}"' in bodies or f"// {name}: not code" in bodies,
                         f"no program in tests/documented uses {name}:\n" + "\n".join(lines))
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(compilable(lines))
    for name in re.findall(r"\bexamples/[\w/.]+\.hpp/\d+", bodies):
        report.check(name in known, f"tests/documented speaks of {name}, which does not exist")

    def build(program):
        copy = folder / program.name
        copy.write_text(program.read_text())
        return build_and_run(compiler, libraries, copy, folder)

    for program, (status, output) in tree.in_parallel(build, programs):
        report.check(status == 0, f"{program.name} failed ({status}):\n{output}")


def main():
    what, compiler, libraries = sys.argv[1], shlex.split(sys.argv[2]), sys.argv[3:]
    report = tree.Report(f"examples in {what}")
    with tempfile.TemporaryDirectory() as t:
        (markdown if what == "markdown" else headers)(report, compiler, libraries, pathlib.Path(t))
    report.close()


if __name__ == "__main__":
    main()
