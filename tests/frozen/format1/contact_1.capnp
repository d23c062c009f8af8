@0xa1b2c3d4e5f60718;
using Instar = import "/instar/schema.capnp";

struct Contact @0xb2c3d4e5f6071829 $Instar.version(1) {
  name   @0 :Text $Instar.key(0);
  born   @1 :Int32 $Instar.key(1);
  kind   @2 :Kind;
  taxId  @3 :Text $Instar.sensitive;
  home :group { street @4 :Text; zip @5 :UInt32; }
  enum Kind @0xc3d4e5f60718293a { person @0; company @1; }
}
