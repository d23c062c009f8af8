#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <optional>

#include "instar/bench/benchmarks.h"
#include "instar/bench/grown_order.capnp.h"
#include "instar/bench/order_history.h"

namespace instar::bench {
namespace {

using benchmark::State;

constexpr std::array<std::uint16_t, 4> kAges = {0, 1, 10, 1000};  // in versions
constexpr std::size_t kRowsPerTransaction = 10'000;

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
      const auto orders = store_.collection("orders", history.at(version));
      for (std::size_t age = 0; age < kAges.size(); ++age) {
        if (version + kAges[age] == history.newest()) put(orders, ids_[age]);
      }
    }
  }

  void put(const Collection<capnp::DynamicStruct>& orders, std::span<const std::uint64_t> ids) {
    const DynamicFiller filler(orders.schema().root());
    while (!ids.empty()) {
      auto transaction = store_.write();
      const std::size_t count = std::min(ids.size(), kRowsPerTransaction);
      for (const std::uint64_t id : ids.first(count)) {
        auto order = orders.create();
        filler.fill(*order, sampleOf(id));
        orders.put(transaction, order);
      }
      transaction.commit();
      ids = ids.subspan(count);
    }
  }

  std::filesystem::path path_;
  Store store_;
  std::array<std::vector<std::uint64_t>, kAges.size()> ids_;
  std::optional<Collection<GrownOrder>> orders_;
};

void getAged(State& state, const AgedSubject& subject, std::size_t age) {
  const auto snapshot = subject.store().read();
  Rotation ids(subject.ids(age));
  for (auto _ : state) {
    const auto row = subject.orders().get(snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

}  // namespace

void addVersionBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  const auto subject = std::make_shared<std::unique_ptr<AgedSubject>>();
  for (std::size_t age = 0; age < kAges.size(); ++age) {
    const auto name = [](std::uint16_t versions) {
      return "get, " + std::to_string(versions) + " versions old/instar";
    };
    benchmark::RegisterBenchmark(name(kAges[age]).c_str(), [&subjects, subject, age](State& state) {
      if (!*subject) *subject = std::make_unique<AgedSubject>(subjects);
      getAged(state, **subject, age);
    });
    if (kAges[age] == 0) continue;
    figures.push_back({"get, " + std::to_string(kAges[age]) + " additive versions old : a current row",
                       name(kAges[age]), name(0), 1.03});
  }
}

}  // namespace instar::bench
