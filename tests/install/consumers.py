# SPDX-License-Identifier: BSL-1.0
"""Someone else's project builds against an installed kcache: through pkg-config, through CMake, and
with kcache as a Meson subproject. Nothing but headers, .proto and .pc files is installed.

    consumers.py (core|cluster) (pkg-config|cmake|meson)
"""

import os
import pathlib
import shlex
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "architecture"))
import tree  # noqa: E402

OFF = ["-Dtests=disabled", "-Dexamples=disabled", "-Dbenchmarks=disabled"]


def do(*command, **options):
    status, output = tree.run(command, **options)
    print("$", " ".join(map(str, command)))
    if status != 0:
        print(output)
        sys.exit(1)
    return output


def install(folder):
    prefix = folder / "prefix"
    do("meson", "setup", folder / "build", tree.ROOT, f"--prefix={prefix}", "--libdir=lib", *OFF)
    do("meson", "install", "-C", folder / "build", "--no-rebuild")
    strange = [p.relative_to(prefix).as_posix() for p in prefix.rglob("*") if p.is_file()
               and p.suffix not in (".hpp", ".proto") and p.parent.name != "pkgconfig"]
    installed = {p.relative_to(prefix / "include" / "kcache").as_posix()
                 for p in prefix.rglob("*.hpp")}
    missing = sorted(set(tree.headers()) - installed)
    if strange or missing:
        print(f"FAIL installed, but not a header: {strange}; not installed: {missing}")
        sys.exit(1)
    return prefix


def main():
    which, how = sys.argv[1:]
    source = HERE / f"{which}.cpp"
    package = {"core": "kcache", "cluster": "kcache-cluster"}[which]
    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        program = folder / "consumer"
        environment = dict(os.environ)
        if how != "meson":
            prefix = install(folder)
            environment["PKG_CONFIG_PATH"] = str(prefix / "lib" / "pkgconfig")
        if how == "pkg-config":
            flags = do("pkg-config", "--cflags", "--libs", package, env=environment)
            compiler = shlex.split(os.environ.get("CXX", "c++"))
            do(*compiler, *tree.STRICT, source, *shlex.split(flags), "-o", program)
            version = do("pkg-config", "--modversion", package, env=environment).strip()
            print(f"{package} {version}")
        elif how == "cmake":
            for name in ("CMakeLists.txt", source.name):
                shutil.copy(HERE / name, folder)
            do("cmake", "-G", "Ninja", "-S", folder, "-B", folder / "cmake", f"-DWHICH={which}",
               f"-DPACKAGE={package}", env=environment)
            do("cmake", "--build", folder / "cmake", env=environment)
            program = folder / "cmake" / "consumer"
        else:
            project = folder / "project"
            (project / "subprojects").mkdir(parents=True)
            for name in ("meson.build", "meson_options.txt"):
                shutil.copy(HERE / "subproject" / name, project)
            shutil.copy(source, project / "consumer.cpp")
            copy = project / "subprojects" / "kcache"
            for name in tree.files():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(tree.ROOT / name, copy / name)
            do("meson", "setup", folder / "meson", project, f"-Dpackage={package}",
               f"--prefix={folder / 'prefix'}")
            do("meson", "compile", "-C", folder / "meson")
            built = [x for x in do("ninja", "-C", folder / "meson", "-t", "targets", "all")
                     .splitlines() if "unit_" in x or "test_main" in x]
            do("meson", "install", "-C", folder / "meson", "--no-rebuild")
            installed = list((folder / "prefix").rglob("*.hpp"))
            if built or installed:
                print(f"FAIL as a subproject it builds {built[:3]} and installs {installed[:3]}")
                sys.exit(1)
            program = folder / "meson" / "consumer"
        print(do(program, timeout=30), end="")


if __name__ == "__main__":
    main()
