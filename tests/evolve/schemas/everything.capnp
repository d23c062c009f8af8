@0xd8f3a1b2c4e5f607;
# One record with everything that a field can be.

using Instar = import "/instar/schema.capnp";

enum Colour {
  red @0;
  blue @2;
  green @1;
}

struct Point {
  x @0 :Int32 = -7;
  y @1 :Int32;
  label @2 :Text = "here";
}

struct Everything $Instar.version(3) {
  id @0 :UInt64 $Instar.key(1);
  tenant @1 :Text $Instar.key(0);
  nothing @2 :Void;
  truth @3 :Bool = true;
  small @4 :Int8 = -128;
  short @5 :Int16 = -32768;
  int @6 :Int32 = -2147483648;
  long @7 :Int64 = -9223372036854775808;
  byte @8 :UInt8 = 255;
  word @9 :UInt16 = 65535;
  double @10 :UInt32 = 4294967295;
  quad @11 :UInt64 = 18446744073709551615;
  single @12 :Float32 = 0.1;
  precise @13 :Float64 = 1e-300;
  infinite @14 :Float32 = -inf;
  undefined @15 :Float64 = nan;
  text @16 :Text = "quote \" backslash \\ line\n tab\t bell\x07 grün";
  data @17 :Data = 0x"00 ff 0a";
  colour @18 :Colour = green;
  point @19 :Point = (x = 0, y = 12, label = "there");
  numbers @20 :List(Int16) = [1, -2, 3];
  words @21 :List(Text) = ["a", "", "c"];
  nested @22 :List(List(Bool)) = [[true], [], [false, true]];
  points @23 :List(Point) = [(), (x = 1), (label = "")];
  colours @24 :List(Colour) = [blue, red];
  voids @25 :List(Void) = [void, void];
  blobs @26 :List(Data) = [0x"01", "ab"];
  anything @27 :AnyPointer;
  anyStruct @28 :AnyStruct;
  anyList @29 :AnyList;
  shape @30 :Shape = (circle = 2.5);
  shapes @31 :List(Shape) = [(none = void), (box = (width = 1, height = 2))];
  secret @32 :Text $Instar.sensitive;
  address :group $Instar.sensitive {
    city @34 :Text;
    street @33 :Text;
    geo :group {
      latitude @35 :Float64;
      longitude @36 :Float64;
      union {
        unknown @37 :Void;
        accuracy @38 :Float32 = 1.5;
      }
    }
  }
  choice :union {
    first @39 :UInt32;
    second :group {
      left @40 :Text;
      right @41 :Text;
    }
    third @42 :Point;
  }
  union {
    plain @43 :Text;
    coded @44 :Data;
    numbered @45 :UInt16 = 5;
  }
  zero @46 :UInt8 = 0;
  empty @47 :Text = "";
  negativeZero @48 :Float64 = -0.0;

  struct Shape {
    area @0 :Float32;
    union {
      none @1 :Void;
      circle @2 :Float64;
      box :group {
        width @3 :Float64;
        height @4 :Float64;
      }
    }
  }
}
