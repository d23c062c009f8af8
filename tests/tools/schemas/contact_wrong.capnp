@0xc1b0a4d2e3f59689;
# A field is gone and another has a new type: what no release may do.
using Instar = import "/instar/schema.capnp";

struct Contact @0xf0c4a1b2d3e59687 $Instar.version(2) {
  group @0 :Text $Instar.key(0);
  id @1 :UInt32 $Instar.key(1);
  name @2 :Data;
}
