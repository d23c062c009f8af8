#pragma once
// The user's own file under the next version of its schema, in place of the rows that are made here: Instar's
// strategies over copies of it. Types come from the file and from the schema at run time. Rows that are there
// are read, and written as they were read.

#include <memory>
#include <string>

#include "instar/bench/upgrade/subject.h"
#include "instar/evolve/record_schema.h"

namespace instar::bench {

struct OwnFile {
  std::filesystem::path file;  // only read
  std::string collection;
  std::string schema;  // FILE.capnp:STRUCT
  // What measureOwn() has found.
  std::uint64_t rows = 0;
  double bytesOfRow = 0;  // of key and record, on average
};

// Throws std::invalid_argument that says what to do instead for mixes that insert and for schemas that call
// functions of the application; what tools/schema_file.h throws where the schema is none.
void refuseWhatCannotBeMeasured(const OwnFile& own, const Scenario& scenario);

void measureOwn(OwnFile& own);

// Ids of the sessions are places among the keys. The scenario and the schema are not to be refused.
std::unique_ptr<Subject> makeOwnSubject(const Scenario& scenario, const OwnFile& own,
                                        const std::filesystem::path& folder);

}  // namespace instar::bench
