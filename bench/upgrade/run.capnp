@0xb7a3c5d1e94f2608;
# What a run of one scenario has shown. A file of JSON a run, an array of them in the page. All times are in
# seconds unless the name says otherwise.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("instar::bench");

struct Run {
  name       @0 :Text;      # what `run` takes to do it again
  system     @1 :Text;      # instar, sqlite, lmdb, rocksdb
  strategy   @2 :Text;
  change     @3 :Text;
  mix        @4 :Text;      # a to f
  access     @5 :Text;
  rows       @6 :UInt64;
  durability @7 :Text;
  rate       @8 :UInt64;    # bytes a second; 0: without limit
  perSecond  @9 :UInt32;    # operations a second; 0: closed loop
  repetition @10 :UInt32;   # from 1; the seed of the operations too
  command    @11 :Text;     # the whole command that repeats it
  at         @12 :Text;     # when it began, ISO 8601 in UTC

  openToFirstAnswer @13 :Float64;  # from opening the file to the first row
  completeAfter     @14 :Float64;  # from opening until the migration was complete; 0: it was not
  duration          @15 :Float64;  # from opening to the end of the load
  changeAt          @16 :Float64;  # when the migration began, from the start of the series
  reads             @17 :Latency;  # of the whole load
  writes            @18 :Latency;
  seconds           @19 :List(Second);
  rowsMigrated      @20 :UInt64;
  rowsLeft          @21 :UInt64;   # of the old form, at the end
  bytesMigrated     @22 :UInt64;   # of key and record of the rows that were migrated, as the old release had them
  # By the process, as the kernel accounts write calls: to the end of load and migration, and what was put off until then.
  bytesWritten      @23 :UInt64;
  bytesWrittenByLoad @24 :UInt64;  # by the same load with strategy none for as long; 0: not known. Found in a report.
  bytesRead         @25 :UInt64;   # from the disk; says something only where isCold
  processorSeconds  @26 :Float64;  # user and system, of the process, over the same time as bytesWritten
  fileBefore        @27 :UInt64;   # bytes on the disk, logs too
  fileHighest       @28 :UInt64;   # also while what was put off was written; the same holds for memory
  fileAfter         @29 :UInt64;   # behind that
  memoryHighest     @30 :UInt64;   # bytes of its own: without the page cache, and without files that are mapped
  # Seconds of work that a kill has cost: from the last durable commit that brought rows over, or from the beginning of
  # the migration where there was none, until the kill. -1: not tried, or the process had ended before.
  lostByKill        @31 :Float64;
  digest            @32 :Text;     # of all rows afterwards: the same for every system and strategy
  disturbance       @33 :Disturbance;
  machine           @34 :Machine;
  processorSecondsOfLoad @35 :Float64;  # of the same load with strategy none for as long; 0: not known. As bytesWrittenByLoad.
  isCold            @36 :Bool;     # the file was not in memory when it was opened
  bytesPutOff       @37 :UInt64;   # of bytesWritten: after load and migration, when all that was put off was written
  rowsKeptByKill    @38 :UInt64;   # that were found in the new form after the kill
  rowsAfterKill     @39 :UInt64;   # that the next process brought over; more than the others: some were done twice
  # Of the load, that had ended when the migration was complete, none of them before the first answer. -1: it was not complete.
  operationsUntilComplete @40 :Int64 = -1;
  sitting           @41 :Text;     # the same for all runs of one call of the program
}

struct Latency {
  count   @0 :UInt64;
  # Microseconds, these five. Percentiles are nan where there are too few operations for one to lie beyond: p95 of
  # fewer than 20, p99 of fewer than 100, p99.9 of fewer than 1,000.
  p50     @1 :Float64 = nan;
  p95     @2 :Float64 = nan;
  p99     @3 :Float64 = nan;
  p999    @4 :Float64 = nan;
  longest @5 :Float64;
}

struct Second {
  # A second of the load, or the part of it that is left at the end.
  from     @0 :Float64;  # from opening the file
  reads    @1 :Latency;
  writes   @2 :Latency;
  migrated @3 :UInt64;   # rows by its end
  written  @4 :UInt64;   # bytes by the process, in it
}

struct Disturbance {
  # What others did on this machine meanwhile.
  stolen    @0 :Float64;  # share of the processors' time that the host took
  others    @1 :Float64;  # share of the processors' time that other processes took; threads of the kernel are none
  syncBefore @2 :Float64; # milliseconds of a write and sync of 4 KiB, median of several, before and after
  syncAfter @3 :Float64;
  disturbed @4 :Bool;     # more of these than a fair comparison bears
  reason    @5 :Text;
  worstStolen @6 :Float64; # as stolen and others, in the second in which it was most
  worstOthers @7 :Float64;
}

struct Machine {
  processor  @0 :Text;
  processors @1 :UInt32;
  memory     @2 :UInt64;
  system     @3 :Text;    # the kernel
  fileSystem @4 :Text;    # under the data
  build      @5 :Text;    # commit, compiler, build type, versions of the libraries
}
