@0xa97c3e5b10d8f264;
# The records that Instar stores for itself in the tree "catalog". Each is written like a row (row.h), under the key that
# is named here, stamped with the file format's version in place of a schema version.

using Cxx = import "/capnp/c++.capnp";
using Schema = import "/capnp/schema.capnp";
$Cxx.namespace("instar::catalog");

struct Format {
  # Under "format": what the file is. Written once, when the file is created.
  magic @0 :UInt64;         # kMagic of file_format.h
  version @1 :UInt16;       # version of the file format
  createdAt @2 :Int64;      # nanoseconds since 1970, UTC
  createdBy @3 :Text;       # release of Instar, for example "instar 0.1.0"
}

struct Generation {
  # Under "generation": goes up with every change of the catalog, so that a reader sees at once whether to look again.
  number @0 :UInt64;
}

struct Collection {
  # Under "collection/<name>".
  name @0 :Text;
  createdAt @1 :Int64;
  currentVersion @2 :UInt16;   # the highest version that was ever opened for writing
  readerFloor @3 :UInt16;      # lowest version of a program that may read
  writerFloor @4 :UInt16;      # lowest version of a program that may write
}

enum VersionState {
  invalid @0;
  active @1;
}

struct Version {
  # Under "version/<name>/" and the version's number as two bytes, high one first.
  number @0 :UInt16;
  state @1 :VersionState;
  fingerprint @2 :UInt64;      # of what the schema means; names of files and order of declarations do not count
  typeName @3 :Text;
  rootId @4 :UInt64;           # Cap'n Proto id of the record struct
  nodes @5 :List(Schema.Node); # the record struct and every type that it uses
  addedAt @6 :Int64;
  addedBy @7 :Text;
  changes @8 :List(Text);      # against the version before, a line each, as `instar schema diff` prints them
}
