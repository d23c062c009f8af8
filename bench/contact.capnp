@0xd2f7a1c65b0e3894;
# A contact whose name was divided in version 3: what a canary read of that version costs.

using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("instar::bench");

struct Contact @0xb3c1d5e7f9021436 $Instar.version(3) {
  id    @0 :UInt64 $Instar.key(0);
  name  @1 :Text   $Instar.mirrored(since = 3, concat = [(field = "first"), (text = " "), (field = "last")]);
  email @2 :Text;
  tier  @3 :UInt8 = 1;
  first @4 :Text   $Instar.derived(since = 3, split = (field = "name", by = " ", part = 0));
  last  @5 :Text   $Instar.derived(since = 3, split = (field = "name", by = " ", part = 1));
  taxId @6 :Text   $Instar.sensitive;
}

struct OlderContact @0x9ad8f1027c35be64 $Instar.version(2) {
  # Version 2 of it, with an id of its own since one file cannot have both.
  id    @0 :UInt64 $Instar.key(0);
  name  @1 :Text;
  email @2 :Text;
  tier  @3 :UInt8 = 1;
}
