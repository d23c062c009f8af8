// What it costs that a row is many versions old: fifty changes, ten of which derive a field, in as many
// versions or in one.

#include <benchmark/benchmark.h>
#include <capnp/message.h>

#include <memory>
#include <optional>

#include "instar/bench/alternation.h"
#include "instar/bench/benchmarks.h"
#include "instar/bench/chained_order.capnp.h"
#include "instar/bench/order_history.h"
#include "instar/evolve/plan.h"

namespace instar::bench {
namespace {

constexpr std::uint64_t kReadsPerBlock = 2'000;
constexpr std::size_t kRows = 100'000;
constexpr std::size_t kRowsPerTransaction = 10'000;
constexpr unsigned kAddedFields = 50;

// Rows of version 1, in a store whose collection has gone through all versions of T.
template <class T>
class ChainSubject {
 public:
  ChainSubject(Subjects& subjects, const char* file)
      : ids_(subjects.ids().begin(),
             subjects.ids().begin() + static_cast<std::ptrdiff_t>(std::min(kRows, subjects.ids().size()))),
        store_(Store::open(subjects.workspace().file(file), {.durability = Durability::off})) {
    const unsigned newest = RecordSchema::fromStruct(capnp::Schema::from<T>()).version();
    const unsigned fieldsPerVersion = kAddedFields / (newest - 1);
    for (unsigned version = 1; version < newest; ++version) {
      const auto orders = store_.collection(
          "orders", versionBefore(capnp::Schema::from<T>(), fieldsPerVersion * (newest - version), version));
      if (version == 1) put(orders);
    }
    orders_.emplace(store_.collection<T>("orders"));
  }

  Block get() const {
    const auto snapshot = std::make_shared<ReadTransaction>(store_.read());
    return repeat(kReadsPerBlock, [this, snapshot, ids = Rotation(ids_)]() mutable {
      const auto row = orders_->get(*snapshot, ids.next());
      benchmark::DoNotOptimize(row->getLabel().size() + row->getPriceMills());
    });
  }

 private:
  void put(const Collection<capnp::DynamicStruct>& orders) const {
    const DynamicFiller filler(orders.schema().root());
    for (std::size_t begin = 0; begin < ids_.size(); begin += kRowsPerTransaction) {
      auto transaction = store_.write();
      for (std::size_t i = begin; i < std::min(begin + kRowsPerTransaction, ids_.size()); ++i) {
        auto order = orders.create();
        filler.fill(*order, sampleOf(ids_[i]));
        orders.put(transaction, order);
      }
      transaction.commit();
    }
  }

  std::vector<std::uint64_t> ids_;
  Store store_;
  std::optional<Collection<T>> orders_;
};

template <class T>
Contender getting(Subjects& subjects, const char* label, const char* file) {
  const auto subject = std::make_shared<std::optional<ChainSubject<T>>>();
  return {label, [&subjects, subject, file] {
            if (!*subject) subject->emplace(subjects, file);
            return (*subject)->get();
          }};
}

// From version 1 to the newest one: in one stage, or in one for each version. What is the identity is no
// stage: the bytes are those of the next version.
std::vector<Plan> inOneStage(capnp::StructSchema compiled) {
  return {Plans(RecordSchema::fromStruct(compiled)).from(1)};
}

std::vector<Plan> inAStagePerVersion() {
  const auto compiled = capnp::Schema::from<ChainedOrder>();
  const unsigned newest = RecordSchema::fromStruct(compiled).version();
  std::vector<Plan> stages;
  for (unsigned version = 2; version <= newest; ++version) {
    const RecordSchema schema = versionBefore(compiled, newest - version, version);
    const Plan plan = Plans(schema).from(static_cast<std::uint16_t>(version - 1));
    if (!plan.isIdentity()) stages.push_back(plan);
  }
  return stages;
}

// Upgrades a record in memory; a stage is a copy and a pass.
Block upgrade(std::vector<Plan> stages) {
  const auto stored = std::make_shared<capnp::MallocMessageBuilder>();
  const auto order = stored->initRoot<Order>();
  fill(order, sampleOf(storedId(7)));
  return repeat(kReadsPerBlock, [stored, stages = std::move(stages)] {
    capnp::AnyPointer::Reader row = stored->getRoot<capnp::AnyPointer>().asReader();
    std::unique_ptr<capnp::MallocMessageBuilder> message;
    for (const Plan& stage : stages) {
      auto next = std::make_unique<capnp::MallocMessageBuilder>();
      next->setRoot(row);
      stage.run(next->getRoot<capnp::DynamicStruct>(stage.schema().root()));
      message = std::move(next);
      row = message->getRoot<capnp::AnyPointer>().asReader();
    }
    benchmark::DoNotOptimize(row.getAs<ChainedOrder>().getLabel().size());
  });
}

}  // namespace

void addChainBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  add({.name = "get of a row 50 changes old",
       .itemsPerBlock = kReadsPerBlock,
       .contenders = {getting<ChainedOrder>(subjects, "50 versions", "chained.instar"),
                      getting<AtOnceOrder>(subjects, "1 version", "at_once.instar")}});
  figures.push_back({"get of a row 50 changes old", "50 versions", "1 version", 1.3});

  add({.name = "upgrade by 50 changes",
       .itemsPerBlock = kReadsPerBlock,
       .contenders = {
           {"50 versions, fused", [] { return upgrade(inOneStage(capnp::Schema::from<ChainedOrder>())); }},
           {"50, one at a time", [] { return upgrade(inAStagePerVersion()); }},
           {"1 version", [] { return upgrade(inOneStage(capnp::Schema::from<AtOnceOrder>())); }}}});
  figures.push_back({"upgrade by 50 changes", "50 versions, fused", "1 version", 1.3});
  figures.push_back({"upgrade by 50 changes", "50 versions, fused", "50, one at a time"});
}

}  // namespace instar::bench
