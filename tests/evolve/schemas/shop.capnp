@0xe0a1b2c3d4e5f602;
# Types from several files, with names that hide one another.

using Names = import "shop_names.capnp";
using Instar = import "/instar/schema.capnp";

struct Item {
  title @0 :Text;
  other @1 :Names.Item;
}

struct Shop {
  struct Order $Instar.version(2) {
    id @0 :UInt32 $Instar.key(0);
    item @1 : .Item;
    names @2 :Names.Item;
    text @3 :Names.Text;
    stage @4 :Names.Instar;
    own @5 :Item;
    note @6 :Text;
    struct Item {
      outer @0 : .Item;
      self @1 :Item;
      sibling @2 :Part.Item;
    }
    struct Part {
      struct Item {
        count @0 :UInt32;
        order @1 :Order;
        global @2 : .Item;
      }
    }
  }
}
