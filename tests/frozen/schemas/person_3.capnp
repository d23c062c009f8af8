@0xd1c2b3a495867788;
using Instar = import "/instar/schema.capnp";

struct Person @0xe1d2c3b4a5968778 $Instar.version(3) {
  id     @0 :UInt64 $Instar.key(0);
  name   @1 :Text $Instar.mirrored(since = 3, concat = [(field = "first"), (text = " "), (field = "last")]);
  secret @2 :Text $Instar.sensitive;
  tier   @3 :UInt8 = 1;
  first  @4 :Text $Instar.derived(since = 3, split = (field = "name", by = " ", part = 0));
  last   @5 :Text $Instar.derived(since = 3, split = (field = "name", by = " ", part = 1));
}
