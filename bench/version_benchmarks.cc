#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <optional>

#include "instar/bench/alternation.h"
#include "instar/bench/benchmarks.h"
#include "instar/bench/grown_order.capnp.h"
#include "instar/bench/order_history.h"

namespace instar::bench {
namespace {

constexpr std::array<std::uint16_t, 4> kAges = {0, 1, 10, 1000};  // in versions

// A store whose collection has gone through every version, with rows of four ages side by side on each page.
class AgedSubject {
 public:
  explicit AgedSubject(Subjects& subjects)
      : path_(subjects.workspace().file("aged.instar")),
        store_(Store::open(path_, {.durability = Durability::off})) {
    const std::vector<std::uint64_t>& ids = subjects.ids();
    for (std::size_t age = 0; age < kAges.size(); ++age) {
      for (const std::uint64_t id : ids) {
        if (id / 2 % kAges.size() == age) ids_[age].push_back(id);
      }
    }
    live();
    orders_.emplace(store_.collection<GrownOrder>("orders"));
  }

  const Store& store() const noexcept { return store_; }
  const Collection<GrownOrder>& orders() const noexcept { return *orders_; }
  std::span<const std::uint64_t> ids(std::size_t age) const noexcept { return ids_[age]; }

 private:
  void live() {
    const OrderHistory history;
    for (std::uint16_t version = 1; version <= history.newest(); ++version) {
      store_.collection("orders", history.at(version));
      for (std::size_t age = 0; age < kAges.size(); ++age) {
        if (version + kAges[age] == history.newest()) putOrders(store_, history.at(version), ids_[age]);
      }
    }
  }

  std::filesystem::path path_;
  Store store_;
  std::array<std::vector<std::uint64_t>, kAges.size()> ids_;
  std::optional<Collection<GrownOrder>> orders_;
};

constexpr std::uint64_t kReadsPerBlock = 5'000;

Block getAged(const AgedSubject& subject, std::size_t age) {
  const auto snapshot = std::make_shared<ReadTransaction>(subject.store().read());
  return repeat(kReadsPerBlock, [&subject, snapshot, ids = Rotation(subject.ids(age))]() mutable {
    const auto row = subject.orders().get(*snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  });
}

std::string nameOf(std::uint16_t age) {
  return age == 0 ? "current" : std::to_string(age) + (age == 1 ? " version old" : " versions old");
}

}  // namespace

void addVersionBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  Group group;
  group.name = "get among rows of four ages";
  group.itemsPerBlock = kReadsPerBlock;
  const auto subject = std::make_shared<std::optional<AgedSubject>>();
  for (std::size_t age = 0; age < kAges.size(); ++age) {
    group.contenders.push_back({nameOf(kAges[age]), [&subjects, subject, age] {
                                  if (!*subject) subject->emplace(subjects);
                                  return getAged(**subject, age);
                                }});
    if (kAges[age] != 0) figures.push_back({group.name, nameOf(kAges[age]), nameOf(0), 1.03});
  }
  add(std::move(group));
}

}  // namespace instar::bench
