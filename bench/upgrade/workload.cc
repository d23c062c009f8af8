#include "instar/bench/upgrade/workload.h"

#include <algorithm>
#include <cmath>

namespace instar::bench {
namespace {

constexpr std::uint64_t kExactly = 100'000;  // terms of Zipf's sum; the rest is an integral

double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

// Every bit of the result depends on every bit of the number (SplitMix64).
std::uint64_t scattered(std::uint64_t number) noexcept {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
  number = (number ^ number >> 27) * 0x94d049bb133111eb;
  return number ^ number >> 31;
}

}  // namespace

double Zipf::weight(std::uint64_t count) {
  double sum = 0;
  const std::uint64_t exactly = std::min(count, kExactly);
  for (std::uint64_t r = 1; r <= exactly; ++r) sum += std::pow(static_cast<double>(r), -kExponent);
  if (count == exactly) return sum;
  // By Euler and Maclaurin, to the second term.
  const auto from = static_cast<double>(exactly);
  const auto to = static_cast<double>(count);
  sum += (std::pow(to, 1 - kExponent) - std::pow(from, 1 - kExponent)) / (1 - kExponent);
  return sum + (std::pow(to, -kExponent) - std::pow(from, -kExponent)) / 2;
}

Zipf::Zipf(std::uint64_t count)
    : count_(count), weight_(weight(count)), alpha_(1 / (1 - kExponent)), secondUpTo_(weight(2)) {
  eta_ = (1 - std::pow(2.0 / static_cast<double>(count), 1 - kExponent)) / (1 - secondUpTo_ / weight_);
}

std::uint64_t Zipf::operator()(std::mt19937_64& random) const {
  const double share = uniform(random);
  const double reached = share * weight_;
  if (reached < 1 || count_ == 1) return 0;
  if (reached < secondUpTo_ || count_ == 2) return 1;
  const double rank = static_cast<double>(count_) * std::pow(eta_ * share - eta_ + 1, alpha_);
  return std::min(static_cast<std::uint64_t>(rank), count_ - 1);
}

std::uint64_t Chooser::operator()(std::mt19937_64& random, std::uint64_t newest) const {
  switch (access_) {
    case Access::uniform:
      return std::min(static_cast<std::uint64_t>(uniform(random) * static_cast<double>(rows_)), rows_ - 1);
    case Access::zipf:
      return scattered(zipf_(random)) % rows_;
    case Access::latest:
      break;
  }
  return newest - zipf_(random);
}

double Workload::shareOfWrites(Mix mix) noexcept {
  switch (mix) {
    case Mix::a:
    case Mix::f:
      return 0.5;
    case Mix::b:
    case Mix::d:
    case Mix::e:
      return 0.05;
    case Mix::c:
      break;
  }
  return 0;
}

Workload::Workload(const Scenario& scenario, std::uint64_t seed)
    : mix_(scenario.mix),
      choose_(scenario.access, scenario.rows),
      random_(seed),
      newest_(scenario.rows - 1) {}

Operation Workload::next() {
  const bool writes = uniform(random_) < shareOfWrites(mix_);
  Operation operation;
  if (writes && (mix_ == Mix::d || mix_ == Mix::e)) {
    operation.kind = Operation::Kind::insert;
    operation.id = ++newest_;
    return operation;
  }
  operation.id = choose_(random_, newest_);
  if (writes) {
    operation.kind = mix_ == Mix::f ? Operation::Kind::readModifyWrite : Operation::Kind::update;
    if (mix_ != Mix::f) operation.priceCents = static_cast<std::int64_t>(random_() >> 40);
  } else if (mix_ == Mix::e) {
    operation.kind = Operation::Kind::scan;
    operation.count = 1 + static_cast<unsigned>(random_() % kLongestScan);
  }
  return operation;
}

}  // namespace instar::bench
