# A job of ./dev, which reads this file: the power is cut, and what is left is looked at. Each run has other
# images; the seed that it prints repeats them.

# powercut [IMAGES] [--seed N] [--scenario S]…: every scenario gets its share of the images, and as many of
# them as there are different ones.
powercut() {
  local images=1000000 seed=$((RANDOM * 32768 + RANDOM)) scenarios=() wanted=() scenario report
  while (($# > 0)); do
    case $1 in
      --seed) seed=${2:?} && shift ;;
      --scenario) wanted+=("${2:?}") && shift ;;
      *[!0-9]* | "") fail "powercut [IMAGES] [--seed N] [--scenario S], not \"$1\"" ;;
      *) images=$1 ;;
    esac
    shift
  done
  need build test bench
  configure release -DINSTAR_BUILD_TESTS=ON -DINSTAR_BUILD_BENCHMARKS=ON
  cmake --build --preset release -j "$jobs" --target instar_powercut
  mapfile -t scenarios < <(build/release/bin/instar_powercut_scenarios --list | grep -v '_with_fault$')
  if ((${#wanted[@]} > 0)); then scenarios=("${wanted[@]}"); fi
  report=build/release/powercut.txt
  for scenario in "${scenarios[@]}"; do
    build/release/bin/instar_powercut --scenario "$scenario" --seed "$seed" --jobs "$jobs" \
      --images $(((images + ${#scenarios[@]} - 1) / ${#scenarios[@]})) --recordings build/release/powercut-failures ||
      echo "FAILED: $scenario"
  done 2>&1 | tee "$report"
  awk '/ images of /{for (i = 2; i <= NF; ++i) if ($i == "images") images += $(i - 1)}
       /^FAILED: /{++failed}
       END {printf "\n%d images, %d scenarios failed\n", images, failed; exit failed != 0 || images == 0}' "$report"
}
