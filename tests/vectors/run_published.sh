#!/bin/sh
# usage: run_published.sh CHECKER; checks every .json file under $KEYSTEAD_VECTORS_DIR.
# Exit code 77 (skipped) when the variable is unset, 1 when it is unset under CI=true or a file fails.
set -eu
checker=$1
if [ -z "${KEYSTEAD_VECTORS_DIR:-}" ]; then
  echo "KEYSTEAD_VECTORS_DIR is unset: published test vectors are not checked"
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi
if [ -z "$(find "$KEYSTEAD_VECTORS_DIR" -type f -name '*.json' -print -quit)" ]; then
  echo "no .json file under $KEYSTEAD_VECTORS_DIR"
  exit 1
fi
find "$KEYSTEAD_VECTORS_DIR" -type f -name '*.json' -print0 | sort -z | xargs -0 "$checker"
