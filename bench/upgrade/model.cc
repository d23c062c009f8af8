#include "instar/bench/upgrade/model.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "instar/bench/upgrade/change.h"
#include "instar/format/row.h"

namespace instar::bench {

Subject::Census expectedCensus(const Scenario& scenario, std::span<const Operation> written) {
  std::unordered_map<std::uint64_t, std::int64_t> prices;
  std::uint64_t rows = scenario.rows;
  for (const Operation& operation : written) {
    const std::uint64_t id = operation.id;
    switch (operation.kind) {
      case Operation::Kind::update:
        prices[id] = operation.priceCents;
        break;
      case Operation::Kind::readModifyWrite: {
        const auto place = prices.try_emplace(id, sampleOf(id).priceCents).first;
        place->second = raised(place->second);
        break;
      }
      case Operation::Kind::insert:
        rows = std::max(rows, id + 1);
        break;
      default:
        break;
    }
  }
  Subject::Census census{.rows = rows};
  std::string scratch;
  for (std::uint64_t id = 0; id < rows; ++id) {
    NewRow row = upgraded(scenario.change, sampleOf(id), scratch);
    if (const auto price = prices.find(id); price != prices.end())
      setPrice(scenario.change, row, price->second);
    census.digest += digestOf(scenario.change, row);
  }
  return census;
}

double bytesOfOldRow(std::uint64_t rows) {
  const std::uint64_t looked = std::min<std::uint64_t>(rows, 1000);
  const RowEncoder encoder;
  StoredRow row;
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < looked; ++i) {
    encoder.encode(sampleOf(i * (rows / looked)), row);
    const std::size_t keyBytes = row.key.bytes().size();
    bytes += keyBytes + row.value.size() - rowHeaderLength(keyBytes, RowPlacement::leaf);
  }
  return static_cast<double>(bytes) / static_cast<double>(looked);
}

}  // namespace instar::bench
