# SPDX-License-Identifier: BSL-1.0
# shellcheck shell=bash
# What tests/run and examples/cluster/run share: packages, the lock, configuring and building.
# Sourced, by a script that has set `root` to the top of the tree and uses `set -euo pipefail`.

build="$root/build"
lists_are_new=

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() {
  say "$*"
  exit 1
}

# package  how to see that it is not needed: a command, or a file (a pattern)
# What a build of the cluster and its examples takes.
packages_build='
  g++                  g++
  meson                meson
  ninja-build          ninja
  pkg-config           pkg-config
  python3              python3
  libboost1.81-dev     boost
  libnanopb-dev        /usr/include/pb_decode.h
  libsqlite3-dev       /usr/include/sqlite3.h
  libcli11-dev         /usr/include/CLI/CLI.hpp
  curl                 curl
  procps               ps
'
# What the tests take besides.
packages_tests='
  catch2               /usr/include/catch2/catch*.hpp
  clang-16             clang++-16
  libclang-rt-16-dev   /usr/lib/llvm-16/lib/clang/16*/lib/linux/libclang_rt.asan-*.a
  nanopb               protoc-gen-nanopb
  cmake                cmake
  iproute2             ip
'
# What tests skip loudly without.
packages_optional='
  golang-go            go
  golang-github-golang-groupcache-dev /usr/share/gocode/src/github.com/golang/groupcache/*.go
  golang-goprotobuf-dev /usr/share/gocode/src/github.com/golang/protobuf/proto/*.go
'

# have PROBE: is it here already?
have() {
  case $1 in
    boost) # 1.81 or newer
      [[ $(sed -n 's/^#define BOOST_VERSION //p' /usr/include/boost/version.hpp 2>/dev/null) \
        -ge 108100 ]]
      ;;
    /*) compgen -G "$1" >/dev/null ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

# install_missing TABLE...: installs what is missing with apt, as root or through sudo that asks
# nothing; else names the packages, and returns 1.
install_missing() {
  local package probe table as_root=()
  local -a missing=()
  for table in "$@"; do
    while read -r package probe; do
      [[ -z $package ]] || have "$probe" || missing+=("$package")
    done <<<"$table"
  done
  ((${#missing[@]})) || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    say "missing, by their names on Debian 12: ${missing[*]}"
    return 1
  fi
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      say "missing packages, and neither root nor sudo without a password to install them:"
      say "  apt-get install ${missing[*]}"
      return 1
    fi
    as_root=(sudo -n)
  fi
  say "installing: ${missing[*]}"
  local log="$build/packages.log" apt
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Acquire::Retries=3
    -o DPkg::Lock::Timeout=300)
  mkdir -p "$build"
  if ! {
    { [[ $lists_are_new ]] || "${apt[@]}" update; } &&
      "${apt[@]}" install --no-install-recommends --no-remove "${missing[@]}"
  } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    say "could not install: ${missing[*]} (the whole log: $log)"
    return 1
  fi
  lists_are_new=yes
}

# lock: two runs do not build in one folder; released by unlock, or when the script ends. What is
# started in between gets `9>&-`, so that nothing left behind holds the lock.
lock() {
  mkdir -p "$build"
  exec 9>"$build/.lock"
  flock -n 9 && return
  say "waiting for another run in this tree ($build/.lock)"
  flock -w 3600 9 || fail "another run has held $build/.lock for an hour"
}
unlock() { exec 9>&-; }

# configure FOLDER COMPILER OPTION...: sets a build folder up, or gives it these options.
configure() {
  local folder=$1 compiler=$2 again=()
  shift 2
  [[ ! -e $folder/meson-private/coredata.dat ]] || again=(--reconfigure)
  mkdir -p "$folder"
  env -u CXXFLAGS -u CPPFLAGS -u LDFLAGS CXX="$compiler" \
    meson setup "${again[@]}" "$folder" "$root" "$@" >"$folder/setup.log" 2>&1 9>&- && return
  tail -n 30 "$folder/setup.log" >&2
  say "meson could not set up $folder (if an older build is in the way, remove it)"
  return 1
}

# make FOLDER [TARGET...]: as many jobs as processors, or $jobs; as much as can be built.
make() {
  local folder=$1
  shift
  ninja -C "$folder" -k 0 -j "${jobs:-$(nproc)}" "$@" 9>&-
}
