# shellcheck shell=bash
# Sourced by the scripts: installs what is missing, configures and builds. Works from any directory; two runs side by
# side wait for each other where they must. Sets `root`, `programs` and `scenario_programs`; defines say, die, install_packages GROUP… and
# build_preset PRESET [TARGET…].

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
logs=$root/build/logs
mkdir -p "$logs"

say() { printf '== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# What the demonstration runs.
# shellcheck disable=SC2034
programs=(keystead-backend keystead-gateway keystead-device-sim keystead-mobile-stub keystead-infra-sim keystead-issue
  keystead-admin keystead-storage-crash keystead-health-probe)
# What the scenarios run besides.
# shellcheck disable=SC2034
scenario_programs=("${programs[@]}" keystead-hostile-host keystead-hostile-tenant keystead-stolen-keys keystead-load keystead-revoke)

# Read by name in install_packages.
# shellcheck disable=SC2034
{
  # build: to configure and build everything. test: what the tests call. all: the long runs of `scripts/test --all`.
  # bench: what scripts/bench compares with.
  packages_build=(clang-19 cmake ninja-build ccache mold pkg-config libgrpc++-dev libgrpc-dev protobuf-compiler
    protobuf-compiler-grpc libprotobuf-dev libabsl-dev libssl-dev openssl librocksdb-dev libgtest-dev libgmock-dev
    libcli11-dev libjemalloc-dev nlohmann-json3-dev libspdlog-dev libqrencode-dev libpng-dev libp11-kit-dev libcpp-httplib-dev prometheus-cpp-dev python3 procps util-linux ca-certificates)
  packages_test=(git curl jq iproute2 python3-yaml softhsm2 zbar-tools libclang-rt-19-dev shellcheck clang-tidy-19 clang-format binutils prometheus)
  # What a machine may have from elsewhere, as command:package, for the test of the page in a browser.
  commands_test=(node:nodejs npm:npm chromium:chromium)
  packages_all=(g++ libclang-rt-19-dev llvm-19)
  packages_bench=(mosquitto libmosquitto-dev nats-server libnats-dev)
}

# Shows a long command's output as one line every few seconds; the whole of it goes into the log file named first.
# On failure prints the part that failed and returns the command's exit code.
run_logged() {
  local log=$1 code=0
  shift
  printf '$ %s\n' "$*" >>"$log"
  "$@" 2>&1 | tee -a "$log" | show_progress || code=${PIPESTATUS[0]}
  if ((code != 0)); then
    printf '\n---- failed (exit code %d): %s\n' "$code" "$*"
    # From the first failed build step or error on; without one, the end of the log.
    awk -v max=80 '/^(FAILED: |CMake Error|E: )|(fatal )?error: / { on = 1 } on && n < max { print; ++n }' "$log"
    grep -Eq '^(FAILED: |CMake Error|E: )|error: ' "$log" || tail -n 40 "$log"
    printf -- '---- whole log: %s\n' "$log"
  fi
  return "$code"
}

show_progress() {
  local line last='' shown='' next=$SECONDS
  while true; do
    if IFS= read -r -t 5 line; then
      last=$line
    elif (($? <= 128)); then
      break  # end of input; beyond 128 it was the five seconds that ran out
    fi
    if ((SECONDS >= next)); then
      if [[ $last != "$shown" ]]; then
        printf '   %s\n' "${last:0:150}"
      else
        printf '   … %s\n' "${last:0:146}"
      fi
      shown=$last
      next=$((SECONDS + 5))
    fi
  done
  if [[ $last != "$shown" ]]; then printf '   %s\n' "${last:0:150}"; fi
}

missing_packages() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || printf '%s\n' "$package"
  done
}

missing_commands() {
  local pair
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || printf '%s\n' "${pair#*:}"
  done
}

install_packages() {
  local group wanted=() missing as_root=() lock log
  for group in "$@"; do
    local -n list=packages_$group
    wanted+=("${list[@]}")
    [[ $group != test ]] || mapfile -t -O "${#wanted[@]}" wanted < <(missing_commands "${commands_test[@]}")
  done
  command -v dpkg-query >/dev/null || die "this needs Debian 12: dpkg-query is not there"
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  ((${#missing[@]})) || return 0

  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "as root, run: apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
  fi
  # One installation at a time. The kernel drops the lock when this shell ends, however it ends.
  exec {lock}>"${TMPDIR:-/tmp}/keystead-install-$EUID.lock"
  if ! flock -n "$lock"; then
    say "another run is installing packages: waiting for it"
    flock "$lock"
    mapfile -t missing < <(missing_packages "${wanted[@]}")
  fi
  if ((${#missing[@]})); then
    log=$logs/install-$(date +%Y%m%dT%H%M%S)-$$.log
    say "installing ${#missing[@]} Debian packages: ${missing[*]}"
    run_logged "$log" "${as_root[@]}" apt-get update || die "apt-get update failed"
    run_logged "$log" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "${missing[@]}" || die "apt-get install failed"
  fi
  exec {lock}>&-
}

# Builds TARGET… (default: everything) of PRESET in build/PRESET. Who builds has the folder alone; who only runs what
# is built there shares it, and that share is kept until the calling script ends, so that a second run never replaces
# a program under the first one's feet. One lock a preset and script, however often it builds: a second one of our own
# would wait for the first for ever.
declare -A preset_lock=()
build_preset() {
  local preset=$1 dir=$root/build/$1 lock log
  shift
  local targets=("$@")
  ((${#targets[@]})) || targets=(all)
  mkdir -p "$dir"
  if [[ -z ${preset_lock[$preset]:-} ]]; then
    exec {lock}>>"$dir/.lock"
    preset_lock[$preset]=$lock
  fi
  lock=${preset_lock[$preset]}
  flock -s -n "$lock" || {
    say "another run is building $preset: waiting for it"
    flock -s "$lock"
  }
  if up_to_date "$dir" "${targets[@]}"; then
    say "$preset: nothing to build"
    return 0
  fi
  # A suite holds the folder until its last test ends: a test of it that would build waits for itself.
  if [[ -n ${KEYSTEAD_SUITE:-} ]]; then
    printf 'error: %s is no longer up to date: its sources changed while the suite runs; run it again\n' "$preset" >&2
    return 1
  fi
  flock -u "$lock"
  flock -n "$lock" || {
    say "another run uses build/$preset: waiting for it before building"
    flock "$lock"
  }
  log=$logs/build-$preset-$(date +%Y%m%dT%H%M%S)-$$.log
  if ! configured "$dir"; then
    say "$preset: configuring"
    (cd "$root" && run_logged "$log" cmake --preset "$preset" --fresh) || return 1
  fi
  say "$preset: building ${targets[*]}"
  (cd "$root" && run_logged "$log" cmake --build "$dir" --target "${targets[@]}") || return 1
  flock -s "$lock"
  up_to_date "$dir" "${targets[@]}" || {
    printf 'error: %s is built and yet not up to date: its sources changed meanwhile, or a rule always runs\n' "$preset" >&2
    return 1
  }
}

# A folder that an earlier form of the presets configured, perhaps with another compiler, starts afresh.
configured() { [[ -f $1/build.ninja && ! $root/CMakePresets.json -nt $1/build.ninja ]]; }

up_to_date() {
  local dir=$1
  shift
  configured "$dir" && ninja -C "$dir" -n "$@" 2>/dev/null | grep -q 'no work to do'
}

# Logs of the latest runs are kept, older ones go.
find "$logs" -maxdepth 1 -name '*.log' -mtime +7 -delete 2>/dev/null || true
