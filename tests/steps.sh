# For scripts that run many things: steps with a name and a time, and a table of the times at the end. To be sourced, by a
# script with `set -e`; it uses the EXIT trap.
#   step NAME COMMAND...   runs a command, whose output is seen as it comes. A step that fails ends the script.
#   lanes FUNCTION...      runs functions that are rows of steps at the same time. The output of a step is then kept and
#                          printed whole when it ends. All rows go to their end, or to their first step that fails; the
#                          script ends if there is one.
step_folder=$(mktemp -d)
step_lane=
step_name=
step_begin=0

step() {
  step_name=$1
  step_begin=$SECONDS
  shift
  if [ -n "$step_lane" ]; then
    "$@" >"$step_folder/$step_lane.log" 2>&1
    step_print passed
  else
    printf '\n== %s\n' "$step_name"
    "$@"
  fi
  step_note passed
  step_name=
}

step_note() { printf '%6d s  %-7s %s\n' $((SECONDS - step_begin)) "$1" "$step_name" >>"$step_folder/times"; }

# What a lane's step has said; one lane at a time.
step_print() {
  {
    flock 9
    printf '\n== %s (%d s, %s)\n' "$step_name" $((SECONDS - step_begin)) "$1"
    cat "$step_folder/$step_lane.log"
  } 9>"$step_folder/lock"
}

step_lane_ends() {
  local status=$?
  if [ -n "$step_name" ]; then
    step_print FAILED
    step_note FAILED
  fi
  exit "$status"
}

lanes() {
  local function failed=0 pids=()
  for function in "$@"; do
    (
      step_lane=$function
      trap step_lane_ends EXIT
      "$function"
    ) &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return "$failed"
}

step_table() {
  local status=$?
  [ -z "$step_name" ] || step_note FAILED
  printf '\n== times\n'
  cat "$step_folder/times" 2>/dev/null
  printf '%6d s  %s\n' "$SECONDS" "in all, on $(nproc) processors"
  rm -rf "$step_folder"
  exit "$status"
}
trap step_table EXIT
