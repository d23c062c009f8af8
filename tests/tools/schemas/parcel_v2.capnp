@0xb8d2e5a17c40f963;
# The same in grams, with the sender's town on its own, and the route as a number.

using Instar = import "/instar/schema.capnp";

struct Parcel @0xa5f3c8e1d7b29046 $Instar.version(2) {
  id     @0 :UInt32 $Instar.key(0);
  kilos  @1 :UInt8  $Instar.mirrored(since = 2, scale = (field = "grams", divide = 1000));
  sender @2 :Text   $Instar.sensitive;
  route  @3 :Text   $Instar.mirrored(since = 2, convert = "line");
  grams  @4 :UInt32 $Instar.derived(since = 2, scale = (field = "kilos", multiply = 1000));
  town   @5 :Text   $Instar.sensitive $Instar.derived(since = 2, split = (field = "sender", by = ", ", part = -1));
  line   @6 :UInt16 $Instar.derived(since = 2, convert = "route");
}
