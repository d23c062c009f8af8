#pragma once

// The C++ functions that schemas call by name, for what $Instar.derived and $Instar.mirrored cannot say:
//
//     auto functions = std::make_shared<instar::Functions>();
//     functions->value("sortName", [](capnp::Text::Reader given, capnp::Text::Reader family) {
//       return given.size() == 0 ? std::string(family) : std::string(family) + ", " + given.cStr();
//     });
//     auto store = instar::Store::open("contacts.instar", {.functions = functions});
//
// A function makes the same of the same whenever it is called, and changes nothing else: rows are upgraded at
// every reading until they are put again. Filled by one thread before the store is opened, not changed
// afterwards; then any number of threads call the functions at the same time, so these must stand that.

#include <capnp/dynamic.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace instar {

// Thrown by a function that refuses a row: Error(fixRow) with the reason, Error(fixInput) where a record is
// put. The reason is stored (canary reads, audit) and shown, so it must not tell values that are sensitive.
// What else a function throws refuses the row too, without a reason.
class UpgradeFailure : public std::exception {
 public:
  explicit UpgradeFailure(std::string reason) : reason_(std::move(reason)) {}
  const char* what() const noexcept override { return reason_.c_str(); }

 private:
  std::string reason_;
};

// The values that a call names, in its order; one that is not set (docs/evolution.md) is of the type VOID.
using SourceValues = std::span<const capnp::DynamicValue::Reader>;

// The field that a function makes. It has its default until it is set.
class FieldTarget {
 public:
  FieldTarget(capnp::DynamicStruct::Builder holder, capnp::StructSchema::Field field)
      : holder_(holder), field_(field) {}

  capnp::Type type() const { return field_.getType(); }

  // A value of the field's type. Throws UpgradeFailure for another one, and for a Text that is not UTF-8.
  void set(const capnp::DynamicValue::Reader& value);
  capnp::DynamicStruct::Builder initStruct();
  capnp::DynamicList::Builder initList(unsigned size);

 private:
  capnp::DynamicStruct::Builder holder_;
  capnp::StructSchema::Field field_;
};

// For conversions that know a struct by its schema only: copies a field, of that name or path, into that name
// or `as`, of the same type. Types are the same by their ids, also in lists; `set("address", get("address"))`
// fails for structs and enums, because each record has a schema of its own. What is not set stays unset.
// Throws UpgradeFailure where there is no such field, or where its type is another one.
void copyField(capnp::DynamicStruct::Reader older, capnp::DynamicStruct::Builder newer,
               std::string_view field, std::string_view as = {});

namespace internal {

struct ValueFunction {
  std::function<void(SourceValues, FieldTarget&)> run;
  // Why the function cannot be called with fields of these types; empty where it can, or nobody knows.
  std::function<std::string(std::span<const capnp::Type> sources, capnp::Type target)> misfit;
};

struct StepFunction {
  std::function<void(capnp::DynamicStruct::Builder record)> run;
  std::function<std::string(capnp::StructSchema record)> misfit;  // as above
};

struct ValidatorFunction {
  std::function<std::optional<std::string>(capnp::DynamicStruct::Reader record)> run;
  std::function<std::string(capnp::StructSchema record)> misfit;  // as above
};

struct ConversionFunction {
  std::function<void(capnp::DynamicStruct::Reader older, capnp::DynamicStruct::Builder newer)> run;
  // Why the function cannot be called with records of these structs; empty where it can.
  std::function<std::string(capnp::StructSchema older, capnp::StructSchema newer)> misfit;
};

}  // namespace internal

// Takes function objects that can be called while const: threads would share what they change.
class Functions {
 public:
  // A function for `call` of a derived or mirrored field. Either in the general form,
  //
  //     void (SourceValues sources, FieldTarget& target)
  //
  // or with C++ types, which are compared with those of the fields when a collection is opened:
  //
  //     arguments   numbers exactly as wide as the field, bool, capnp::Text::Reader, capnp::Data::Reader, generated
  //                 enums, readers of generated structs, capnp::List<T>::Reader of numbers, bool, Text and Data. What is
  //                 not set comes as 0 or empty, and as nothing to a std::optional of these
  //     result      numbers, bool, generated enums, what converts to std::string_view (a Text), std::vector<std::byte>
  //                 (a Data), or a std::optional of these
  //
  // Throws Error(fixCall) where the name is empty or there already.
  template <class Function>
  Functions& value(std::string name, Function function);

  // A function for $Instar.upgraded, which changes a record on its way through the versions. It leaves the
  // $key fields as they are. The struct is a generated one, or capnp::DynamicStruct:
  //
  //     functions.step<Product>("fixPrices", [](Product::Builder product) { ... });
  //
  // Throws as value() does.
  template <class Record, class Function>
  Functions& step(std::string name, Function function);

  // A function for $Instar.replaces: makes a record of one struct from one of another. It fills the $key
  // fields too, so that the row stays under its key. The structs are generated ones; or capnp::DynamicStruct,
  // most of all for the older one, whose schema is in the file when its generated code is gone:
  //
  //     functions.conversion<capnp::DynamicStruct, Contact>(
  //         "contactFromPerson", [](capnp::DynamicStruct::Reader person, Contact::Builder contact) { ... });
  //
  // Throws as value() does.
  template <class Older, class Newer, class Function>
  Functions& conversion(std::string name, Function function);

  // A function for $Instar.validated: returns why a record breaks the rule, or nothing. The reason must not
  // show values that are sensitive. The struct is a generated one, or capnp::DynamicStruct:
  //
  //     functions.validator<Product>("priceIsPositive", [](Product::Reader product) -> std::optional<std::string> {
  //       if (product.getPrice() > 0) return std::nullopt;
  //       return "the price is not positive";
  //     });
  //
  // Throws as value() does.
  template <class Record, class Function>
  Functions& validator(std::string name, Function function);

  // For the rest of this layer; null where there is none.
  const internal::ValueFunction* findValue(std::string_view name) const noexcept;
  const internal::StepFunction* findStep(std::string_view name) const noexcept;
  const internal::ValidatorFunction* findValidator(std::string_view name) const noexcept;
  const internal::ConversionFunction* findConversion(std::string_view name) const noexcept;

 private:
  void add(std::string name, internal::ValueFunction function);
  void add(std::string name, internal::StepFunction function);
  void add(std::string name, internal::ConversionFunction function);
  void add(std::string name, internal::ValidatorFunction function);

  std::map<std::string, internal::ValueFunction, std::less<>> values_;
  std::map<std::string, internal::StepFunction, std::less<>> steps_;
  std::map<std::string, internal::ConversionFunction, std::less<>> conversions_;
  std::map<std::string, internal::ValidatorFunction, std::less<>> validators_;
};

// --- What is left is how C++ types and those of fields go together.

namespace internal {

std::string typeMisfit(std::string_view what, capnp::Type given, capnp::Type wanted);
std::string countMisfit(std::size_t given, std::size_t wanted);

std::string recordMisfit(std::string_view what, capnp::StructSchema given, capnp::StructSchema wanted);
// Of a record that the function fills: it has to have room for all fields of the program's type.
std::string roomMisfit(capnp::StructSchema given, capnp::StructSchema wanted);

template <class T>
struct OptionalOf {
  using Value = T;
  static constexpr bool isOptional = false;
};
template <class T>
struct OptionalOf<std::optional<T>> {
  using Value = T;
  static constexpr bool isOptional = true;
};

// Of capnp::Text::Reader capnp::Text, of a number itself.
template <class T>
struct ReadType {
  using Type = T;
};
template <class T>
requires requires { typename T::Reads; }
struct ReadType<T> {
  using Type = typename T::Reads;
};

template <class T>
concept HasKind = requires {
  capnp::_::Kind_<T>::kind;
};

template <class T>
concept ScalarValue = HasKind<T> &&
    (capnp::_::Kind_<T>::kind == capnp::Kind::PRIMITIVE || capnp::_::Kind_<T>::kind == capnp::Kind::ENUM);

template <class T>
concept PointerReader = requires {
  typename T::Reads;
}
&&HasKind<typename T::Reads> && (capnp::_::Kind_<typename T::Reads>::kind == capnp::Kind::BLOB ||
                                 capnp::_::Kind_<typename T::Reads>::kind == capnp::Kind::STRUCT ||
                                 capnp::_::Kind_<typename T::Reads>::kind == capnp::Kind::LIST);

template <class T>
concept ValueArgument =
    ScalarValue<typename OptionalOf<T>::Value> || PointerReader<typename OptionalOf<T>::Value>;

template <class T>
concept ValueResult = ScalarValue<typename OptionalOf<T>::Value> ||
    std::convertible_to<typename OptionalOf<T>::Value, std::string_view> ||
    std::same_as<typename OptionalOf<T>::Value, std::vector<std::byte>>;

template <class Function>
concept GeneralValue = std::is_invocable_v<const Function&, SourceValues, FieldTarget&>;

template <class Function>
concept HasSignature = requires(Function function) {
  std::function(function);
};

// What a value function with C++ types takes and makes.
template <class>
struct Signature;
template <class Result, class... Arguments>
struct Signature<std::function<Result(Arguments...)>> {
  template <class Function>
  static constexpr bool isCallable = std::is_invocable_v<const Function&, std::decay_t<Arguments>...>;
  static constexpr bool takesFields = (ValueArgument<std::decay_t<Arguments>> && ...);
  static constexpr bool makesField = ValueResult<std::decay_t<Result>>;
};
template <class Function>
using SignatureOf = Signature<decltype(std::function(std::declval<Function>()))>;

template <class Function, class Record>
concept StepOf = std::is_invocable_v<const Function&, typename Record::Builder>;

template <class Function, class Record>
concept ValidatorOf = std::is_invocable_r_v < std::optional<std::string>,
const Function&, typename Record::Reader > ;

template <class Function, class Older, class Newer>
concept ConversionOf = std::is_invocable_v<const Function&, typename Older::Reader, typename Newer::Builder>;

template <class Argument>
Argument argumentOf(const capnp::DynamicValue::Reader& value) {
  using Value = typename OptionalOf<Argument>::Value;
  using Type = typename ReadType<Value>::Type;
  if (value.getType() == capnp::DynamicValue::VOID) return Argument();
  // Not by as<Type>(): the schema in the file is another object than that in the program.
  if constexpr (capnp::kind<Type>() == capnp::Kind::ENUM) {
    return static_cast<Value>(value.as<capnp::DynamicEnum>().getRaw());
  } else if constexpr (capnp::kind<Type>() == capnp::Kind::STRUCT) {
    return value.as<capnp::DynamicStruct>().as<capnp::AnyStruct>().template as<Type>();
  } else {
    return value.as<Type>();
  }
}

template <class Argument>
capnp::Type argumentType() {
  return capnp::Type::from<typename ReadType<typename OptionalOf<Argument>::Value>::Type>();
}

template <class Result>
capnp::Type resultType() {
  using Value = typename OptionalOf<Result>::Value;
  if constexpr (std::convertible_to<Value, std::string_view>) {
    return capnp::schema::Type::TEXT;
  } else if constexpr (std::same_as<Value, std::vector<std::byte>>) {
    return capnp::schema::Type::DATA;
  } else {
    return capnp::Type::from<Value>();
  }
}

template <class Result>
void setResult(FieldTarget& target, const Result& result) {
  if constexpr (OptionalOf<Result>::isOptional) {
    if (result) setResult(target, *result);
  } else if constexpr (std::convertible_to<Result, std::string_view>) {
    const std::string text{std::string_view(result)};  // with the NUL that Cap'n Proto asks for
    target.set(capnp::Text::Reader(text.c_str(), text.size()));
  } else if constexpr (std::same_as<Result, std::vector<std::byte>>) {
    target.set(capnp::Data::Reader(reinterpret_cast<const kj::byte*>(result.data()), result.size()));
  } else if constexpr (capnp::kind<Result>() == capnp::Kind::ENUM) {
    target.set(capnp::DynamicEnum(target.type().asEnum(), static_cast<std::uint16_t>(result)));
  } else {
    target.set(result);
  }
}

template <class Result, class... Arguments>
ValueFunction typedValue(std::function<Result(Arguments...)> function) {
  const auto call = [function = std::move(function)]<std::size_t... I>(
      SourceValues sources, FieldTarget & target, std::index_sequence<I...>) {
    setResult<std::decay_t<Result>>(target, function(argumentOf<std::decay_t<Arguments>>(sources[I])...));
  };
  return {
      .run = [call](SourceValues sources,
                    FieldTarget& target) { call(sources, target, std::index_sequence_for<Arguments...>()); },
      .misfit =
          [](std::span<const capnp::Type> sources, capnp::Type target) {
            if (sources.size() != sizeof...(Arguments))
              return countMisfit(sources.size(), sizeof...(Arguments));
            std::string misfit = typeMisfit("it makes", target, resultType<std::decay_t<Result>>());
            std::size_t position = 0;
            const auto compare = [&](capnp::Type wanted) {
              const capnp::Type given = sources[position++];
              if (misfit.empty())
                misfit = typeMisfit("its argument " + std::to_string(position) + " is", given, wanted);
            };
            (compare(argumentType<std::decay_t<Arguments>>()), ...);
            return misfit;
          }};
}

template <class T>
typename T::Reader recordAs(capnp::DynamicStruct::Reader record) {
  if constexpr (std::same_as<T, capnp::DynamicStruct>)
    return record;
  else
    return record.as<capnp::AnyStruct>().template as<T>();
}

template <class T>
typename T::Builder recordAs(capnp::DynamicStruct::Builder record) {
  if constexpr (std::same_as<T, capnp::DynamicStruct>)
    return record;
  else
    return record.as<capnp::AnyStruct>().template as<T>();
}

template <class T>
std::string readMisfit(capnp::StructSchema given) {
  if constexpr (std::same_as<T, capnp::DynamicStruct>)
    return {};
  else
    return recordMisfit("it reads", given, capnp::Schema::from<T>());
}

template <class T>
std::string writeMisfit(capnp::StructSchema given) {
  if constexpr (std::same_as<T, capnp::DynamicStruct>)
    return {};
  else
    return roomMisfit(given, capnp::Schema::from<T>());
}

}  // namespace internal

template <class Record, class Function>
Functions& Functions::step(std::string name, Function function) {
  static_assert(internal::StepOf<Function, Record>,
                "a step is void (Record::Builder), and not mutable: threads call it at the same time");
  add(std::move(name),
      internal::StepFunction{
          .run = [function = std::move(function)](
                     capnp::DynamicStruct::Builder record) { function(internal::recordAs<Record>(record)); },
          .misfit = internal::writeMisfit<Record>});
  return *this;
}

template <class Record, class Function>
Functions& Functions::validator(std::string name, Function function) {
  static_assert(
      internal::ValidatorOf<Function, Record>,
      "a validator is std::optional<std::string> (Record::Reader), and not mutable: threads call it at "
      "the same time");
  add(std::move(name), internal::ValidatorFunction{
                           .run = [function = std::move(function)](
                                      capnp::DynamicStruct::Reader record) -> std::optional<std::string> {
                             return function(internal::recordAs<Record>(record));
                           },
                           .misfit = internal::readMisfit<Record>});
  return *this;
}

template <class Older, class Newer, class Function>
Functions& Functions::conversion(std::string name, Function function) {
  static_assert(
      internal::ConversionOf<Function, Older, Newer>,
      "a conversion is void (Older::Reader, Newer::Builder), and not mutable: threads call it at the "
      "same time");
  add(std::move(name), internal::ConversionFunction{
                           .run =
                               [function = std::move(function)](capnp::DynamicStruct::Reader older,
                                                                capnp::DynamicStruct::Builder newer) {
                                 function(internal::recordAs<Older>(older), internal::recordAs<Newer>(newer));
                               },
                           .misfit =
                               [](capnp::StructSchema older, capnp::StructSchema newer) {
                                 const std::string misfit = internal::readMisfit<Older>(older);
                                 return misfit.empty() ? internal::writeMisfit<Newer>(newer) : misfit;
                               }});
  return *this;
}

template <class Function>
Functions& Functions::value(std::string name, Function function) {
  if constexpr (internal::GeneralValue<Function>) {
    add(std::move(name), internal::ValueFunction{.run = std::move(function), .misfit = {}});
  } else if constexpr (internal::HasSignature<Function>) {
    using Signature = internal::SignatureOf<Function>;
    static_assert(
        Signature::takesFields,
        "a value function takes numbers as wide as the field, bool, capnp::Text::Reader, "
        "capnp::Data::Reader, generated enums, readers of generated structs, capnp::List<T>::Reader, "
        "or a std::optional of these; for others there is void (SourceValues, FieldTarget&)");
    static_assert(
        Signature::makesField,
        "a value function makes numbers as wide as the field, bool, generated enums, what converts to "
        "std::string_view, std::vector<std::byte>, or a std::optional of these; for others there is "
        "void (SourceValues, FieldTarget&)");
    static_assert(
        Signature::template isCallable<Function>,
        "a value function takes values or const references, and is not mutable: threads call it at the "
        "same time");
    if constexpr (Signature::takesFields && Signature::makesField && Signature::template isCallable<Function>)
      add(std::move(name), internal::typedValue(std::function(std::move(function))));
  } else {
    static_assert(internal::HasSignature<Function>,
                  "a value function is neither generic nor overloaded, and can be copied; or it is "
                  "void (SourceValues, FieldTarget&), and not mutable");
  }
  return *this;
}

}  // namespace instar
