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
  currentVersion @2 :UInt16;   # the highest version that is neither staged nor aborted
  readerFloor @3 :UInt16;      # lowest version of a program that may read
  writerFloor @4 :UInt16;      # lowest version of a program that may write
  tiered @5 :Bool;             # there is a tree "cold/<name>"; never false again
}

struct Tiers {
  # Under "tiers/<name>": what a collection with cold blocks counts by. A row of the hot tree covers one of a block where
  # both have its key; a tombstone does nothing else.
  coldRows @0 :UInt64;         # in all blocks, covered ones too
  coldBlocks @1 :UInt64;
  coldBytes @2 :UInt64;        # of blocks, as they are stored
  coveredRows @3 :UInt64;      # entries of the hot tree that cover one
  tombstones @4 :UInt64;       # among these
  nextBlock @5 :UInt64;        # the number of the next block
  dictionaryFor @6 :UInt16;    # version of the schema for which it was decided whether blocks have a dictionary; 0: not yet
  dictionary @7 :UInt32;       # that new blocks have; 0: none
  dictionaries @8 :UInt32;     # that were ever made
}

struct Dictionary {
  # Under "dictionary/<name>/" and its number as four bytes, high one first: what zstd was told before it saw the rows.
  number @0 :UInt32;
  content @1 :Data;
  version @2 :UInt16;          # of the schema whose rows it was trained on
  trainedAt @3 :Int64;
}

struct Partition {
  # Under "partition/<name>/" and the lower bound: the rows from there to the next partition's. A bound is a prefix of a
  # key, of 255 bytes at the most. A collection without partitions is one, whose floor is its first version.
  floor @0 :UInt16;            # no row of a lower version is here
  passedFor @1 :UInt16;        # version of the schema that the last whole pass was made for; 0: there was none
  compressed @2 :Bool;         # and whether that pass packed rows into blocks
  lastPassedAt @3 :Int64;
  rows @4 :UInt64;             # that the last whole pass saw
  failedRows @5 :UInt64;       # that it could not upgrade
  disturbed @6 :Bool;          # an older program has written since the pass in progress began
  cold @7 :ColdTotals;         # the blocks that the pass in progress has not come to; without one, all of them
  heat @8 :Float64;            # accesses in a second, at heatAt
  heatAt @9 :Int64;

  pass @10 :Pass;              # the pass in progress; null: there is none
  largeRows @11 :UInt64;       # that the last pass found too large for a block
}

struct Pass {
  position @0 :Data;           # the last key that it has done with
  rows @1 :UInt64;
  failedRows @2 :UInt64;
  floor @3 :UInt16;            # the lowest version that it has left behind; 0: no row yet
  cold @4 :ColdTotals;         # the blocks behind it
  startedAt @5 :Int64;
  version @6 :UInt16;          # of the schema that it is made for
  packs @7 :Bool;              # whether it packs rows into blocks
  largeRows @8 :UInt64;
}

struct ColdTotals {
  rows @0 :UInt64;
  blocks @1 :UInt64;
  bytes @2 :UInt64;            # as they are stored
  checksum @3 :UInt64;         # sum of the rows' (rowSum of checksum.h)
}

enum VersionState {
  invalid @0;
  active @1;
  staged @2;     # tried on a share of the keys; the collection's current version and floors are as before
  aborted @3;    # no longer tried, or no longer the current one; rows of it may be left
  settled @4;    # active, and no row is left that has to be upgraded to it
  retired @5;    # both floors are above it
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

struct Staging {
  # Under "staging/<name>": how the staged version is tried, or the one that was staged last.
  version @0 :UInt16;
  percent @1 :Float64;         # of the keys that are served the new way
  shadow @2 :Float64;          # of the keys on whose reads it is tried, those that are served included
  stagedAt @3 :Int64;
  stagedBy @4 :Text;
  endReason @5 :Text;          # why it was promoted or aborted; null: it is staged
  promotes @6 :Bool;           # once the guard rails are satisfied
  minimumSamples @7 :UInt64;   # the guard rails (guard_rails.h)
  maxErrorShare @8 :Float64;
  maxDivergenceShare @9 :Float64;
  maxLatencyRatio @10 :Float64;
  holdFor @11 :UInt64;         # seconds
}

struct Divergence {
  # Under "divergence/<name>/" and XXH3_64 of the key as eight bytes, high one first: a row whose mirrored fields hold
  # something else than what they are made from gives; never values.
  key @0 :Data;
  fields @1 :List(Text);
  version @2 :UInt16;          # that was tried
  seenAt @3 :Int64;
}

enum AuditEvent {
  invalid @0;
  passEnded @1;          # a partition is done; its rows have been read back
  partitionCut @2;
  partitionsMerged @3;
  dictionaryTrained @4;
  mismatch @5;           # what was read back is not what was stored: compaction has stopped
  failed @6;             # a batch has failed, and is tried again
  circuitOpened @7;      # too many failures in a row: compaction waits for somebody
  circuitClosed @8;
  started @9;            # a program compacts from here on
  stopped @10;
  paused @11;
  resumed @12;
  rateChanged @13;
  estimated @14;         # of what there is to do
  finished @15;          # everything that was to do, beside the estimate
  versionGone @16;       # no row of a version is left
  staged @17;            # toVersion is tried from here on
  percentChanged @18;    # of the keys on which it is tried
  promoted @19;          # toVersion is the current one
  aborted @20;           # fromVersion is no longer tried, or no longer the current one
  settled @21;           # no row is left that has to be upgraded to toVersion
  retired @22;           # fromVersion and all below
  reconciled @23;        # mirrored fields and what they are made from, or it has begun: as the reason says
  unsettled @24;         # toVersion is only active again: there may be rows that have to be upgraded to it
}

struct AuditEntry {
  # In the tree "audit" under its number as eight bytes, high one first. Entries are never changed.
  number @0 :UInt64;           # from 1, without gaps
  previous @1 :UInt64;         # XXH3_64 of the stored entry before, 0 in the first
  time @2 :Int64;              # nanoseconds since 1970, UTC
  event @3 :AuditEvent;
  collection @4 :Text;
  partition @5 :Data;          # its lower bound
  fromVersion @6 :UInt16;      # floor before
  toVersion @7 :UInt16;        # floor after
  rows @8 :UInt64;
  failedRows @9 :UInt64;
  cold @10 :ColdTotals;
  bytes @11 :UInt64;           # written; of an estimate: to be written
  milliseconds @12 :UInt64;    # taken; of an estimate: that it will take
  reason @13 :Text;            # in words
  program @14 :Text;           # that did it
  failures @15 :List(FailedRow); # the first of failedRows, in the entry that says that all is done
}

struct FailedRow {
  key @0 :Data;
  version @1 :UInt16;          # that it has
  field @2 :Text;              # that cannot be made; empty: the whole row
  reason @3 :Text;             # without the value
}

struct AuditHead {
  # Under "audit": so that entries that are missing at the end are missed.
  entries @0 :UInt64;
  hash @1 :UInt64;             # of the last stored entry
}

struct Compaction {
  # Under "compaction": what the program that compacts was doing when it last said so; at most every second.
  process @0 :UInt32;
  program @1 :Text;
  updatedAt @2 :Int64;
  wait @3 :UInt8;              # why it is not working at the moment (WaitReason)
  since @4 :Int64;             # that it waits for this, or works
  detail @5 :Text;             # of the last failure
  rate @6 :UInt64;             # bytes a second that it may write; 0: no limit
  bytesPerSecond @7 :UInt64;   # that it has written lately
  rowsPerSecond @8 :UInt64;
  packs @9 :Bool;              # rows into blocks
  stopped @10 :Bool;           # because of a mismatch: nobody compacts until the file has been verified
  collection @11 :Text;        # that it is in
}

struct Canary {
  # Under "canary/<name>": what canary reads of the staged version have shown, of all programs together. Each adds
  # what it has seen; counts and sums only, so that it does not matter who comes first.
  version @0 :UInt16;            # of the schema that is staged
  samples @1 :UInt64;            # canary reads
  failed @2 :UInt64;             # among these
  brokeRules @3 :UInt64;         # others
  diverged @4 :UInt64;
  unexpectedlyUnset @5 :UInt64;
  failures @6 :CanaryFailures;
  brokenRules @7 :CanaryFailures;
  fields @8 :List(CanaryField);  # by name
  activeLatency @9 :List(CanaryLatency);
  stagedLatency @10 :List(CanaryLatency);
  passedOver @11 :UInt64;        # reads of the share that came too fast to be looked at
}

struct CanaryFailures {
  kinds @0 :List(Kind);          # those that come first in the order of field, function, reason
  others @1 :UInt64;             # of all other kinds together

  struct Kind {
    field @0 :Text;
    function @1 :Text;           # or the rule
    reason @2 :Text;
    count @3 :UInt64;
  }
}

struct CanaryField {
  name @0 :Text;
  active @1 :CanaryDistribution; # through the active version
  staged @2 :CanaryDistribution; # and through the staged one
  diverged @3 :UInt64;
  unexpectedlyUnset @4 :UInt64;
}

struct CanaryDistribution {
  rows @0 :UInt64;
  unset @1 :UInt64;
  numbers @2 :UInt64;            # that the others are of: values, or lengths of text, data and lists
  least @3 :Float64;
  greatest @4 :Float64;
  sumLow @5 :UInt64;             # in steps of 2^-24, as a number of 128 bits
  sumHigh @6 :Int64;
}

struct CanaryLatency {
  bucket @0 :UInt16;             # sixteen to each doubling of nanoseconds (evolve/latency_histogram.h)
  count @1 :UInt64;
}
