#include "instar/bench/upgrade/sqlite_script.h"

#include <type_traits>
#include <utility>

namespace instar::bench {
namespace {

constexpr const char* kGivenName = "substr(recipient, 1, instr(recipient || ' ', ' ') - 1)";
constexpr const char* kFamilyName = "substr(recipient, instr(recipient || ' ', ' ') + 1)";
constexpr std::size_t kOldColumns = 9;

std::vector<SqliteColumn> columnsOf(Change change) {
  if (change == Change::replaced) {
    return {{"id", &NewRow::id, "INTEGER PRIMARY KEY", "id"},
            {"client", &NewRow::client, "INTEGER", "customer"},
            {"pieces", &NewRow::pieces, "INTEGER", "quantity"},
            {"priceMills", &NewRow::priceMills, "INTEGER", "priceCents * 10"},
            {"placedMillis", &NewRow::placedMillis, "INTEGER", "placedAt / 1000000"},
            {"status", &NewRow::status, "TEXT",
             "CASE state WHEN 0 THEN 'new' WHEN 1 THEN 'paid' WHEN 2 THEN 'sent' ELSE 'done' END"},
            {"address", &NewRow::address, "TEXT", "recipient || ', ' || street"},
            {"remark", &NewRow::remark, "TEXT", "note"}};
  }
  std::vector<SqliteColumn> columns{{"id", &NewRow::id, "INTEGER PRIMARY KEY", "id"},
                                    {"customer", &NewRow::customer, "INTEGER", "customer"},
                                    {"quantity", &NewRow::quantity, "INTEGER", "quantity"},
                                    {"priceCents", &NewRow::priceCents, "INTEGER", "priceCents"},
                                    {"placedAt", &NewRow::placedAt, "INTEGER", "placedAt"},
                                    {"state", &NewRow::state, "INTEGER", "state"},
                                    {"recipient", &NewRow::recipient, "TEXT", "recipient"},
                                    {"street", &NewRow::street, "TEXT", "street"},
                                    {"note", &NewRow::note, "TEXT", "note"}};
  const SqliteColumn weight{"weightGrams", &NewRow::weightGrams, "INTEGER NOT NULL DEFAULT 100"};
  const SqliteColumn given{"givenName", &NewRow::givenName, "TEXT", kGivenName};
  if (change == Change::additive) columns.push_back(weight);
  if (change == Change::derived) columns.push_back(given);
  if (change == Change::history) {
    columns.insert(columns.end(),
                   {weight,
                    given,
                    {"channel", &NewRow::channel, "INTEGER NOT NULL DEFAULT 1"},
                    {"familyName", &NewRow::familyName, "TEXT", kFamilyName},
                    {"discountCents", &NewRow::discountCents, "INTEGER NOT NULL DEFAULT 0"},
                    {"priceMills", &NewRow::priceMills, "INTEGER", "priceCents * 10"},
                    {"taxPermille", &NewRow::taxPermille, "INTEGER NOT NULL DEFAULT 190"},
                    {"label", &NewRow::label, "TEXT", std::string(kFamilyName) + " || ', ' || " + kGivenName,
                     "familyName || ', ' || givenName"},
                    {"loyaltyPoints", &NewRow::loyaltyPoints, "INTEGER NOT NULL DEFAULT 0"}});
  }
  return columns;
}

// "a, b, c" of those for which `textOf` has a text.
template <class TextOf>
std::string listed(std::span<const SqliteColumn> columns, TextOf&& textOf) {
  std::string list;
  for (const SqliteColumn& column : columns) {
    const std::string text = textOf(column);
    if (!text.empty()) list.append(list.empty() ? "" : ", ").append(text);
  }
  return list;
}

std::string createTable(const std::string& name, std::span<const SqliteColumn> columns) {
  return "CREATE TABLE " + name + " (" +
         listed(
             columns,
             [](const SqliteColumn& column) { return std::string(column.name) + " " + column.declaration; }) +
         ")";
}

// All old rows, upgraded, into a table of the new release.
std::string fillFromOrders(const std::string& name, std::span<const SqliteColumn> columns) {
  const std::string names =
      listed(columns, [](const auto& column) { return column.upgrade.empty() ? "" : column.name; });
  return "INSERT INTO " + name + " (" + names + ") SELECT " +
         listed(columns, [](const auto& column) { return column.upgrade; }) + " FROM orders";
}

std::string_view textAt(sqlite3_stmt* row, int place) noexcept {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, place));
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(row, place))};
}

}  // namespace

SqliteScript::SqliteScript(Change change, SqliteForm form)
    : change_(change),
      form_(form),
      table_(change == Change::replaced ? "parcels" : "orders"),
      columns_(columnsOf(change)) {}

std::vector<std::string> SqliteScript::create() const { return {createTable(table_, columns_)}; }

std::vector<std::string> SqliteScript::eager() const {
  if (change_ == Change::replaced)
    return {createTable(table_, columns_), fillFromOrders(table_, columns_), "DROP TABLE orders"};
  std::vector<std::string> statements;
  for (const SqliteColumn& column : std::span(columns_).subspan(kOldColumns)) {
    const std::string name = column.name;
    statements.push_back("ALTER TABLE orders ADD COLUMN " + name + " " + column.declaration);
    if (column.upgrade.empty()) continue;
    statements.push_back("UPDATE orders SET " + name + " = " +
                         (*column.script ? column.script : column.upgrade));
  }
  return statements;
}

std::vector<std::string> SqliteScript::rebuild() const {
  return {createTable("rebuilt", columns_), fillFromOrders("rebuilt", columns_), "DROP TABLE orders",
          "ALTER TABLE rebuilt RENAME TO orders"};
}

std::vector<std::string> SqliteScript::prepare() const {
  if (form_ == SqliteForm::moving) return create();
  std::vector<std::string> statements{"ALTER TABLE orders ADD COLUMN version INTEGER NOT NULL DEFAULT 1"};
  for (const SqliteColumn& column : std::span(columns_).subspan(kOldColumns))
    statements.push_back(std::string("ALTER TABLE orders ADD COLUMN ") + column.name + " " +
                         column.declaration);
  return statements;
}

std::vector<std::string> SqliteScript::rewrite(bool all) const {
  const std::string range = all ? "" : " WHERE id BETWEEN ?1 AND ?2";
  if (form_ == SqliteForm::moving)
    return {fillFromOrders(table_, columns_) + range, "DELETE FROM orders" + range};
  return {"UPDATE orders SET " +
          listed(std::span(columns_).subspan(kOldColumns),
                 [](const SqliteColumn& column) {
                   return column.upgrade.empty() ? "" : column.name + (" = " + column.upgrade);
                 }) +
          ", version = 2" + range + (all ? " WHERE" : " AND") + " version = 1"};
}

std::string SqliteScript::names() const {
  return listed(columns_, [](const SqliteColumn& column) { return std::string(column.name); });
}

std::string SqliteScript::places() const {
  return listed(columns_, [](const SqliteColumn&) { return std::string("?"); });
}

// Of every column but the id, which is ?1.
std::string SqliteScript::assignments() const {
  std::string list;
  for (std::size_t i = 1; i < columns_.size(); ++i)
    list += std::string(columns_[i].name) + " = ?" + std::to_string(i + 1) + ", ";
  return list + "version = 2";
}

std::string SqliteScript::selectFrom(const char* rest) const {
  const std::string form = form_ == SqliteForm::versioned ? "version = 1" : "0";
  std::string text = "SELECT " + form + ", " + names();
  if (form_ != SqliteForm::moving) return text + " FROM " + table_ + rest;
  text += ", NULL";  // the old table has a column more
  return text + " FROM " + table_ + rest +
         " UNION ALL SELECT 1, id, customer, quantity, priceCents, placedAt, state, recipient, street, note "
         "FROM "
         "orders" +
         rest;
}

std::string SqliteScript::select() const { return selectFrom(" WHERE id = ?1"); }
std::string SqliteScript::scan() const { return selectFrom(" WHERE id >= ?1") + " ORDER BY 2 LIMIT ?2"; }

std::string SqliteScript::insert() const {
  if (form_ == SqliteForm::versioned)
    return "INSERT INTO " + table_ + " (" + names() + ", version) VALUES (" + places() + ", 2)";
  return "INSERT INTO " + table_ + " (" + names() + ") VALUES (" + places() + ")";
}

std::string SqliteScript::store() const {
  if (form_ == SqliteForm::moving) return insert();
  return "UPDATE orders SET " + assignments() + " WHERE id = ?1";
}

std::string SqliteScript::remove() const {
  return form_ == SqliteForm::moving ? "DELETE FROM orders WHERE id = ?1" : "";
}

std::string SqliteScript::setPrice() const {
  std::string text = "UPDATE " + table_ + " SET ";
  if (change_ == Change::replaced) text += "priceMills = ?1 * 10";
  if (change_ == Change::history) text += "priceCents = ?1, priceMills = ?1 * 10";
  if (change_ == Change::additive || change_ == Change::derived) text += "priceCents = ?1";
  text += " WHERE id = ?2";
  return form_ == SqliteForm::versioned ? text + " AND version = 2" : text;
}

SqliteRow readRow(const SqliteScript& script, Change change, const SqliteStatement& statement,
                  std::string& scratch) {
  sqlite3_stmt* const row = statement.get();
  if (sqlite3_column_int(row, 0) != 0) {
    const auto number = [row](int place) { return sqlite3_column_int64(row, place); };
    const OldRow old{.id = static_cast<std::uint64_t>(number(1)),
                     .customer = static_cast<std::uint32_t>(number(2)),
                     .quantity = static_cast<std::uint32_t>(number(3)),
                     .priceCents = number(4),
                     .placedAt = number(5),
                     .state = static_cast<std::uint16_t>(number(6)),
                     .recipient = textAt(row, 7),
                     .street = textAt(row, 8),
                     .note = textAt(row, 9)};
    return {upgraded(change, old, scratch), true};
  }
  SqliteRow result{{}, false};
  int place = 1;
  for (const SqliteColumn& column : script.columns()) {
    std::visit(
        [&](auto field) {
          auto& value = result.row.*field;
          using Value = std::remove_reference_t<decltype(value)>;
          if constexpr (std::is_same_v<Value, std::string_view>)
            value = textAt(row, place);
          else
            value = static_cast<Value>(sqlite3_column_int64(row, place));
        },
        column.field);
    ++place;
  }
  return result;
}

void bindRow(const SqliteScript& script, const NewRow& row, const SqliteStatement& statement) {
  int place = 1;
  for (const SqliteColumn& column : script.columns()) {
    std::visit(
        [&](auto field) {
          const auto& value = row.*field;
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string_view>)
            sqlite3_bind_text(statement.get(), place, value.data() == nullptr ? "" : value.data(),
                              static_cast<int>(value.size()), SQLITE_STATIC);
          else
            sqlite3_bind_int64(statement.get(), place, static_cast<sqlite3_int64>(value));
        },
        column.field);
    ++place;
  }
}

}  // namespace instar::bench
