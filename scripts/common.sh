# Sourced by the other scripts: the repository's root, the cache folder, what is said and how.
set -euo pipefail
SLUICE_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$SLUICE_ROOT"

# Where Arrow, DuckDB and test servers are kept, for every clone of this user. Root's lies outside root's home: test
# servers run as another user, who could not read it there. cmake/SluiceDependencies.cmake says the same.
if [[ -z "${SLUICE_CACHE:-}" ]]; then
  if [[ "$(id -u)" == 0 ]]; then SLUICE_CACHE=/var/cache/sluice; else SLUICE_CACHE="$HOME/.cache/sluice"; fi
fi
export SLUICE_CACHE

# One compilation serves every clone: paths below the root count as relative.
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR="$SLUICE_ROOT"
JOBS="${JOBS:-$(nproc)}"

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# configure PRESET [CMAKE ARGUMENTS]: configures build/PRESET, through ccache where it is there.
configure() {
  local preset="$1"; shift
  local launcher=()
  if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake --preset "$preset" -DSLUICE_CACHE_DIR="$SLUICE_CACHE" "${launcher[@]}" "$@" >"/tmp/sluice-configure.$$" 2>&1 ||
    { cat "/tmp/sluice-configure.$$" >&2; rm -f "/tmp/sluice-configure.$$"; fail "cmake could not configure the preset $preset"; }
  rm -f "/tmp/sluice-configure.$$"
}

build() {
  local preset="$1"; shift
  configure "$preset"
  cmake --build --preset "$preset" -j "$JOBS" "$@"
}
