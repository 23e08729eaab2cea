#!/usr/bin/env bash
# Compiler launcher of the precompiled headers: runs COMPILER ARGUMENT… and then writes beside the header (-o FILE) a
# checksum of what went into it, which is what ccache asks for under CCACHE_PCH_EXTSUM. The header itself names the folder
# it was built in: it is never taken from the cache, and by its own checksum no other build folder would find the objects
# that were made with it.
set -euo pipefail
"$@"
[[ " $* " == *" -emit-pch "* ]] || exit 0
preprocess=("$1" -E -P)
shift
header=
while (($#)); do
  case $1 in
    -o) header=$2 && shift ;;
    -MF | -MT) shift ;;
    -MD) ;;
    -Xclang) [[ $2 == -emit-pch ]] || preprocess+=("$1" "$2"); shift ;;
    *) preprocess+=("$1") ;;
  esac
  shift
done
sum=$("${preprocess[@]}" | sha256sum)
printf '%s\n' "${sum%% *}" >"$header.sum"
