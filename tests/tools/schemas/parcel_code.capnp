@0x9a4c17e2b58f60d3;
# With fields that only a program can make.

using Instar = import "/instar/schema.capnp";

struct Parcel @0xa5f3c8e1d7b29046 $Instar.version(2) $Instar.upgraded([(to = 2, call = "tidyRoute")])
    $Instar.validated(["hasWeight"]) {
  id     @0 :UInt32 $Instar.key(0);
  kilos  @1 :UInt8  $Instar.mirrored(since = 2, call = (function = "kilos", from = ["grams"]));
  sender @2 :Text   $Instar.sensitive;
  route  @3 :Text;
  grams  @4 :UInt32 $Instar.derived(since = 2, call = (function = "grams", from = ["kilos"]));
}

# Another struct for the same collection.
struct Shipment @0xc91e5d7a3b2f8046 $Instar.version(3)
    $Instar.replaces(since = 3, type = 0xa5f3c8e1d7b29046, call = "shipmentFromParcel") {
  number @0 :UInt32 $Instar.key(0);
  weight @1 :Float64;
}
