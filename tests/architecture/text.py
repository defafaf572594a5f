# SPDX-License-Identifier: BSL-1.0
"""What can be read off the text: licence lines, guards, width, one version, a closed top level, no
trace of the machine it was written on."""

import re

import tree

TOP = {"include", "tests", "benchmarks", "examples", "meson.build", "README.md", "LICENSE",
       "meson_options.txt", ".ci", ".clang-format", ".clang-tidy", ".gitignore"}

CODE = (".hpp", ".cpp", ".py", ".sh", ".go", ".proto", "meson.build", "meson_options.txt", "/run")
SPDX = re.compile(r"(//|#|/\*) SPDX-License-Identifier: BSL-1\.0")

# Hosts that a file may name in a URL: this machine, reserved names and addresses, and the
# documents that we cite. A place to download from is the user's own affair.
HOSTS = re.compile(r"""^([\w-]+|[\d.]+|\[[^\]]*\]|([\w-]+\.)*example(\.\w+)?
    |([\w-]+\.)*(test|invalid|local|internal))$""", re.X | re.I)
CITED = {"www.boost.org", "www.w3.org", "boost.org", "github.com", "www.rfc-editor.org",
         "en.wikipedia.org",
         "jpa.kapsi.fi", "dl.acm.org", "www.usenix.org", "arxiv.org", "json-schema.org"}
URL = re.compile(r"https?://(\[[^\]\s]*\]|[A-Za-z0-9.-]+)")
MACHINE = re.compile(r"(?<![\w.$}])/(work|home|Users|mnt)/\w")

# Text from elsewhere, kept as it came.
FOREIGN = {"LICENSE"}


def guard(path):
    return re.sub(r"[^A-Za-z0-9]", "_", path).upper()


def check_lines(report, path, body):
    for n, line in enumerate(body.splitlines(), 1):
        where = f"{path}:{n}"
        table = re.match(r"\s*(///?|#|\|)\s*\|?.*\|$", line) and "|" in line
        url = "://" in line
        if not path.endswith((".md", ".pb.hpp", ".json", ".csv")):
            report.check(len(line) <= 100 or table or url, f"{where}: {len(line)} columns")
        report.check(line == line.rstrip() or path.endswith(".md"), f"{where}: trailing space")
        report.check("\t" not in line or path.endswith(".go"), f"{where}: tab")
        if path != "tests/architecture/text.py":
            report.check(not MACHINE.search(line), f"{where}: a path of one machine")
            report.check(not re.search(r"\b(TODO|FIXME|XXX)\b", line), f"{where}: unfinished")
        # Unit tests spell hosts in every way there is.
        for host in URL.findall(line) if not path.startswith("tests/unit/") else ():
            report.check(HOSTS.match(host) or host in CITED,
                         f"{where}: names the host {host} (see HOSTS and CITED in text.py)")


def main():
    report = tree.Report("text")
    names = tree.files()
    tops = {n.split("/")[0] for n in names}
    report.check(tops <= TOP, f"the top level is closed (DESIGN.md): {sorted(tops - TOP)}")
    for required in ("LICENSE", "meson.build", "include/kcache/version.hpp"):
        report.check(required in names, f"{required} is missing")
    for path in names:
        try:
            body = tree.text(path)
        except UnicodeDecodeError:
            continue
        if path in FOREIGN:
            continue
        check_lines(report, path, body)
        report.check(body.endswith("\n") or not body, f"{path}: no newline at the end")
        head = "\n".join(body.splitlines()[:3])
        if path.endswith(CODE):
            report.check(SPDX.search(head), f"{path}: no SPDX line at the top")
        if path.startswith("include/"):
            report.check(path.endswith((".hpp", ".proto", ".options", "/meson.build")),
                         f"{path}: include/ holds headers and .proto files only")
        if path.endswith(".hpp"):
            name = guard(path.removeprefix("include/"))
            if not path.startswith("include/"):
                name = "KCACHE_" + name
            lines = [x for x in body.splitlines() if not x.startswith("//")]
            report.check(lines[:2] == [f"#ifndef {name}", f"#define {name}"],
                         f"{path}: its guard is not {name}")
            report.check("/// \\file\n" in body, f"{path}: no \\file sentence")
    version = dict(re.findall(r"#define KCACHE_VERSION_(\w+) \"?([\d.]+)\"?",
                              tree.header_text("version.hpp")))
    report.check(version.get("STRING") == "{MAJOR}.{MINOR}.{PATCH}".format(**version),
                 f"version.hpp: {version} do not agree")
    if "README.md" in names:
        for said in re.findall(r"\bkcache v?(\d+\.\d+\.\d+)\b", tree.text("README.md")):
            report.check(said == version["STRING"], f"README.md speaks of kcache {said}, "
                                                    f"version.hpp of {version['STRING']}")
    report.close()


if __name__ == "__main__":
    main()
