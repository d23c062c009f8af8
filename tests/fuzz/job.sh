# Jobs of ./dev, which reads this file: the fuzzers, and the corpora that they are begun with.

# fuzzer_names: of all of them, or the given one.
fuzzer_names() {
  local names
  names=$(sed -n 's/^set(fuzzers \(.*\))/\1/p' tests/fuzz/CMakeLists.txt)
  if [[ -z ${1:-} ]]; then echo "$names"; return; fi
  [[ " $names " == *" $1 "* ]] || fail "there is no fuzzer \"$1\"; there are: $names"
  echo "$1"
}

# The fuzzer whose bug is known: where it is not found, what the others do not find means nothing.
find_planted_bug() {
  say "the planted bug"
  local log=build/fuzz/planted.log
  if build/fuzz/bin/instar_planted_fuzzer -runs=1000000 -seed=1 -max_len=64 -artifact_prefix=build/fuzz/planted. \
    >"$log" 2>&1 || ! grep -q 'heap-buffer-overflow' "$log"; then
    fail "the planted bug was not found in 1,000,000 runs; see $log"
  fi
  grep -m 1 'heap-buffer-overflow' "$log"
}

build_fuzzers() {
  configure fuzz
  cmake --build --preset fuzz -j "$jobs" --target fuzzers
}

# fuzz [SECONDS] [NAME]
fuzz() {
  need build sanitize
  local names name found=0
  names=$(fuzzer_names "${2:-}")
  build_fuzzers
  find_planted_bug
  for name in $names; do
    say "$name"
    mkdir -p "build/fuzz/corpus/$name"
    build/fuzz/bin/instar_${name}_fuzzer -max_total_time="${1:-60}" -max_len=1500 -entropic=0 -len_control=0 -timeout=20 \
      -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="build/fuzz/$name." "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
      >"build/fuzz/$name.log" 2>&1 || found=1
    grep -E '^#[0-9]+.*DONE|ERROR|SUMMARY|BrokenPromise|what\(\)|Test unit written|number_of_executed' \
      "build/fuzz/$name.log" || true
  done
  ((found == 0)) || fail "an input breaks a promise: build/fuzz/bin/instar_NAME_fuzzer INPUT shows it again"
}

# corpus [NAME]: the fewest inputs that reach what all of them reach. Until these are there, nothing is taken away.
corpus() {
  need build sanitize
  local name names kept merged log
  names=$(fuzzer_names "${1:-}")
  build_fuzzers
  for name in $names; do
    kept=tests/fuzz/corpus/$name merged=build/fuzz/merged log=build/fuzz/$name.merge.log
    rm -rf "$merged"
    mkdir -p "$merged" "build/fuzz/corpus/$name" "$kept"
    "build/fuzz/bin/instar_${name}_fuzzer" -set_cover_merge=1 -use_counters=0 -max_len=1500 "$merged" "$kept" \
      "build/fuzz/corpus/$name" >"$log" 2>&1 || fail "the inputs of \"$name\" could not be merged, its corpus stays as it is; see $log"
    [[ -n $(find "$merged" -type f -print -quit) ]] ||
      fail "merging \"$name\" left no input, its corpus stays as it is; see $log"
    find "$kept" -type f ! -name 'found-*' -delete  # what has found a bug stays
    cp "$merged"/* "$kept"
    printf '%-9s %d inputs\n' "$name" "$(find "$kept" -type f | wc -l)"
  done
}
