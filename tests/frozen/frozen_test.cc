// Files that earlier releases wrote. They are never made again: every build opens the bytes of the first, for
// ever.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "instar/engine/check.h"
#include "instar/engine/store.h"
#include "instar/format/key_text.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

std::string contentOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

// A line for each row of each collection: its version, its key, and what the newest schema in the file makes
// of it.
std::string describeAll(const Store& store) {
  std::ostringstream out;
  const auto snapshot = store.read();
  for (const auto& info : store.collections(snapshot)) {
    out << info.name << ": version " << info.currentVersion << ", floors " << info.readerFloor << " and "
        << info.writerFloor << ", " << info.rows << " rows\n";
    for (const auto& version : store.versions(snapshot, info.name)) {
      out << "version " << version.number << ", fingerprint " << std::hex << version.schema.fingerprint()
          << std::dec << "\n";
    }
    const auto rows = store.collection(info.name);
    for (const auto row : rows.scan(snapshot)) {
      out << row.version() << " " << printKey(rows.keySpec(), row.key()) << " " << kj::str(*row).cStr()
          << "\n";
    }
  }
  return out.str();
}

class FrozenFile : public ::testing::TestWithParam<const char*> {
 protected:
  FrozenFile() { std::filesystem::copy_file(source / (name + ".instar"), copy); }

  RecordSchema schema(const std::string& file) const {
    return testing::parseRecord(contentOf(source / file), "Contact");
  }

  const std::string name = GetParam();
  const std::filesystem::path source = std::filesystem::path(INSTAR_FROZEN_FOLDER) / name;
  testing::TemporaryFolder folder;
  const std::filesystem::path copy = folder / "frozen.instar";
};

TEST_P(FrozenFile, IsReadAsItWasWritten) {
  const Store store = Store::open(copy, {.mode = OpenMode::readOnly});
  EXPECT_EQ(describeAll(store), contentOf(source / "expected.txt"));
  EXPECT_TRUE(check(store).sound());
}

TEST_P(FrozenFile, IsNotChangedByOpeningItForWriting) {
  {
    const Store store = Store::open(copy);
    EXPECT_EQ(describeAll(store), contentOf(source / "expected.txt"));
    store.collection("contacts", schema("contact_4.capnp"));
    store.collection("contacts", schema("contact_1.capnp"));
  }
  EXPECT_TRUE(contentOf(copy) == contentOf(source / (name + ".instar")));
}

TEST_P(FrozenFile, IsWrittenByProgramsOfItsTimeAndOfToday) {
  const Store store = Store::open(copy);
  for (const char* file : {"contact_1.capnp", "contact_4.capnp"}) {
    const auto contacts = store.collection("contacts", schema(file));
    auto transaction = store.write();
    auto draft = contacts.edit(transaction, "Grace", 1906);
    ASSERT_TRUE(draft);
    draft->get("home").as<capnp::DynamicStruct>().set("zip", 7U);
    contacts.put(transaction, draft);
    transaction.commit();
    const auto snapshot = store.read();
    EXPECT_EQ(contacts.get(snapshot, "Grace", 1906).version(), contacts.schema().version());
  }
  EXPECT_TRUE(check(store).sound());
}

INSTANTIATE_TEST_SUITE_P(EveryFormat, FrozenFile, ::testing::Values("format1"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace instar
