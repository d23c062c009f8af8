// What it costs to try a version: reads of a program that does so against those of one that does not, and the
// parts of a canary read in memory, which are the row through the staged plan, what is wrong with it, and
// counting.

#include <benchmark/benchmark.h>
#include <capnp/message.h>

#include <memory>
#include <optional>
#include <string>

#include "instar/bench/alternation.h"
#include "instar/bench/benchmarks.h"
#include "instar/bench/contact.capnp.h"
#include "instar/evolve/canary.h"

namespace instar::bench {
namespace {

constexpr std::uint64_t kReadsPerBlock = 2'000;

RecordSchema olderContact() {
  const auto schema = RecordSchema::fromStruct(capnp::Schema::from<OlderContact>());
  capnp::MallocMessageBuilder message;
  auto nodes = message.initRoot<capnp::AnyPointer>().initAs<capnp::List<capnp::schema::Node>>(1);
  nodes.setWithCaveats(0, schema.nodes()[0]);
  nodes[0].setId(capnp::typeId<Contact>());
  return RecordSchema::fromNodes(nodes.asReader(), capnp::typeId<Contact>());
}

class CanarySubject {
 public:
  CanarySubject()
      : staged_(RecordSchema::fromStruct(capnp::Schema::from<Contact>())),
        canary_(Plans(olderContact()), staged_) {
    auto contact = stored_.initRoot<OlderContact>();
    contact.setId(7);
    contact.setName("Augusta Lovelace");
    contact.setEmail("ada.lovelace@example.org");
    contact.setTier(2);
    upgrade(upgraded_);
  }

  // What a row that is served the staged way takes too.
  void upgrade(capnp::MessageBuilder& message) {
    message.setRoot(stored());
    staged_.from(2).run(message.getRoot<capnp::DynamicStruct>(staged_.schema().root()));
  }

  CanaryFindings examine() { return canary_.examine(readOf(upgraded_)); }
  void count(const CanaryFindings& findings) { canary_.count(readOf(upgraded_), findings, statistics_); }

  void evaluate() {
    capnp::word scratch[64] = {};
    capnp::MallocMessageBuilder message(scratch);
    upgrade(message);
    const CanaryRead read = readOf(message);
    canary_.count(read, canary_.examine(read), statistics_);
  }

 private:
  OlderContact::Reader stored() { return stored_.getRoot<OlderContact>().asReader(); }
  CanaryRead readOf(capnp::MessageBuilder& staged) {
    return {.version = 2,
            .active = stored(),
            .staged = staged.getRoot<Contact>().asReader(),
            .activeTime = std::chrono::nanoseconds(900),
            .stagedTime = std::chrono::nanoseconds(1200)};
  }

  Plans staged_;
  Canary canary_;
  CanaryStatistics statistics_;
  capnp::MallocMessageBuilder stored_;
  capnp::MallocMessageBuilder upgraded_;
};

Contender contender(const char* name, void (*work)(CanarySubject& subject)) {
  return {name, [work] {
            const auto subject = std::make_shared<CanarySubject>();
            return repeat(kReadsPerBlock, [subject, work] { work(*subject); });
          }};
}

constexpr std::uint64_t kGetsPerBlock = 5'000;
constexpr std::uint64_t kMostContacts = 200'000;

// The same contacts of version 2 in several collections, each with a trial of version 3 of its own, or none.
class TriedSubject {
 public:
  explicit TriedSubject(Subjects& subjects)
      : store_(Store::open(subjects.workspace().file("tried.instar"),
                           {.durability = Durability::off, .mapSize = kMapSize})),
        ids_(shuffled(std::min(subjects.sizes().rows, kMostContacts))) {}

  Block getUntried() {
    const auto contacts = store_.collection<OlderContact>("untried");
    if (contacts.count(store_.read()) == 0) fill<OlderContact>(contacts);
    return getAll(contacts);
  }

  // On `canary` percent of the keys the version is tried, `served` percent of them are served.
  Block getTried(const char* collection, double served, double canary) {
    const auto older = store_.collection(collection, olderContact());
    if (older.count(store_.read()) == 0) fill<capnp::DynamicStruct>(older);
    return getAll(store_.stage<Contact>(
        collection, {.percent = served, .shadow = canary, .guardRails = {.minimumSamples = UINT64_MAX}}));
  }

 private:
  template <class T>
  void fill(const Collection<T>& contacts) const {
    auto transaction = store_.write();
    capnp::MallocMessageBuilder message;
    for (const std::uint64_t id : ids_) {
      auto contact = message.initRoot<OlderContact>();
      contact.setId(id);
      contact.setName(("Augusta" + std::to_string(id % 1000) + " Lovelace" + std::to_string(id)).c_str());
      contact.setEmail("ada.lovelace@example.org");
      contact.setTier(2);
      put(contacts, transaction, contact.asReader());
    }
    transaction.commit();
  }
  static void put(const Collection<OlderContact>& contacts, WriteTransaction& transaction,
                  OlderContact::Reader contact) {
    contacts.put(transaction, contact);
  }
  static void put(const Collection<capnp::DynamicStruct>& contacts, WriteTransaction& transaction,
                  OlderContact::Reader contact) {
    contacts.put(transaction,
                 capnp::AnyStruct::Reader(contact).as<capnp::DynamicStruct>(contacts.schema().root()));
  }

  template <class T>
  Block getAll(const Collection<T>& contacts) {
    const auto snapshot = std::make_shared<ReadTransaction>(store_.read());
    return repeat(kGetsPerBlock, [contacts, snapshot, ids = Rotation(ids_)]() mutable {
      const auto row = contacts.get(*snapshot, ids.next());
      benchmark::DoNotOptimize(row->getTier() + row->getName().size() + row->getEmail().size());
    });
  }

  Store store_;
  std::vector<std::uint64_t> ids_;
};

void addReadsOfATrial(Subjects& subjects, std::vector<Figure>& figures) {
  constexpr const char* kGroup = "get while a version is tried";
  const auto subject = std::make_shared<std::optional<TriedSubject>>();
  const auto tried = [&subjects, subject]() -> TriedSubject& {
    if (!*subject) subject->emplace(subjects);
    return **subject;
  };
  add({.name = kGroup,
       .itemsPerBlock = kGetsPerBlock,
       .contenders = {{"no trial", [tried] { return tried().getUntried(); }},
                      {"no canary", [tried] { return tried().getTried("idle", 0, 0); }},
                      {"canary 5 %", [tried] { return tried().getTried("canary", 0, 5); }},
                      {"canary 5 %, served", [tried] { return tried().getTried("served", 5, 5); }},
                      {"canary 100 %", [tried] { return tried().getTried("whole", 0, 100); }}}});
  figures.push_back({kGroup, "canary 5 %", "no trial", 1.05});
  figures.push_back({kGroup, "canary 5 %, served", "no trial", 1.05});
  figures.push_back({kGroup, "no canary", "no trial"});
  figures.push_back({kGroup, "canary 100 %", "no trial"});
}

}  // namespace

void addCanaryBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  addReadsOfATrial(subjects, figures);
  add({.name = "canary of a contact",
       .itemsPerBlock = kReadsPerBlock,
       .contenders = {contender("whole", [](CanarySubject& subject) { subject.evaluate(); }),
                      contender("upgrade",
                                [](CanarySubject& subject) {
                                  capnp::word scratch[64] = {};
                                  capnp::MallocMessageBuilder message(scratch);
                                  subject.upgrade(message);
                                }),
                      contender("examine",
                                [](CanarySubject& subject) {
                                  benchmark::DoNotOptimize(subject.examine().diverged.size());
                                }),
                      contender("count", [](CanarySubject& subject) { subject.count({}); })}});
  figures.push_back({"canary of a contact", "whole", "upgrade"});
  figures.push_back({"canary of a contact", "examine", "upgrade"});
  figures.push_back({"canary of a contact", "count", "upgrade"});
}

}  // namespace instar::bench
