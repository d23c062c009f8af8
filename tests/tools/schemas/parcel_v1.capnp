@0xb8d2e5a17c40f963;
# A parcel: kilograms, and a sender in one text.

using Instar = import "/instar/schema.capnp";

struct Parcel @0xa5f3c8e1d7b29046 $Instar.version(1) {
  id     @0 :UInt32 $Instar.key(0);
  kilos  @1 :UInt8;
  sender @2 :Text $Instar.sensitive;
  route  @3 :Text;
}
