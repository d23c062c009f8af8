@0xe3f1a9c27d5b4086;
# What the page shows beside the runs, computed where tables are (figures.h, aims.h). What is not known is nan.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("instar::bench");

struct Derived {
  figures @0 :List(Figures);  # of each run, in their order
  aims    @1 :List(AimText);
}

struct Figures {
  writeWait          @0 :Float64;  # seconds, opening counted
  readWait           @1 :Float64;
  openWriteWait      @2 :Float64;  # once the file was open
  amplification      @3 :Float64;
  migrationProcessor @4 :Float64;  # seconds
  throughput         @5 :Float64;  # operations a second until the migration was complete
  throughputShare    @6 :Float64;  # of that without a migration in as long, its median
  bytesRead          @7 :Float64;
  isUnfinished       @8 :Bool;     # the load had to end before the migration, which ends by itself
  machine            @10 :Text;    # and build, as they are compared (textOf() in figures.h)
  series             @9 :Text;     # what competes: system, strategy, and the strategy's own options, as in the name
}

struct AimText {
  title    @0 :Text;
  strategy @1 :Text;
  measured @2 :Text;
  verdict  @3 :Text;
  command  @4 :Text;
  where    @5 :Text;
}
