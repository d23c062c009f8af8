#include "instar/evolve/schema_text.h"

#include <capnp/schema-loader.h>

#include <algorithm>
#include <vector>

#include "instar/evolve/internal/annotations.h"
#include "instar/evolve/internal/canonical.h"
#include "instar/evolve/internal/literal.h"
#include "instar/evolve/internal/node_index.h"
#include "instar/evolve/internal/record_code.h"
#include "instar/evolve/internal/scope_tree.h"
#include "instar/evolve/internal/value_text.h"
#include "instar/schema.capnp.h"

namespace instar {
namespace {

using capnp::schema::Node;
using internal::NodeIndex;
using internal::Scope;

// The fields of one struct or group, as code has them.
struct Members {
  std::vector<capnp::StructSchema::Field> plain;
  std::vector<capnp::StructSchema::Field> inUnion;
};

Members membersOf(capnp::StructSchema structure) {
  Members members;
  for (auto field : structure.getFields()) {
    bool isMember = field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT;
    (isMember ? members.inUnion : members.plain).push_back(field);
  }
  auto inCodeOrder = [](const auto& left, const auto& right) {
    return left.getProto().getCodeOrder() < right.getProto().getCodeOrder();
  };
  std::stable_sort(members.plain.begin(), members.plain.end(), inCodeOrder);
  std::stable_sort(members.inUnion.begin(), members.inUnion.end(), inCodeOrder);
  return members;
}

class Writer {
 public:
  explicit Writer(const RecordSchema& schema) : index_(schema.nodes()), tree_(index_, schema.rootId()) {
    for (auto node : schema.nodes()) loader_.load(node);
    alias_ = unusedName("Instar");
    for (const auto& child : tree_.file().children) {
      body_ += "\n";
      writeDeclaration(*child);
    }
  }

  std::string text() const {
    auto head = internal::idLiteral(tree_.fileId()) + ";\n";
    if (annotated_) head += "using " + alias_ + " = import \"/instar/schema.capnp\";\n";
    return head + body_;
  }

 private:
  std::string unusedName(std::string name) const {
    auto taken = [&](const std::string& wanted) {
      return std::any_of(index_.nodes().begin(), index_.nodes().end(),
                         [&](const auto& entry) { return index_.shortName(entry.first) == wanted; });
    };
    while (taken(name)) name += "Annotations";
    return name;
  }

  void line(const std::string& text) { body_ += std::string(2 * depth_, ' ') + text + "\n"; }

  void open(const std::string& text) {
    line(text + " {");
    ++depth_;
  }

  void close() {
    --depth_;
    line("}");
  }

  void writeDeclaration(const Scope& scope) {
    bool isEnum = scope.node && scope.node->isEnum();
    auto id = scope.id == 0 ? std::string() : " " + internal::idLiteral(scope.id);
    open((isEnum ? "enum " : "struct ") + scope.name + id + parameters(scope) + versionText(scope) +
         codeText(scope));
    if (isEnum) {
      writeEnumerants(scope.node->getEnum());
    } else if (scope.node) {
      writeMembers(loader_.get(scope.id).asStruct(), scope);
    }
    for (const auto& child : scope.children) writeDeclaration(*child);
    close();
  }

  std::string parameters(const Scope& scope) const {
    std::string text;
    for (std::uint16_t position = 0; scope.id != 0 && position < index_.parameterCount(scope.id);
         ++position) {
      text += (position > 0 ? ", " : "") + index_.parameterName(scope.id, position);
    }
    return text.empty() ? text : " (" + text + ")";
  }

  void writeEnumerants(Node::Enum::Reader node) {
    std::vector<std::pair<std::uint16_t, std::string>> lines;
    std::uint16_t number = 0;
    for (auto enumerant : node.getEnumerants()) {
      lines.emplace_back(enumerant.getCodeOrder(),
                         std::string(enumerant.getName().cStr()) + " @" + std::to_string(number++) + ";");
    }
    std::stable_sort(lines.begin(), lines.end(),
                     [](const auto& left, const auto& right) { return left.first < right.first; });
    for (const auto& [order, text] : lines) line(text);
  }

  void writeMembers(capnp::StructSchema structure, const Scope& scope) {
    auto members = membersOf(structure);
    for (auto field : members.plain) writeField(field, scope);
    if (members.inUnion.empty()) return;
    open("union");
    for (auto field : members.inUnion) writeField(field, scope);
    close();
  }

  void writeField(capnp::StructSchema::Field field, const Scope& scope) {
    if (field.getProto().isGroup()) return writeGroup(field, scope);
    auto slot = field.getProto().getSlot();
    auto text = std::string(field.getProto().getName().cStr()) + " @" +
                std::to_string(field.getProto().getOrdinal().getExplicit()) + " :" +
                tree_.typeText(internal::resolveType(slot.getType(), index_, nullptr), scope);
    if (!internal::canonicalDefault(slot.getDefaultValue()).empty())
      text += " = " + internal::defaultLiteral(field);
    line(text + fieldAnnotations(field.getProto()) + ";");
  }

  // A group that is nothing but a union is a named union. Its number, where it has one, is a relic that still
  // decides where the discriminant lies.
  void writeGroup(capnp::StructSchema::Field field, const Scope& scope) {
    auto group = field.getType().asStruct();
    auto members = membersOf(group);
    auto ordinal = field.getProto().getOrdinal();
    auto number = ordinal.isExplicit() ? " @" + std::to_string(ordinal.getExplicit()) + "!" : std::string();
    open(std::string(field.getProto().getName().cStr()) + number +
         (members.plain.empty() ? " :union" : " :group") + fieldAnnotations(field.getProto()));
    if (members.plain.empty()) {
      for (auto member : members.inUnion) writeField(member, scope);
    } else {
      writeMembers(group, scope);
    }
    close();
  }

  std::string annotation(const std::string& name, const std::string& value) {
    annotated_ = true;
    return " $" + alias_ + "." + name + value;
  }

  std::string versionText(const Scope& scope) {
    if (!scope.node) return {};
    auto version = internal::findAnnotation(scope.node->getAnnotations(), internal::kVersionAnnotation);
    return version ? annotation("version", "(" + std::to_string(version->getUint16()) + ")") : std::string();
  }

  std::string codeText(const Scope& scope) {
    if (!scope.node) return {};
    std::string text;
    const auto annotations = scope.node->getAnnotations();
    if (const auto value = internal::findAnnotation(annotations, internal::kReplacesAnnotation)) {
      const auto replaced = value->getStruct().getAs<annotation::Replacement>();
      text += annotation(
          "replaces",
          internal::Replacement{replaced.getSince(), replaced.getType(), replaced.getCall().cStr()}.text());
    }
    if (const auto value = internal::findAnnotation(annotations, internal::kUpgradedAnnotation))
      text += annotation("upgraded", listText<annotation::Step>(*value));
    if (const auto value = internal::findAnnotation(annotations, internal::kValidatedAnnotation))
      text += annotation("validated", listText<capnp::Text>(*value));
    return text;
  }

  template <class Element>
  static std::string listText(capnp::schema::Value::Reader list) {
    return "(" +
           internal::valueText(capnp::DynamicList::Reader(list.getList().getAs<capnp::List<Element>>())) +
           ")";
  }

  std::string fieldAnnotations(capnp::schema::Field::Reader field) {
    std::string text;
    auto key = internal::findAnnotation(field.getAnnotations(), internal::kKeyAnnotation);
    if (key) text += annotation("key", "(" + std::to_string(key->getUint8()) + ")");
    if (internal::findAnnotation(field.getAnnotations(), internal::kSensitiveAnnotation)) {
      text += annotation("sensitive", "");
    }
    text += derivationText(field, "derived", internal::kDerivedAnnotation);
    text += derivationText(field, "mirrored", internal::kMirroredAnnotation);
    auto retired = internal::findAnnotation(field.getAnnotations(), internal::kRetiredAnnotation);
    if (retired) text += annotation("retired", "(" + std::to_string(retired->getUint16()) + ")");
    return text;
  }

  std::string derivationText(capnp::schema::Field::Reader field, const char* name, std::uint64_t id) {
    const auto value = internal::findAnnotation(field.getAnnotations(), id);
    if (!value) return {};
    return annotation(name, internal::valueText(capnp::DynamicStruct::Reader(
                                value->getStruct().getAs<annotation::Derivation>())));
  }

  NodeIndex index_;
  internal::ScopeTree tree_;
  capnp::SchemaLoader loader_;
  std::string alias_;
  std::string body_;
  std::size_t depth_ = 0;
  bool annotated_ = false;
};

}  // namespace

std::string schemaText(const RecordSchema& schema) { return Writer(schema).text(); }

}  // namespace instar
