@0xc5d6e7f809123456;
# Types that contain themselves, directly and through others, and a record that is nested.

using Instar = import "/instar/schema.capnp";

struct Tree {
  struct Node $Instar.version(9) {
    name @0 :Text $Instar.key(0);
    children @1 :List(Node);
    link @2 :Link;
    struct Link {
      target @0 :Node;
      style @1 :Style = dotted;
      enum Style { solid @0; dotted @1; }
    }
  }
}
