@0xa8929962eca03b54;
# The same without what was in the place of grams and line.

using Instar = import "/instar/schema.capnp";

struct Parcel @0xa5f3c8e1d7b29046 $Instar.version(3) {
  id     @0 :UInt32 $Instar.key(0);
  kilos  @1 :UInt8  $Instar.retired(3);
  sender @2 :Text   $Instar.sensitive;
  route  @3 :Text   $Instar.retired(3);
  grams  @4 :UInt32 $Instar.derived(since = 2, scale = (field = "kilos", multiply = 1000));
  town   @5 :Text   $Instar.sensitive $Instar.derived(since = 2, split = (field = "sender", by = ", ", part = -1));
  line   @6 :UInt16 $Instar.derived(since = 2, convert = "route");
}
