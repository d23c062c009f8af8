#include <benchmark/benchmark.h>

#include <memory>
#include <optional>

#include "instar/bench/alternation.h"
#include "instar/bench/benchmarks.h"

namespace instar::bench {
namespace {

constexpr std::uint64_t kReadsPerBlock = 5'000;
constexpr std::uint64_t kWritesPerBlock = 1'000;
constexpr std::size_t kAllBlocks = std::size_t{1} << 32;

// All rows in blocks.
class ColdSubject {
 public:
  ColdSubject(Subjects& subjects, const char* name, std::size_t cacheBytes) {
    const auto path = subjects.workspace().file(name);
    copyDurably(subjects.instarFile(), path);
    store_.emplace(Store::open(
        path, {.durability = Durability::off, .mapSize = kMapSize, .coldCacheBytes = cacheBytes}));
    orders_.emplace(store_->collection<Order>("orders"));
    migrate(*store_, "orders", {.mode = CompactionMode::compress});
  }

  const Store& store() const noexcept { return *store_; }
  const Collection<Order>& orders() const noexcept { return *orders_; }

 private:
  std::optional<Store> store_;
  std::optional<Collection<Order>> orders_;
};

// One with a cache of every block, and one without a cache.
class ColdSubjects {
 public:
  explicit ColdSubjects(Subjects& subjects) : subjects_(subjects) {}

  const ColdSubject& cached() {
    if (!cached_) {
      cached_.emplace(subjects_, "cached.instar", kAllBlocks);
      const auto snapshot = cached_->store().read();
      for (const auto& row : cached_->orders().scan(snapshot))
        benchmark::DoNotOptimize(readThreeFields(*row));
    }
    return *cached_;
  }
  const ColdSubject& unpacked() {
    if (!unpacked_) unpacked_.emplace(subjects_, "unpacked.instar", 0);
    return *unpacked_;
  }

 private:
  Subjects& subjects_;
  std::optional<ColdSubject> cached_;
  std::optional<ColdSubject> unpacked_;
};

// InstarSubject or ColdSubject.
struct Place {
  const Store* store;
  const Collection<Order>* orders;
};
using Open = std::function<Place()>;

Block get(Subjects& subjects, const Open& open) {
  const Place place = open();
  const auto snapshot = std::make_shared<ReadTransaction>(place.store->read());
  return repeat(kReadsPerBlock, [place, snapshot, ids = Rotation(subjects.ids())]() mutable {
    const auto row = place.orders->get(*snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  });
}

Block getMissing(Subjects& subjects, const Open& open) {
  const Place place = open();
  const auto snapshot = std::make_shared<ReadTransaction>(place.store->read());
  return repeat(kReadsPerBlock, [place, snapshot, ids = Rotation(subjects.ids())]() mutable {
    benchmark::DoNotOptimize(static_cast<bool>(place.orders->get(*snapshot, ids.next() + 1)));
  });
}

Block scan(const Open& open, bool reverse) {
  const Place place = open();
  const auto snapshot = std::make_shared<ReadTransaction>(place.store->read());
  return {.run = [place, snapshot, reverse] {
    for (const auto& row : place.orders->scan(*snapshot, {.reverse = reverse}))
      benchmark::DoNotOptimize(readThreeFields(*row));
  }};
}

// Each block in a transaction that is given up, so that the next one finds the rows where they were.
template <class Change>
Block change(Subjects& subjects, const Open& open, Change change) {
  const Place place = open();
  return {.run = [place, change, ids = Rotation(subjects.ids())]() mutable {
    auto transaction = place.store->write();
    for (std::uint64_t i = 0; i < kWritesPerBlock; ++i) change(*place.orders, transaction, ids.next());
  }};
}

void putOrder(const Collection<Order>& orders, WriteTransaction& transaction, std::uint64_t id) {
  auto order = orders.create();
  fill(*order, sampleOf(id));
  orders.put(transaction, order);
}

void eraseOrder(const Collection<Order>& orders, WriteTransaction& transaction, std::uint64_t id) {
  if (!orders.erase(transaction, id)) throw std::runtime_error("a row is missing");
}

}  // namespace

void addColdBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  const auto cold = std::make_shared<ColdSubjects>(subjects);
  const Open hot = [&subjects] { return Place{&subjects.instar().store, &subjects.instar().orders}; };
  const Open cached = [cold] { return Place{&cold->cached().store(), &cold->cached().orders()}; };
  const Open unpacked = [cold] { return Place{&cold->unpacked().store(), &cold->unpacked().orders()}; };
  const auto addGroup = [&](const std::string& name, std::uint64_t items, auto block, double aim) {
    add({.name = name,
         .itemsPerBlock = items,
         .contenders = {{"hot", [=] { return block(hot); }},
                        {"cold, in the cache", [=] { return block(cached); }},
                        {"cold, unpacked", [=] { return block(unpacked); }}}});
    figures.push_back({name, "cold, in the cache", "hot", aim});
    figures.push_back({name, "cold, unpacked", "hot"});
  };
  Subjects* const all = &subjects;
  addGroup(
      "cold get", kReadsPerBlock, [all](const Open& open) { return get(*all, open); }, 1.2);
  addGroup(
      "cold get of a row that is not there", kReadsPerBlock,
      [all](const Open& open) { return getMissing(*all, open); }, 0);
  for (const bool reverse : {false, true}) {
    const std::string name = reverse ? "cold scan in reverse" : "cold scan";
    addGroup(
        name, subjects.sizes().rows, [reverse](const Open& open) { return scan(open, reverse); }, 0);
    figures.back().aim = 1.0;  // a scan has no use for the cache
  }
  addGroup(
      "put over a cold row", kWritesPerBlock,
      [all](const Open& open) { return change(*all, open, putOrder); }, 0);
  addGroup(
      "put between cold rows", kWritesPerBlock,
      [all](const Open& open) {
        return change(*all, open, [](const auto& orders, auto& transaction, std::uint64_t id) {
          putOrder(orders, transaction, id + 1);
        });
      },
      0);
  addGroup(
      "erase of a cold row", kWritesPerBlock,
      [all](const Open& open) { return change(*all, open, eraseOrder); }, 0);
}

}  // namespace instar::bench
