#include "instar/tests/model/versions.h"

#include <algorithm>

#include "instar/tests/support/parse_schema.h"

namespace instar::model {
namespace {

std::string structId(unsigned era) {
  constexpr char kDigits[] = "0123456789abcdef";
  return std::string("0xabcdefabcdef123") + kDigits[era];
}

// The text that is behind every tag.
std::string untagged(std::string_view text) { return std::string(text.substr(text.rfind(':') + 1)); }

}  // namespace

std::string Field::name() const {
  switch (change) {
    case Change::mirrored:
      return "fresh" + std::to_string(number);
    case Change::lossy:
      return "early" + std::to_string(number);
    case Change::additive:
    case Change::replaced:
      break;
  }
  return "added" + std::to_string(number);
}

unsigned Versions::current() const {
  unsigned number = newest();
  while (!isDependedUpon((*this)[number].state)) --number;
  return number;
}

unsigned Versions::staged() const { return all_.back().state == VersionState::staged ? newest() : 0; }

unsigned Versions::below(unsigned number) const {
  do --number;
  while (number > 0 && !isDependedUpon((*this)[number].state));
  return number;
}

bool Versions::canMirror() const {
  return std::ranges::none_of(all_.back().fields,
                              [](const Field& field) { return field.change == Change::mirrored; });
}

void Versions::add(Change change, VersionState state) {
  const unsigned number = newest() + 1;
  Version version{.state = state, .change = change, .era = all_.back().era, .fields = all_.back().fields};
  if (change == Change::replaced) {
    version.era = number;
    version.fields.clear();
  } else {
    for (Field& field : version.fields) {
      if ((*this)[field.since].state == VersionState::aborted) field.since = number;
    }
    version.fields.push_back({.number = number, .change = change, .since = number});
  }
  all_.push_back(std::move(version));
}

RecordSchema Versions::schema(unsigned number) const {
  const Version& version = (*this)[number];
  // Of each text that says the same: what it is made from, and what it is mirrored from.
  std::map<std::string, std::string> mirrors;
  std::string newest = "value";
  for (const Field& field : version.fields) {
    if (field.change != Change::mirrored) continue;
    mirrors[newest] = " $Instar.mirrored(since = " + std::to_string(field.since) + ", split = (field = \"" +
                      field.name() + "\", by = \":\", part = 1, rest = true))";
    newest = field.name();
  }
  std::string text =
      "struct Item @" + structId(version.era) + " $Instar.version(" + std::to_string(number) + ")";
  if (version.era > 1) {
    text += " $Instar.replaces(since = " + std::to_string(version.era) +
            ", type = " + structId((*this)[version.era - 1].era) + ", call = \"valueAlone\")";
  }
  text += " { key @0 :Text $Instar.key(0); value @1 :Text" + mirrors["value"] + ";";
  unsigned place = 1;
  std::string before = "value";
  for (const Field& field : version.fields) {
    const std::string name = field.name();
    text += " " + name + " @" + std::to_string(++place);
    const std::string derived = " $Instar.derived(since = " + std::to_string(field.since);
    switch (field.change) {
      case Change::mirrored:
        text += " :Text" + derived + ", concat = [(text = \"" + std::to_string(field.number) +
                ":\"), (field = \"" + before + "\")])" + mirrors[name];
        before = name;
        break;
      case Change::lossy:
        text += " :Text" + derived + ", copy = \"" + before + "\")";
        break;
      case Change::additive:
      case Change::replaced:
        text += " :UInt32 = " + std::to_string(kDefaultNumber);
        break;
    }
    text += ";";
  }
  text += " }";
  constexpr std::size_t kMostParsed = 500;  // which are used again and again; a long run has many others
  static std::map<std::string, RecordSchema> parsed;
  if (parsed.size() > kMostParsed) parsed.clear();
  if (const auto found = parsed.find(text); found != parsed.end()) return found->second;
  return parsed.emplace(text, testing::parseDeclarations(text, "Item")).first->second;
}

Seen Record::seenBy(const Versions& versions, unsigned version) const {
  const bool hasOthers = era == versions[version].era;
  Seen seen;
  std::string newest = seen["value"] = value;
  for (const Field& field : versions[version].fields) {
    std::string& text = seen[field.name()];
    const auto other = others.find(field.number);
    if (field.change == Change::mirrored)
      text = newest = std::to_string(field.number) + ":" + newest;
    else if (hasOthers && other != others.end())
      text = other->second;
    else
      text = field.change == Change::lossy ? newest : std::to_string(kDefaultNumber);
  }
  return seen;
}

void Record::settle(const Versions& versions, unsigned version) {
  const Seen seen = seenBy(versions, version);
  if (era != versions[version].era) others.clear();
  era = versions[version].era;
  for (const Field& field : versions[version].fields) {
    if (field.change != Change::mirrored) others[field.number] = seen.at(field.name());
  }
}

std::shared_ptr<const Functions> functions() {
  const auto functions = std::make_shared<Functions>();
  functions->conversion<capnp::DynamicStruct, capnp::DynamicStruct>(
      "valueAlone", [](capnp::DynamicStruct::Reader older, capnp::DynamicStruct::Builder newer) {
        newer.set("key", older.get("key"));
        std::string value;
        // The newest text that says the same comes last.
        for (const auto field : older.getSchema().getFields()) {
          const std::string_view name = field.getProto().getName().cStr();
          if (name == "value" || name.starts_with("fresh"))
            value = untagged(older.get(field).as<capnp::Text>().cStr());
        }
        newer.set("value", value.c_str());
      });
  return functions;
}

}  // namespace instar::model
