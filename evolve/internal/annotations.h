#pragma once

// The ids of the annotations in instar/schema.capnp. Cap'n Proto generates no constants for them; a test
// compares these with the file. Pure; any thread.

#include <capnp/schema.capnp.h>

#include <cstdint>
#include <optional>

namespace instar::internal {

inline constexpr std::uint64_t kVersionAnnotation = 0xb7f1e6c29d305a84;
inline constexpr std::uint64_t kKeyAnnotation = 0xd46ea7309b81c5f2;
inline constexpr std::uint64_t kSensitiveAnnotation = 0xf09b5b1a7c2e4d63;
inline constexpr std::uint64_t kDerivedAnnotation = 0xf4314959d812b8f6;
inline constexpr std::uint64_t kMirroredAnnotation = 0x931bdd6c87312ccd;
inline constexpr std::uint64_t kRetiredAnnotation = 0xb634fd8a62f9fae5;
inline constexpr std::uint64_t kUpgradedAnnotation = 0x975da75f7c800a4f;
inline constexpr std::uint64_t kValidatedAnnotation = 0xf320394299a9e4c7;
inline constexpr std::uint64_t kReplacesAnnotation = 0x80a18fd405b67276;

// The value of an annotation, or nothing where it does not stand there. Borrowed from the list.
inline std::optional<capnp::schema::Value::Reader> findAnnotation(
    capnp::List<capnp::schema::Annotation>::Reader annotations, std::uint64_t id) {
  for (auto annotation : annotations) {
    if (annotation.getId() == id) return annotation.getValue();
  }
  return std::nullopt;
}

}  // namespace instar::internal
