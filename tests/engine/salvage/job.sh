# A job of ./dev, which reads this file: files that are damaged, by seeds that count up. Each run has others; the
# seed that it prints repeats them.

# damage [FILES] [--seed N]: as many of each kind.
damage() {
  local files=1000000 seed=$((RANDOM * 32768 + RANDOM)) program=build/release/bin/instar_salvage_tests report kinds
  while (($# > 0)); do
    case $1 in
      --seed) seed=${2:?--seed needs a number} && shift ;;
      *[!0-9]* | "") fail "damage [FILES] [--seed N], not \"$1\"" ;;
      *) files=$1 ;;
    esac
    shift
  done
  need build test
  configure release -DINSTAR_BUILD_TESTS=ON -DINSTAR_BUILD_BENCHMARKS=OFF
  cmake --build --preset release -j "$jobs" --target instar_salvage_tests
  report=build/release/damage.txt
  mapfile -t kinds < <("$program" --gtest_list_tests --gtest_filter='*/DamagedFiles.*' |
    sed -n 's|^  EndNoProgramAndGiveNoWrongRow/\([^ ]*\).*|\1|p')
  say "seeds from $seed on"
  printf '%s\n' "${kinds[@]}" |
    INSTAR_DAMAGED_FILES=$files INSTAR_DAMAGED_SEED=$seed xargs -P "$jobs" -I KIND \
      sh -c "$program --gtest_brief=1 --gtest_filter='*/DamagedFiles.*/KIND' || echo 'FAILED: KIND'" |
    grep --line-buffered -v -e '^Running main' -e '^\[=' -e '^\[  PASSED' | tee "$report"
  awk '/ files; /{sub(/.*: /, ""); files += $1; ++kinds}
       /^FAILED: /{++failed}
       END {printf "\n%d files of %d kinds, %d kinds failed\n", files, kinds, failed
            exit failed != 0 || kinds != '"${#kinds[@]}"' || files < '"$files"'}' "$report"
}
