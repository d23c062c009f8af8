@0xb1d2e3f4a5968778;
using Instar = import "/instar/schema.capnp";

enum Color { red @0; green @1; blue @2; }

struct EveryKey $Instar.version(1) {
  boolean @0 :Bool = true     $Instar.key(0);
  int8 @1 :Int8               $Instar.key(1);
  int16 @2 :Int16 = -7        $Instar.key(2);
  int32 @3 :Int32             $Instar.key(3);
  int64 @4 :Int64             $Instar.key(4);
  uint8 @5 :UInt8             $Instar.key(5);
  uint16 @6 :UInt16           $Instar.key(6);
  uint32 @7 :UInt32 = 99      $Instar.key(7);
  uint64 @8 :UInt64           $Instar.key(8);
  float32 @9 :Float32         $Instar.key(9);
  float64 @10 :Float64 = 2.5  $Instar.key(10);
  color @11 :Color = green    $Instar.key(11);
  text @12 :Text = "default"  $Instar.key(12);
  inner :group {
    data @13 :Data            $Instar.key(13);
  }
  last @14 :Text              $Instar.key(14);
}
