#include "instar/tests/powercut/store_text.h"

#include <capnp/dynamic.h>
#include <kj/string.h>

namespace instar::powercut {
namespace {

std::string_view nameOf(VersionState state) {
  switch (state) {
    case VersionState::staged:
      return "staged";
    case VersionState::active:
    case VersionState::settled:  // found out, not decided
      return "active";
    case VersionState::retired:
      return "retired";
    case VersionState::aborted:
      return "aborted";
  }
  return "unknown";
}

}  // namespace

std::string textOf(const Store& store) {
  std::string text;
  const auto snapshot = store.read();
  for (const CollectionInfo& info : store.collections(snapshot)) {
    text += "collection " + info.name + ", version " + std::to_string(info.currentVersion) + ", floors " +
            std::to_string(info.readerFloor) + " and " + std::to_string(info.writerFloor) + "\n";
    for (const VersionInfo& version : store.versions(snapshot, info.name)) {
      text += "version " + std::to_string(version.number) + " is ";
      text += nameOf(version.state);
      text += "\n";
    }
    const auto rows = store.collection(info.name);
    std::uint64_t count = 0;
    for (const auto row : rows.scan(snapshot)) {
      text += info.name + ": " + kj::str(*row).cStr() + "\n";
      ++count;
    }
    if (count != info.rows) text += "counted as " + std::to_string(info.rows) + "\n";
  }
  return text;
}

}  // namespace instar::powercut
