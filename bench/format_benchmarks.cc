#include <benchmark/benchmark.h>
#include <capnp/message.h>

#include "instar/bench/benchmarks.h"
#include "instar/format/checksum.h"
#include "instar/format/row.h"

namespace instar::bench {
namespace {

using benchmark::State;

constexpr std::uint64_t kId = 1'234'567;

void count(State& state) { state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations())); }

StoredRow storedRow() {
  StoredRow row;
  RowEncoder().encode(sampleOf(kId), row);
  return row;
}

void encodeRowBytes(State& state) {
  StoredRow row = storedRow();
  const std::vector<std::byte> payload(row.value.begin() + kMinRowHeaderLength, row.value.end());
  for (auto _ : state) {
    encodeRow(row.value, row.key.bytes(), 1, payload, RowPlacement::leaf);
    benchmark::ClobberMemory();
  }
  count(state);
}

void decodeRowBytes(State& state, Verify verify) {
  const StoredRow row = storedRow();
  for (auto _ : state) {
    RowView view;
    benchmark::DoNotOptimize(decodeRow(row.key.bytes(), row.value, verify, view));
    benchmark::DoNotOptimize(view);
  }
  count(state);
}

void checksumBytes(State& state, std::size_t size) {
  const std::vector<std::byte> payload(size);
  const Key key = keyOf(kId);
  for (auto _ : state) benchmark::DoNotOptimize(rowChecksum(key.bytes(), 1, payload));
  count(state);
}

KeySpec keySpec() { return RecordSchema::fromStruct(capnp::Schema::from<Order>()).key(); }

void encodeKeyOfRecord(State& state) {
  const KeySpec spec = keySpec();
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<Order>(), sampleOf(kId));
  const auto record = message.getRoot<capnp::AnyStruct>().asReader();
  Key key;
  for (auto _ : state) {
    encodeKey(spec, record, key);
    benchmark::ClobberMemory();
  }
  count(state);
}

void encodeKeyOfValues(State& state, const KeySpec& spec, std::span<const KeyValue> values) {
  Key key;
  for (auto _ : state) {
    encodeKey(spec, values, KeyForm::whole, key);
    benchmark::ClobberMemory();
  }
  count(state);
}

void encodeNumber(State& state) {
  const KeyValue values[] = {kId};
  encodeKeyOfValues(state, keySpec(), values);
}

void encodeTextAndNumber(State& state) {
  const KeySpec spec = {{.name = "city", .type = KeyType::text}, {.name = "id", .type = KeyType::int64}};
  const KeyValue values[] = {std::string_view("Königsberg in Bayern"), std::int64_t{-7}};
  encodeKeyOfValues(state, spec, values);
}

void buildRecord(State& state) {
  const Sample sample = sampleOf(kId);
  for (auto _ : state) {
    Draft<Order> order{{}};
    fill(*order, sample);
    benchmark::DoNotOptimize(order.message().getSegmentsForOutput());
  }
  count(state);
}

}  // namespace

void addFormatBenchmarks() {
  benchmark::RegisterBenchmark("format/encode row", encodeRowBytes);
  benchmark::RegisterBenchmark("format/decode row, verified", decodeRowBytes, Verify::yes);
  benchmark::RegisterBenchmark("format/decode row, unverified", decodeRowBytes, Verify::no);
  for (const std::size_t size : {64, 200, 1024, 65536}) {
    benchmark::RegisterBenchmark(("format/checksum of " + std::to_string(size) + " bytes").c_str(),
                                 checksumBytes, size);
  }
  benchmark::RegisterBenchmark("format/encode key of a record", encodeKeyOfRecord);
  benchmark::RegisterBenchmark("format/encode key of a number", encodeNumber);
  benchmark::RegisterBenchmark("format/encode key of text and number", encodeTextAndNumber);
  benchmark::RegisterBenchmark("format/build a record", buildRecord);
}

}  // namespace instar::bench
