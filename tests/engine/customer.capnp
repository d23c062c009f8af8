@0xa1c7e93d50f4b268;

using Instar = import "/instar/schema.capnp";
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("instar::testing");

# What a program stored before.
struct Person @0xd3b5f8102c6e9a47 $Instar.version(1) {
  id   @0 :UInt64 $Instar.key(0);
  name @1 :Text;
  age  @2 :UInt8;
}

# What it stores now.
struct Customer @0xe8a2407bd91f3c65 $Instar.version(3)
    $Instar.replaces(since = 3, type = 0xd3b5f8102c6e9a47, call = "customerFromPerson") {
  names @0 :List(Text);
  id    @1 :UInt64 $Instar.key(0);
  adult @2 :Bool;
}
