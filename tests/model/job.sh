# A job of ./dev, which reads this file: long random lives of a store, beside a model of it.

# model [RUNS]
model() {
  [[ ${1:-1} != *[!0-9]* ]] || fail "model [RUNS], not \"$1\""
  need build test
  configure release -DINSTAR_BUILD_TESTS=ON -DINSTAR_BUILD_BENCHMARKS=OFF
  cmake --build --preset release -j "$jobs" --target instar_model_tests
  RC_PARAMS="max_success=${1:-10000} ${RC_PARAMS:-}" build/release/bin/instar_model_tests --gtest_filter='*AStoreDoes*'
}
