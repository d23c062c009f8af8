#include "instar/evolve/internal/derivation.h"

#include <algorithm>
#include <set>

#include "instar/evolve/internal/annotations.h"
#include "instar/evolve/internal/refuse.h"
#include "instar/evolve/internal/value_text.h"
#include "instar/evolve/record_schema.h"
#include "instar/format/error.h"

namespace instar::internal {
namespace {

// Whether a field inside is sensitive, in what a function gets as a whole.
bool holdsSensitive(capnp::Type type, std::set<std::uint64_t>& seen) {
  while (type.isList()) type = type.asList().getElementType();
  if (!type.isStruct() || !seen.insert(type.asStruct().getProto().getId()).second) return false;
  for (const auto field : type.asStruct().getFields()) {
    if (isSensitive(field) || holdsSensitive(field.getType(), seen)) return true;
  }
  return false;
}

bool holdsSensitive(const FieldPath& source) {
  std::set<std::uint64_t> seen;
  return holdsSensitive(source.type(), seen);
}

// Takes the annotations off the fields of a record and its groups.
class Collector {
 public:
  Collector(capnp::StructSchema record, std::uint16_t version) : record_(record), version_(version) {
    collect(record);
    order(found_.derived);
    order(found_.mirrored);
    for (const Retirement& one : found_.retired) refuseUse(one);
  }

  Derivations take() { return std::move(found_); }

  // In a struct that the record holds nothing would make the field.
  void refuseElsewhere(NodeList nodes) const {
    for (const auto node : nodes) {
      if (!node.isStruct() || collected_.contains(node.getId())) continue;
      for (const auto field : node.getStruct().getFields()) {
        const auto annotations = field.getAnnotations();
        if (!findAnnotation(annotations, kDerivedAnnotation) &&
            !findAnnotation(annotations, kMirroredAnnotation) &&
            !findAnnotation(annotations, kRetiredAnnotation))
          continue;
        refuse(
            "only fields of the record struct and of its groups can be derived, mirrored or retired; take "
            "the "
            "annotation away",
            {{"type", node.getDisplayName().cStr() + node.getDisplayNamePrefixLength()},
             {"field", field.getName().cStr()}});
      }
    }
  }

 private:
  void collect(capnp::StructSchema members) {
    collected_.insert(members.getProto().getId());
    for (const auto field : members.getFields()) {
      path_.push_back(field);
      add(field, kDerivedAnnotation, found_.derived);
      add(field, kMirroredAnnotation, found_.mirrored);
      addRetired(field);
      if (field.getProto().isGroup()) collect(field.getType().asStruct());
      path_.pop_back();
    }
  }

  void add(capnp::StructSchema::Field field, std::uint64_t annotation, std::vector<Derivation>& list) {
    const auto value = findAnnotation(field.getProto().getAnnotations(), annotation);
    if (!value) return;
    const FieldPath target(path_);
    try {
      if (annotation == kMirroredAnnotation &&
          findAnnotation(field.getProto().getAnnotations(), kDerivedAnnotation))
        refuse("a field is derived for older rows or mirrored for older programs, not both; keep one");
      list.push_back(compile(target, value->getStruct().getAs<annotation::Derivation>()));
    } catch (const Error& error) {
      throw locate(error, target, annotation == kDerivedAnnotation ? "derived" : "mirrored");
    }
  }

  Derivation compile(const FieldPath& target, annotation::Derivation::Reader source) {
    if (source.getSince() < 2 || source.getSince() > version_) {
      refuse("`since` is the version that begins with this: 2 up to the number in $Instar.version",
             {{"since", std::to_string(source.getSince())}, {"version", std::to_string(version_)}});
    }
    if (target.field().getProto().isGroup())
      refuse("a group has no value of its own; write it on its fields");
    if (!target.isPlainMember())
      refuse("a member of a union cannot be made from other fields; put it outside");
    if (findAnnotation(target.field().getProto().getAnnotations(), kKeyAnnotation))
      refuse("a key field cannot be made from other fields: rows lie under it");
    Expression expression = internal::compile(record_, target, source);
    for (const FieldPath& from : expression.sources) {
      if (from.isSensitive() && !target.isSensitive())
        refuse("the source is sensitive and this field is not; write $Instar.sensitive here too",
               {{"source", from.text()}});
      // Other expressions take a struct to the same struct only, where the marks inside are the same.
      if (!expression.function.empty() && holdsSensitive(from) && !target.isSensitive())
        refuse(
            "a field inside the source is sensitive and this field is not; write $Instar.sensitive here too",
            {{"source", from.text()}});
    }
    return {.since = source.getSince(),
            .target = target,
            .text = valueText(capnp::DynamicStruct::Reader(source)),
            .expression = std::move(expression)};
  }

  void addRetired(capnp::StructSchema::Field field) {
    const auto annotations = field.getProto().getAnnotations();
    const auto value = findAnnotation(annotations, kRetiredAnnotation);
    if (!value) return;
    Retirement one{.since = value->getUint16(), .field = FieldPath(path_)};
    try {
      if (one.since < 2 || one.since > version_) {
        refuse("a field is retired from a version on: 2 up to the number in $Instar.version",
               {{"retired", std::to_string(one.since)}, {"version", std::to_string(version_)}});
      }
      if (!one.field.isPlainMember())
        refuse("a member of a union cannot be retired: the union would show another one; rename it");
      if (findAnnotation(annotations, kKeyAnnotation))
        refuse("a key field cannot be retired: rows lie under it");
      if (findAnnotation(annotations, kMirroredAnnotation))
        refuse("a field is mirrored for older programs or retired, not both; keep one");
    } catch (const Error& error) {
      throw locate(error, one.field, "retired");
    }
    found_.retired.push_back(std::move(one));
  }

  // Rows of the versions from the retirement on do not have the field.
  void refuseUse(const Retirement& retired) const {
    const auto refuseSource = [&](const Derivation& user, const char* annotation) {
      for (const FieldPath& source : user.expression.sources) {
        if (!overlap(source, retired.field)) continue;
        throw locate(
            Error(ErrorCode::fixSchema, "the source is retired before this begins; take it from elsewhere",
                  {{"source", source.text()}, {"retired", std::to_string(retired.since)}}),
            user.target, annotation);
      }
    };
    for (const Derivation& one : found_.derived) {
      if (one.since <= retired.since) continue;
      refuseSource(one, "derived");
      if (!overlap(one.target, retired.field)) continue;
      throw locate(Error(ErrorCode::fixSchema, "the field is retired before it is derived; take one away",
                         {{"since", std::to_string(one.since)}, {"retired", std::to_string(retired.since)}}),
                   one.target, "derived");
    }
    for (const Derivation& one : found_.mirrored) refuseSource(one, "mirrored");
  }

  Error locate(const Error& error, const FieldPath& field, const char* annotation) const {
    return error.with("type", record_.getShortDisplayName().cStr())
        .with("field", field.text())
        .with("annotation", annotation);
  }

  // Sources first. Takes one after another whose sources nobody that is left makes.
  void order(std::vector<Derivation>& list) const {
    std::vector<Derivation> left = std::move(list);
    list.clear();
    const auto makes = [](const Derivation& one, const FieldPath& source) {
      return overlap(one.target, source);
    };
    const auto isReady = [&](const Derivation& one) {
      return std::none_of(one.expression.sources.begin(), one.expression.sources.end(),
                          [&](const FieldPath& source) {
                            return std::any_of(left.begin(), left.end(),
                                               [&](const Derivation& other) { return makes(other, source); });
                          });
    };
    while (!left.empty()) {
      const auto ready = std::find_if(left.begin(), left.end(), isReady);
      if (ready == left.end()) {
        throw Error(ErrorCode::fixSchema,
                    "fields are made from one another in a circle; take one from elsewhere",
                    {{"type", record_.getShortDisplayName().cStr()}, {"field", left.front().target.text()}});
      }
      list.push_back(std::move(*ready));
      left.erase(ready);
    }
  }

  const capnp::StructSchema record_;
  const std::uint16_t version_;
  std::vector<capnp::StructSchema::Field> path_;
  std::set<std::uint64_t> collected_;  // the record struct and its groups
  Derivations found_;
};

}  // namespace

Derivations derivationsOf(capnp::StructSchema record, std::uint16_t version, NodeList nodes) {
  Collector collector(record, version);
  collector.refuseElsewhere(nodes);
  return collector.take();
}

std::string meaningOf(const Derivations& derivations) {
  std::vector<std::string> lines;
  for (const Derivation& one : derivations.derived)
    lines.push_back("derived " + one.expression.meaning + "\n");
  for (const Derivation& one : derivations.mirrored)
    lines.push_back("mirrored " + one.expression.meaning + "\n");
  for (const Retirement& one : derivations.retired)
    lines.push_back("retired " + one.field.numbers() + " since " + std::to_string(one.since) + "\n");
  std::sort(lines.begin(), lines.end());  // not the order in which fields were written
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

}  // namespace instar::internal
