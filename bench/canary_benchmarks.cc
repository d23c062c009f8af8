// What a canary read costs beside the read itself, in memory: the row through the staged plan, what is wrong
// with it, and counting.

#include <benchmark/benchmark.h>
#include <capnp/message.h>

#include <memory>

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

}  // namespace

void addCanaryBenchmarks(std::vector<Figure>& figures) {
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
