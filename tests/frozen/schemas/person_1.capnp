@0xd1c2b3a495867788;
using Instar = import "/instar/schema.capnp";

struct Person @0xe1d2c3b4a5968778 $Instar.version(1) {
  id     @0 :UInt64 $Instar.key(0);
  name   @1 :Text;
  secret @2 :Text $Instar.sensitive;
}
