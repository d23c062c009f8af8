#include "instar/engine/internal/staging/divergence_log.h"

#include "instar/engine/internal/store_state.h"
#include "instar/format/checksum.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

Key prefixOf(std::string_view collection) {
  Key key(kDivergenceKeyPrefix);
  key.append(asBytes(collection));
  key.append(asBytes("/"));
  return key;
}

// A key can be too long to be part of another one.
Key recordKey(std::string_view collection, Bytes row) {
  const std::uint64_t hash = hash64(row);
  std::byte bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = std::byte(hash >> (56 - 8 * i));
  Key key = prefixOf(collection);
  key.append(bytes);
  return key;
}

}  // namespace

void forEachDivergence(TransactionState& transaction, std::string_view collection,
                       const std::function<void(catalog::Divergence::Reader)>& visit) {
  const Catalog catalog(transaction);
  const Key prefix = prefixOf(collection);
  const auto cursor = transaction.storage().cursor(transaction.store().catalog());
  for (bool more = cursor->seek(prefix.bytes()); more && startsWith(cursor->key(), prefix.bytes());
       more = cursor->next()) {
    visit(*catalog.decode<catalog::Divergence>(cursor->key(), cursor->value()));
  }
}

void logDivergences(TransactionState& transaction, std::string_view collection, std::uint16_t version,
                    const DivergedRows& rows) {
  if (rows.empty()) return;
  std::size_t kept = 0;
  forEachDivergence(transaction, collection, [&](catalog::Divergence::Reader) { ++kept; });
  Catalog catalog(transaction);
  for (const auto& [row, fields] : rows) {
    if (kept >= kMaxDivergences) return;
    const Key key = recordKey(collection, row.bytes());
    if (catalog.read<catalog::Divergence>(key)) continue;
    Draft<catalog::Divergence> record{{}};
    record->setKey(dataOf(row.bytes()));
    auto names = record->initFields(static_cast<unsigned>(fields.size()));
    for (unsigned i = 0; i < names.size(); ++i) names.set(i, stringPtr(fields[i]));
    record->setVersion(version);
    record->setSeenAt(now());
    catalog.write(key, record);
    ++kept;
  }
}

void eraseDivergences(TransactionState& transaction, std::string_view collection) {
  std::vector<Key> rows;
  forEachDivergence(transaction, collection,
                    [&](catalog::Divergence::Reader record) { rows.emplace_back(bytesOf(record.getKey())); });
  eraseDivergences(transaction, collection, rows);
}

void eraseDivergences(TransactionState& transaction, std::string_view collection,
                      const std::vector<Key>& rows) {
  Catalog catalog(transaction);
  for (const Key& row : rows) catalog.erase(recordKey(collection, row.bytes()));
}

}  // namespace instar
