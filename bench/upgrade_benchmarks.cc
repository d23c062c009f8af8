// What a change costs that is not additive: reading rows of the version before it, and keeping old
// fields right.

#include <benchmark/benchmark.h>

#include <concepts>
#include <memory>
#include <optional>

#include "instar/bench/alternation.h"
#include "instar/bench/benchmarks.h"
#include "instar/bench/evolved_order.capnp.h"
#include "instar/bench/order_history.h"

namespace instar::bench {
namespace {

constexpr std::uint64_t kReadsPerBlock = 5'000;
constexpr std::size_t kRowsPerTransaction = 10'000;
constexpr std::size_t kPutsPerTransaction = 1'000;

// Rows of version 1 and of version 2 side by side on each page.
class SplitSubject {
 public:
  explicit SplitSubject(Subjects& subjects)
      : store_(Store::open(subjects.workspace().file("split.instar"), {.durability = Durability::off})) {
    for (const std::uint64_t id : subjects.ids()) (id / 2 % 2 == 0 ? oldIds_ : newIds_).push_back(id);
    put(store_.collection("orders", versionBefore(capnp::Schema::from<SplitOrder>(), 1, 1)), oldIds_);
    orders_.emplace(store_.collection<SplitOrder>("orders"));
    put(store_.collection("orders", RecordSchema::fromStruct(capnp::Schema::from<SplitOrder>())), newIds_);
  }

  const Store& store() const noexcept { return store_; }
  const Collection<SplitOrder>& orders() const noexcept { return *orders_; }
  std::span<const std::uint64_t> oldIds() const noexcept { return oldIds_; }
  std::span<const std::uint64_t> newIds() const noexcept { return newIds_; }

 private:
  void put(const Collection<capnp::DynamicStruct>& orders, std::span<const std::uint64_t> ids) const {
    const DynamicFiller filler(orders.schema().root());
    while (!ids.empty()) {
      auto transaction = store_.write();
      const std::size_t count = std::min(ids.size(), kRowsPerTransaction);
      for (const std::uint64_t id : ids.first(count)) {
        const Sample sample = sampleOf(id);
        auto order = orders.create();
        filler.fill(*order, sample);
        if (orders.schema().version() == 2) order->set("givenName", givenName(sample.recipient).c_str());
        orders.put(transaction, order);
      }
      transaction.commit();
      ids = ids.subspan(count);
    }
  }

  static std::string givenName(std::string_view recipient) {
    return std::string(recipient.substr(0, recipient.find(' ')));
  }

  Store store_;
  std::vector<std::uint64_t> oldIds_;
  std::vector<std::uint64_t> newIds_;
  std::optional<Collection<SplitOrder>> orders_;
};

std::uint64_t readGivenName(SplitOrder::Reader order) {
  return readThreeFields(order) + order.getGivenName().size();
}

Block getSplit(const SplitSubject& subject, std::span<const std::uint64_t> ids) {
  const auto snapshot = std::make_shared<ReadTransaction>(subject.store().read());
  return repeat(kReadsPerBlock, [&subject, snapshot, ids = Rotation(ids)]() mutable {
    const auto row = subject.orders().get(*snapshot, ids.next());
    benchmark::DoNotOptimize(readGivenName(*row));
  });
}

// What people write without Instar's help: read the old type, fill the new one.
void upgradeByHand(Order::Reader from, SplitOrder::Builder to) {
  to.setId(from.getId());
  to.setCustomer(from.getCustomer());
  to.setQuantity(from.getQuantity());
  to.setPriceCents(from.getPriceCents());
  to.setPlacedAt(from.getPlacedAt());
  to.setState(from.getState());
  to.setRecipient(from.getRecipient());
  to.setStreet(from.getStreet());
  to.setNote(from.getNote());
  const std::string_view recipient(from.getRecipient().begin(), from.getRecipient().size());
  const std::string_view given = recipient.substr(0, recipient.find(' '));
  std::memcpy(to.initGivenName(static_cast<unsigned>(given.size())).begin(), given.data(), given.size());
}

Block getByHand(Subjects& subjects, std::span<const std::uint64_t> ids) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = std::make_shared<ReadTransaction>(subject.store.read());
  return repeat(kReadsPerBlock, [&subject, snapshot, ids = Rotation(ids)]() mutable {
    const auto row = subject.orders.get(*snapshot, ids.next());
    capnp::word scratch[128] = {};
    capnp::MallocMessageBuilder message(scratch);
    const auto upgraded = message.initRoot<SplitOrder>();
    upgradeByHand(*row, upgraded);
    benchmark::DoNotOptimize(readGivenName(upgraded.asReader()));
  });
}

template <class T>
class Putting {
 public:
  explicit Putting(Subjects& subjects, const char* name)
      : workspace_(subjects.workspace()),
        path_(workspace_.file(name)),
        store_(Store::open(path_, {.durability = Durability::off})),
        orders_(store_->template collection<T>("orders")),
        ids_(shuffled(std::max(subjects.sizes().rows, std::uint64_t{kPutsPerTransaction}))) {}
  Putting(const Putting&) = delete;
  Putting& operator=(const Putting&) = delete;
  ~Putting() {
    orders_.reset();
    store_.reset();
    workspace_.remove(path_);
  }

  void run() {
    auto transaction = store_->write();
    for (std::size_t i = 0; i < kPutsPerTransaction; ++i) {
      const Sample sample = sampleOf(ids_[next_++ % ids_.size()]);
      auto order = orders_->create();
      fillNewFields(*order, sample);
      if constexpr (std::same_as<T, PlainOrder>) {  // what the mirrors do otherwise
        order->setRecipient("Augusta Ada Lovelace");
        order->setPriceCents(sample.priceCents);
      }
      order->setGivenName("Augusta Ada");
      order->setFamilyName("Lovelace");
      order->setPriceMills(sample.priceCents * 10);
      orders_->put(transaction, order);
    }
    transaction.commit();
  }

 private:
  static void fillNewFields(typename T::Builder order, const Sample& sample) {
    const auto set = [](capnp::Text::Builder text, std::string_view value) {
      std::memcpy(text.begin(), value.data(), value.size());
    };
    order.setId(sample.id);
    order.setCustomer(sample.customer);
    order.setQuantity(sample.quantity);
    order.setPlacedAt(sample.placedAt);
    order.setState(sample.state);
    set(order.initStreet(static_cast<unsigned>(sample.street.size())), sample.street);
    set(order.initNote(static_cast<unsigned>(sample.note.size())), sample.note);
  }

  const Workspace& workspace_;
  std::filesystem::path path_;
  std::optional<Store> store_;
  std::optional<Collection<T>> orders_;
  std::vector<std::uint64_t> ids_;
  std::size_t next_ = 0;
};

template <class T>
Contender putting(Subjects& subjects, const char* label, const char* file) {
  return {label, [&subjects, file] {
            const auto orders = std::make_shared<Putting<T>>(subjects, file);
            return Block{.run = [orders] { orders->run(); }};
          }};
}

}  // namespace

void addUpgradeBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  const auto subject = std::make_shared<std::optional<SplitSubject>>();
  const auto split = [&subjects, subject]() -> const SplitSubject& {
    if (!*subject) subject->emplace(subjects);
    return **subject;
  };
  add({.name = "get with a text split",
       .itemsPerBlock = kReadsPerBlock,
       .contenders = {
           {"current row", [split] { return getSplit(split(), split().newIds()); }},
           {"old row, derived", [split] { return getSplit(split(), split().oldIds()); }},
           {"old row, by hand", [&subjects, split] { return getByHand(subjects, split().oldIds()); }}}});
  figures.push_back({"get with a text split", "old row, derived", "current row", 1.5});
  figures.push_back({"get with a text split", "old row, derived", "old row, by hand", 2});

  add({.name = "put with two mirrored fields",
       .measured = Measured::realTime,
       .itemsPerBlock = kPutsPerTransaction,
       .contenders = {putting<MirroredOrder>(subjects, "mirrored", "mirrored.instar"),
                      putting<PlainOrder>(subjects, "plain", "plain.instar")}});
  figures.push_back({"put with two mirrored fields", "mirrored", "plain", 1.3});
}

}  // namespace instar::bench
