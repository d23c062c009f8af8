# A job of ./dev, which reads this file: calls and allocations that fail. The pairs of each run are others;
# what it prints repeats them.

# faults [--all] [--seed N] [--pairs N]
faults() {
  local -x INSTAR_FAULTS=${INSTAR_FAULTS:-} INSTAR_FAULTS_PAIRS=${INSTAR_FAULTS_PAIRS:-1000}
  local -x INSTAR_FAULTS_SEED=${INSTAR_FAULTS_SEED:-$((RANDOM * 32768 + RANDOM))}
  while (($# > 0)); do
    case $1 in
      --all) INSTAR_FAULTS=all ;;
      --seed) INSTAR_FAULTS_SEED=${2:?--seed needs a number}; shift ;;
      --pairs) INSTAR_FAULTS_PAIRS=${2:?--pairs needs a number}; shift ;;
      *) fail "faults: --all, --seed N, --pairs N" ;;
    esac
    shift
  done
  need build test
  say "pairs by the seed $INSTAR_FAULTS_SEED"
  suite release "faults" instar_fault_tests -R '^faults\.' --timeout 86400
  summarize
}
