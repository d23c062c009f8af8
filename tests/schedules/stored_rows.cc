#include "instar/tests/schedules/stored_rows.h"

#include "instar/tests/support/parse_schema.h"

namespace instar::schedules {
namespace {

std::string headOf(Writer writer) { return "w" + std::to_string(writer); }
std::string tailOf(std::uint64_t key) { return "k" + std::to_string(key); }

// A few of them lie on pages of their own.
std::string fillerOf(std::uint64_t key, Writer writer) {
  const std::uint64_t mixed = (writer * 31 + key) * 0x9E3779B97F4A7C15u >> 32;
  const std::size_t length = mixed % 40 == 0 ? 3000 + mixed % 4000 : mixed % 300;
  return std::string(length, static_cast<char>('a' + mixed % 26));
}

std::string textIn(capnp::DynamicStruct::Reader row, const char* field) {
  return row.get(field).as<capnp::Text>().cStr();
}

}  // namespace

RecordSchema storedVersion(unsigned number, unsigned since) {
  const std::string from = "since = " + std::to_string(since);
  std::string text = "struct Stored @0xd3a4b5c6d7e8f901 $Instar.version(" + std::to_string(number) +
                     ") { id @0 :UInt64 $Instar.key(0); writer @1 :UInt64; filler @3 :Text; ";
  if (number < kSplitVersion) {
    text += "text @2 :Text; ";
  } else {
    text += "text @2 :Text $Instar.mirrored(" + from +
            ", concat = [(field = \"head\"), (text = \" \"), (field = \"tail\")]);"
            " head @4 :Text $Instar.derived(" +
            from +
            ", split = (field = \"text\", by = \" \", part = 0));"
            " tail @5 :Text $Instar.derived(" +
            from + ", split = (field = \"text\", by = \" \", part = 1));";
  }
  for (unsigned added = 3; added <= number; ++added)
    text += " added" + std::to_string(added) + " @" + std::to_string(added + 3) + " :UInt64;";
  return testing::parseDeclarations(text + " }", "Stored");
}

void fillRow(capnp::DynamicStruct::Builder record, bool isSplit, std::uint64_t key, Writer writer) {
  record.set("id", key);
  record.set("writer", writer);
  record.set("filler", fillerOf(key, writer).c_str());
  if (isSplit) {
    record.set("head", headOf(writer).c_str());
    record.set("tail", tailOf(key).c_str());
  } else {
    record.set("text", (headOf(writer) + " " + tailOf(key)).c_str());
  }
}

std::string faultOfRow(capnp::DynamicStruct::Reader row, bool isSplit, std::uint64_t key) {
  const Writer writer = writerOf(row);
  const std::string who = "the row of key " + std::to_string(key) + " and transaction " +
                          std::to_string(writer) + " has another ";
  if (row.get("id").as<std::uint64_t>() != key) return who + "id";
  if (const std::string text = textIn(row, "text"); text != headOf(writer) + " " + tailOf(key))
    return who + "text: " + text;
  if (textIn(row, "filler") != fillerOf(key, writer)) return who + "filler";
  if (!isSplit) return "";
  if (const std::string head = textIn(row, "head"); head != headOf(writer)) return who + "head: " + head;
  if (const std::string tail = textIn(row, "tail"); tail != tailOf(key)) return who + "tail: " + tail;
  return "";
}

Writer writerOf(capnp::DynamicStruct::Reader row) { return row.get("writer").as<std::uint64_t>(); }

}  // namespace instar::schedules
