@0xd1e2f3a4b5c6d7e8;
using Instar = import "/instar/schema.capnp";

struct Contact @0xc4b3a29180716253 $Instar.version(3) {
  id     @0 :UInt64 $Instar.key(0);
  name   @1 :Text;
  email  @2 :Text;
  tier   @3 :UInt8 = 1;
  address :group {
    city @4 :Text;
    zip  @5 :UInt32;
  }
  tags   @6 :List(Text);
  friend @7 :Contact;
}

struct Note @0xe5d4c3b2a1908776 $Instar.version(1) {
  # Byte-string keys.
  text @0 :Text;
  any  @1 :AnyPointer;
}

struct Visit @0xa6b5c4d3e2f1a0b9 $Instar.version(1) {
  place @0 :Text   $Instar.key(0);
  hour  @1 :Int32  $Instar.key(1);
  guest @2 :Text;
}
