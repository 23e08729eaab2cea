#!/usr/bin/env bash
# build_preset of scripts/lib/setup.sh on a project of two targets: who builds twice does not wait for itself, and who
# would replace a program waits for the one that runs it. Needs CMake and Ninja.
set -euo pipefail
setup=$1
unset KEYSTEAD_SUITE  # the scripts are tried as outside of the suite that runs this
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/scripts/lib"
cp "$setup" "$scratch/scripts/lib/setup.sh"
cat >"$scratch/CMakeLists.txt" <<'TEXT'
cmake_minimum_required(VERSION 3.25)
project(two NONE)
add_custom_command(OUTPUT first COMMAND ${CMAKE_COMMAND} -E touch first)
add_custom_command(OUTPUT second DEPENDS ${CMAKE_SOURCE_DIR}/source COMMAND ${CMAKE_COMMAND} -E touch second)
add_custom_target(one DEPENDS first)
add_custom_target(two DEPENDS second)
TEXT
cat >"$scratch/CMakePresets.json" <<'TEXT'
{"version": 6, "configurePresets": [{"name": "p", "generator": "Ninja", "binaryDir": "${sourceDir}/build/p"}]}
TEXT
touch "$scratch/source"
export scratch

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
run() {  # SCRIPT: with setup.sh sourced, at most a minute
  timeout 60 bash -euo pipefail -c "source \"\$scratch/scripts/lib/setup.sh\"; $1"
}

# shellcheck disable=SC2016  # what `run` is given expands in the shell that it starts
run 'build_preset p one; build_preset p two; build_preset p two' || fail "a script that builds twice did not end"
[[ -f $scratch/build/p/first && -f $scratch/build/p/second ]] || fail "not both targets were built"

# The first run holds what it built until told to go on; the second has something to build, and so must wait for it.
mkfifo "$scratch/go" "$scratch/says"
# shellcheck disable=SC2016
run 'build_preset p two >&2; echo holds >"$scratch/says"; read -r _ <"$scratch/go"; echo done' >"$scratch/first.out" &
first=$!
read -r _ <"$scratch/says"
run 'build_preset p one two' | grep -q 'nothing to build' || fail "a second run may share what is up to date"
touch "$scratch/source"
# shellcheck disable=SC2016
exec {said}< <(run 'build_preset p two; [[ $(<"$scratch/first.out") == done ]]')
second=$!
grep -q 'waiting for it before building' <&"$said" || fail "the second run did not wait"
# A test inside a suite would wait for the suite, which waits for it.
if KEYSTEAD_SUITE=1 run 'build_preset p two' 2>"$scratch/suite.err"; then fail "a test built what its suite holds"; fi
grep -q 'changed while the suite runs' "$scratch/suite.err" || fail "it does not say why"
echo go >"$scratch/go"
wait "$first" || fail "the first run failed"
wait "$second" || fail "the second run built under the first one's feet"

# A rule that always runs would make every later run wait for every earlier one.
# shellcheck disable=SC2016  # CMake's variable
printf 'add_custom_target(always COMMAND ${CMAKE_COMMAND} -E true)\n' >>"$scratch/CMakeLists.txt"
touch "$scratch/CMakePresets.json"
if run 'build_preset p always' 2>"$scratch/always.err"; then fail "a rule that always runs passed unseen"; fi
grep -q 'a rule always runs' "$scratch/always.err" || fail "it does not say that a rule always runs"
echo passed
