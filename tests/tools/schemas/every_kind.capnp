@0xd2f4a1c09b7e6351;
# A record with every kind of field that a row can have.

using Instar = import "/instar/schema.capnp";

enum Colour {
  red @0;
  green @1;
  blue @2;
}

struct Point {
  x @0 :Int32;
  y @1 :Int32 = -5;
}

struct Names {
  # Only pointers: whether it is there cannot be seen from its fields.
  first @0 :Text;
  last @1 :Text;
}

struct Tree {
  label @0 :Text;
  children @1 :List(Tree);
  left @2 :Tree;
}

struct Box(T) {
  content @0 :T;
}

struct EveryKind {
  id @0 :UInt64 $Instar.key(0);
  nothing @1 :Void;
  truth @2 :Bool = true;
  int8 @3 :Int8;
  int16 @4 :Int16 = 300;
  int32 @5 :Int32;
  int64 @6 :Int64;
  uint8 @7 :UInt8 = 1;
  uint16 @8 :UInt16;
  uint32 @9 :UInt32;
  uint64 @10 :UInt64;
  float32 @11 :Float32 = 0.5;
  float64 @12 :Float64;
  colour @13 :Colour = green;
  text @14 :Text;
  textWithDefault @15 :Text = "default";
  data @16 :Data;
  point @17 :Point;
  names @18 :Names;
  address :group {
    street @19 :Text;
    number @20 :UInt16;
  }
  union {
    none @21 :Void;
    age @22 :UInt8;
    note @23 :Text;
    place @24 :Point;
    span :group {
      begin @25 :Int64;
      end @26 :Int64;
    }
  }
  shape :union {
    circle @27 :Float64;
    label @28 :Text;
    inner :union {
      a @29 :Void;
      b @30 :Names;
    }
  }
  truths @31 :List(Bool);
  numbers @32 :List(Int64);
  texts @33 :List(Text);
  datas @34 :List(Data);
  points @35 :List(Point);
  colours @36 :List(Colour);
  matrix @37 :List(List(Float32));
  voids @38 :List(Void);
  tree @39 :Tree;
  anything @40 :AnyPointer;
  anyStruct @41 :AnyStruct;
  textBox @42 :Box(Text);
  openBox @43 :Box;
}
