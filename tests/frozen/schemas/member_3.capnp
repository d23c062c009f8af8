@0xd1c2b3a495867788;
using Instar = import "/instar/schema.capnp";

struct Member @0xf1e2d3c4b5a69788 $Instar.version(3)
    $Instar.replaces(since = 3, type = 0xe1d2c3b4a5968778, call = "memberFromPerson") {
  # Another struct in its place.
  id     @0 :UInt64 $Instar.key(0);
  title  @1 :Text;
}
