@0xc1b0a4d2e3f59687;
using Instar = import "/instar/schema.capnp";

struct Contact @0xf0c4a1b2d3e59687 $Instar.version(1) {
  group @0 :Text $Instar.key(0);
  id @1 :UInt32 $Instar.key(1);
  name @2 :Text;
  tags @3 :List(Text);
}
