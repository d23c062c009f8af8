@0x9d1c7a50e2b84f36;
# The record that is measured: some integers and three texts, about 200 bytes with key and header.

using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("instar::bench");

struct Order $Instar.version(1) {
  id         @0 :UInt64 $Instar.key(0);
  customer   @1 :UInt32;
  quantity   @2 :UInt32;
  priceCents @3 :Int64;
  placedAt   @4 :Int64;   # nanoseconds since 1970
  state      @5 :UInt16;
  recipient  @6 :Text;
  street     @7 :Text;
  note       @8 :Text;
}
