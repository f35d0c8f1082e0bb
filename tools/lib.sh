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
