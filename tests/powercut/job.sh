# A job of ./dev, which reads this file: the power is cut, and what is left is looked at. Each run has other
# images; the seed that it prints repeats them.

# powercut [IMAGES] [--seed N] [--scenario S]…: every scenario gets its share of the images; where it has no
# more different ones the others get what is left of it.
powercut() {
  local images=1000000 seed=$((RANDOM * 32768 + RANDOM)) scenarios=() wanted=() report
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
  say "the seed is $seed"
  build/release/bin/instar_powercut "${scenarios[@]/#/--scenario=}" --seed "$seed" --jobs "$jobs" --images "$images" \
    --recordings build/release/powercut-failures 2>&1 | tee "$report"
}
