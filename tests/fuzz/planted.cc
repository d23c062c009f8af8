// The fuzzer that must fail, so that the others can be believed: it forgets that a tombstone has no
// payload, and reads beyond the end of one. `./dev fuzz` runs it first, and fails where it finds nothing:
// then the code is built without AddressSanitizer, or without the feedback that leads to a row's header
// with the right flags.

#include <cstdlib>
#include <memory>

#include "instar/format/row.h"
#include "instar/tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace instar;
  if (size == 0) return 0;
  const Bytes value = std::as_bytes(std::span(data, size));
  const auto copy = std::make_unique<std::byte[]>(size);
  std::memcpy(copy.get(), value.data(), size);
  RowView row;
  if (decodeRow({}, Bytes(copy.get(), size), Verify::no, row) != RowDamage::none) return 0;
  if (row.version < 0x100) return 0;
  [[maybe_unused]] const volatile std::byte first = row.payload.data()[0];
  return 0;
}
