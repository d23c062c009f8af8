@0xa1b2c3d4e5f60718;
using Instar = import "/instar/schema.capnp";

struct Contact @0xb2c3d4e5f6071829 $Instar.version(4) {
  name   @0 :Text $Instar.key(0);
  born   @1 :Int32 $Instar.key(1);
  kind   @2 :Kind;
  taxId  @3 :Text $Instar.sensitive;
  home :group { street @4 :Text; zip @5 :UInt32; country @6 :Text; }
  tier   @7 :UInt8 = 3;
  channel :union { none @8 :Void; phone @9 :Text; score @10 :Float64; }
  friends @11 :List(Friend);
  enum Kind @0xc3d4e5f60718293a { person @0; company @1; robot @2; }
  struct Friend @0xd4e5f60718293a4b { name @0 :Text; since @1 :Int64; photo @2 :Data; }
}
