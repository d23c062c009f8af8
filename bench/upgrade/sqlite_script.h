#pragma once
// What each Change is in SQL: the columns of both releases and the statements of each way to migrate, as
// people write them. Values are `orders` of the old release, made by SqliteReference. Pure; any thread.

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "instar/bench/sqlite_reference.h"
#include "instar/bench/upgrade/change.h"

namespace instar::bench {

// Of the new release's table.
struct SqliteColumn {
  using Field = std::variant<std::uint64_t NewRow::*, std::uint32_t NewRow::*, std::int64_t NewRow::*,
                             std::uint16_t NewRow::*, std::string_view NewRow::*>;
  const char* name;
  Field field;
  const char* declaration;
  std::string upgrade = {};  // an expression over the columns of the old release; empty: the declared default
  const char* script = "";   // over the columns of the version before, where that is another
};

// Where rows of the old form may be while the new release runs.
enum class SqliteForm : std::uint8_t {
  settled,    // nowhere
  versioned,  // in the same table: column `version` is 1
  moving,     // in the old table, from which they are moved
};

class SqliteScript {
 public:
  SqliteScript(Change change, SqliteForm form);

  std::span<const SqliteColumn> columns() const noexcept { return columns_; }
  SqliteForm form() const noexcept { return form_; }

  // Each list is run in one transaction.
  std::vector<std::string> create() const;  // the new release's table, where there is nothing yet
  std::vector<std::string> eager()
      const;  // adds and fills the columns version by version, or makes the new table
  std::vector<std::string> rebuild() const;  // fills a new table and gives it the name of the old one
  std::vector<std::string> prepare() const;  // what has to be there before rows of either form can be
  // Brings rows of the old form over: all, or ids from ?1 to ?2. The last statement changes each of them
  // once.
  std::vector<std::string> rewrite(bool all) const;

  // Rows as readRow() takes them: of id ?1; from id ?1 on in order, at most ?2.
  std::string select() const;
  std::string scan() const;
  // Values of columns() from ?1 on.
  std::string insert() const;
  // A row of the old form, upgraded, in place of that, and what is left to be done with that (of id ?1).
  std::string store() const;
  std::string remove() const;  // empty: nothing
  // Price ?1 of row ?2, which is of the new form.
  std::string setPrice() const;

 private:
  std::string names() const;
  std::string places() const;
  std::string assignments() const;
  std::string selectFrom(const char* rest) const;

  const Change change_;
  const SqliteForm form_;
  const std::string table_;
  const std::vector<SqliteColumn> columns_;
};

struct SqliteRow {
  NewRow row;  // texts lie in the statement or in `scratch`
  bool old;    // it has been upgraded
};

// The row on which a select() or scan() stands.
SqliteRow readRow(const SqliteScript& script, Change change, const SqliteStatement& statement,
                  std::string& scratch);
// For insert() and store(); texts have to stay until the statement has run.
void bindRow(const SqliteScript& script, const NewRow& row, const SqliteStatement& statement);

}  // namespace instar::bench
