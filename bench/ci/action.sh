#!/usr/bin/env bash
# What action.yml runs: installs this project as the action was checked out, then `bench gate` in the
# working directory. Inputs come as variables, and outputs go to the file that GitHub names.
#
# Python is isolated (-I): the folder that is judged may be a stranger's, and none of its modules is
# imported. BENCH_PYTHON names a Python that has this project already; then nothing is installed.
set -euo pipefail

python=${BENCH_PYTHON:-}
if [ -z "$python" ]; then
  environment=$RUNNER_TEMP/drilldown-gate
  python -I -m venv "$environment"
  python=$environment/bin/python
  [ -x "$python" ] || python=$environment/Scripts/python.exe
  # the constraints hold for the build as well
  PIP_CONSTRAINT=$GITHUB_ACTION_PATH/constraints.txt "$python" -I -m pip install --quiet \
    --disable-pip-version-check --no-warn-script-location "$GITHUB_ACTION_PATH"
fi

arguments=()
add() {
  if [ -n "$2" ]; then
    arguments+=("$1" "$2")
  fi
}
add --ledger "${INPUT_LEDGER:-}"
add --challenge "${INPUT_CHALLENGE:-}"
add --recipe "${INPUT_RECIPE:-}"
add --against "${INPUT_AGAINST:-}"
if [ -n "${INPUT_AGAINST:-}" ]; then
  # on a push there may be nothing to compare with, and then no margin to compare by
  add --margin "${INPUT_MARGIN:-}"
  add --baseline "${INPUT_BASELINE:-}"
fi
add --junit "${INPUT_JUNIT:-}"
add --json "${INPUT_JSON:-}"
add --badge "${INPUT_BADGE:-}"
read -r -d '' -a iterations <<<"${INPUT_ITERATIONS:-}" || true

code=0
"$python" -I -m bench gate ${arguments[@]+"${arguments[@]}"} -- \
  ${iterations[@]+"${iterations[@]}"} || code=$?

case $code in
  0) verdict=HOLDS ;;
  1) verdict=FAILS ;;
  3) verdict=UNDECIDED ;;
  *) verdict=ERROR ;;
esac

# An output is a line: what a path has after its first line is cut off.
tell() {
  printf '%s=%s\n' "$1" "${2%%$'\n'*}" >>"$GITHUB_OUTPUT"
}
tell_file() {
  if [ -n "$2" ] && [ -f "$2" ]; then
    tell "$1" "$2"
  else
    tell "$1" ""
  fi
}
tell verdict "$verdict"
tell exit-code "$code"
tell_file junit "${INPUT_JUNIT:-}"
tell_file json "${INPUT_JSON:-}"
tell_file badge "${INPUT_BADGE:-}"
exit "$code"
