@0xd1d3a5f7c9b84e26;
using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("consumer");

struct Contact $Instar.version(2) {
  id @0 :UInt64 $Instar.key(0);
  name @1 :Text;
  taxId @2 :Text $Instar.sensitive;
}
