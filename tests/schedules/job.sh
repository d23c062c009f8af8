# A job of ./dev, which reads this file: programs that share a store while somebody disturbs them.

# schedules [SECONDS] [--seed N] [--round SECONDS]
schedules() {
  need build test bench
  configure release -DINSTAR_BUILD_TESTS=ON -DINSTAR_BUILD_BENCHMARKS=ON
  cmake --build --preset release -j "$jobs" --target instar_schedules
  build/release/bin/instar_schedules --folder build/schedules "$@"
}
