# SPDX-License-Identifier: Apache-2.0
# What the scripts of this folder share. Sourced, never run.
# shellcheck shell=bash

tools_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(dirname "$tools_dir")
cache_dir=${JETD_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/jetd}
export source_dir cache_dir

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# For a command line that is wrong: like fail, with the exit status that jetd and jetctl have then.
misused() {
  say "$*"
  exit 2
}

# answer_help "$@": where help is asked for, prints the comment at the head of the script, and ends
# it. For scripts to call before they do anything.
answer_help() {
  case " $* " in *" -h "* | *" --help "*) ;; *) return 0 ;; esac
  awk 'NR > 2 { if (!sub(/^# ?/, "")) exit; print }' "$0"
  exit 0
}

# run_quietly WHAT COMMAND...: nothing on success; on failure the end of the output and one line
# that says what failed.
run_quietly() {
  local what=$1 log
  shift
  mkdir -p "$cache_dir/log"
  log=$(mktemp "$cache_dir/log/$(basename "$0").XXXXXX")
  if "$@" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
    return 0
  fi
  tail -n 40 "$log" >&2
  fail "$what failed; the whole output is in $log"
}

# build_release TARGETS...: builds them without debugging in $JETD_BENCH_BUILD, or in build/release,
# and leaves that folder in release_build.
build_release() {
  release_build=${JETD_BENCH_BUILD:-$source_dir/build/release}
  [ -f "$release_build/build.ninja" ] ||
    run_quietly "configuring" cmake -S "$source_dir" --preset release -B "$release_build"
  say "building (release)"
  run_quietly "the build" cmake --build "$release_build" --target "$@" --parallel "$(nproc)"
}

# The address that this machine's own apt uses for Debian's main archive.
debian_mirror() {
  local codename mirror filter
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  for filter in "Release: $codename" "Label: Debian"; do
    # shellcheck disable=SC2016  # $(REPO_URI) is apt's own placeholder
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' \
      "$filter" | head -n 1)
    if [ -n "$mirror" ]; then
      printf '%s\n' "$mirror"
      return 0
    fi
  done
  fail "this machine's apt names no Debian mirror; add one to its sources and run again"
}

# newest_jetd: the jetd that was built last, of release and dev, in this tree.
newest_jetd() {
  local program newest=
  for program in "$source_dir"/build/{release,dev}/etcdapi/jetd; do
    if [ -x "$program" ] && { [ -z "$newest" ] || [ "$program" -nt "$newest" ]; }; then
      newest=$program
    fi
  done
  [ -n "$newest" ] || fail "no jetd is in $source_dir/build: build it, or name one by --server"
  say "the newest build is $newest"
  printf '%s\n' "$newest"
}

# private_apt FOLDER deb|deb-src SUITE: reads a suite's lists into a folder, the system's apt
# untouched. Afterwards `apt_options` makes apt-get and apt-cache work there.
private_apt() {
  local folder=$1 type=$2 suite=$3 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -r "$keyring" ] || fail "$keyring is not there; install debian-archive-keyring"
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/parts"
  printf '%s [signed-by=%s] %s %s main\n' "$type" "$keyring" "$(debian_mirror)" "$suite" \
    >"$folder/sources.list"
  : >"$folder/status"
  # Root's downloads usually run as user _apt, which cannot read a private cache.
  apt_options=(
    -o "Dir::State::Lists=$folder/lists" -o "Dir::State::status=$folder/status"
    -o "Dir::Cache=$folder/cache" -o "Dir::Etc::sourcelist=$folder/sources.list"
    -o "Dir::Etc::sourceparts=$folder/parts" -o "Dir::Etc::preferencesparts=$folder/parts"
    -o "APT::Sandbox::User=$(id -un)" -o "Acquire::Languages=none" -o "Acquire::Retries=3"
  )
  run_quietly "reading the package lists of Debian $suite" apt-get "${apt_options[@]}" -q update
}

# list_sources FOLDER PATTERN...: the source files of a tree, paths from FOLDER, NUL-separated: what
# git knows or would add; without git (a tarball, a test's folder) every file outside build folders.
list_sources() {
  local folder=$1 pattern names=()
  shift
  if [ "$(git -C "$folder" rev-parse --show-prefix 2>/dev/null || echo none)" = "" ]; then
    # A file that was removed but not yet committed is still in the index.
    (cd "$folder" && git ls-files -z -co --exclude-standard -- "$@" |
      while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done)
    return
  fi
  for pattern in "$@"; do names+=(-o -name "$pattern"); done
  (cd "$folder" && find . -name 'build*' -prune -o -type f \( -false "${names[@]}" \) \
    -printf '%P\0')
}

# need_chroot_tools: root and mmdebstrap, which is installed if it is not there.
need_chroot_tools() {
  [ "$(id -u)" = 0 ] || fail "needs root, for the chroot"
  command -v mmdebstrap >/dev/null && return 0
  say "installing mmdebstrap"
  run_quietly "apt-get update" apt-get -q update
  run_quietly "apt-get install mmdebstrap" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends mmdebstrap
}

# make_debian RELEASE FOLDER [OPTION...]: a minimal Debian system in a folder.
make_debian() {
  local release=$1 folder=$2
  shift 2
  rm -rf "$folder"
  mkdir -p "$(dirname "$folder")"
  run_quietly "mmdebstrap" mmdebstrap --mode=root --variant=apt "$@" \
    --aptopt='Acquire::Retries "3"' --aptopt='APT::Sandbox::User "root"' \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    "$release" "$folder" "$(debian_mirror)"
  cp /etc/resolv.conf /etc/hosts "$folder/etc/"
  # How this machine reaches its mirror (proxy, an archive whose lists are frozen) holds there too.
  apt-config dump | grep -E '^Acquire::(http|https|Check-[A-Za-z-]+)[: ]' \
    >"$folder/etc/apt/apt.conf.d/90-from-host" || true
}

# need_debian13 FOLDER: a Debian 13 system in a folder with all that building and testing needs,
# made anew when that has changed.
need_debian13() {
  local folder=$1 packages
  # Packages for all releases, and those for trixie only.
  packages=$(awk '!/^#/ && NF && ($3 == "" || $3 == "trixie") {printf "%s%s", sep, $2; sep = ","}' \
    "$tools_dir/packages")
  [ "$(cat "$folder.packages" 2>/dev/null || true)" != "$packages" ] || return 0
  say "making a Debian 13 system (once, a few minutes)"
  rm -f "$folder.packages"
  make_debian trixie "$folder" --include="$packages"
  printf '%s\n' "$packages" >"$folder.packages"
}

# copy_tree FOLDER: the source tree as it is now, with what git would add, and nothing built.
copy_tree() {
  rm -rf "$1"
  mkdir -p "$1"
  (cd "$source_dir" && list_sources . '*' | tar --null -T - -cf -) | tar -C "$1" -xf -
}

# in_chroot ROOT SHARED SCRIPT [ARGUMENT...]: runs a bash script in a system in a folder. SHARED, a
# folder or nothing, is seen there under the same path. The mounts are in a namespace of their own,
# so that nothing stays mounted however this ends.
in_chroot() {
  # shellcheck disable=SC2016  # expanded by the inner shells
  unshare --mount --fork bash -eu -c '
    root=$1 shared=$2
    shift 2
    if [ -n "$shared" ]; then
      mkdir -p "$root$shared"
      mount --bind "$shared" "$root$shared"
    fi
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      HOME=/home LC_ALL=C.UTF-8 JETD_CACHE="${shared%/prefix}" bash -eu -c "$@"
  ' in-chroot "$@"
}
