@0xc2b7d1e98f3a6450;
# One record with a field of most kinds, for the fuzzers.
using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("instar::fuzz");

enum Colour {
  red @0;
  green @1;
}

struct Sample $Instar.version(1) {
  id @0 :Int32 $Instar.key(0);
  name @1 :Text $Instar.key(1);
  weight @2 :Float64 $Instar.key(2);
  colour @3 :Colour $Instar.key(3);
  blob @4 :Data $Instar.key(4);
  big @5 :UInt64 = 7;
  flag @6 :Bool = true;
  parts @7 :List(Sample);
  numbers @8 :List(Int16);
  matrix @9 :List(List(Text));
  anything @10 :AnyPointer;
  union {
    none @11 :Void;
    small @12 :UInt8;
    inner @13 :Sample;
  }
}

struct Plain $Instar.version(2) {
  # Under byte-string keys, for the forms in which a row brings its key along.
  name @0 :Text;
  number @1 :Float32;
  data @2 :Data;
  address :group {
    city @3 :Text;
    house @4 :UInt16;
  }
  gone @5 :Text $Instar.retired(2);
  tags @6 :List(Text);
}
