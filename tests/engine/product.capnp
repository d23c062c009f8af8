@0xf2b8d4a6170c59e3;

using Instar = import "/instar/schema.capnp";
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("instar::testing");

# Version 3 has its prices in cents.
struct Product @0x9b7d5f3e1c2a4806 $Instar.version(4) $Instar.upgraded([(to = 3, call = "fixPrices")])
    $Instar.validated(["priceIsPositive", "hasName"]) {
  id     @0 :UInt64 $Instar.key(0);
  price  @1 :UInt32;
  before @2 :UInt32 $Instar.derived(since = 2, copy = "price");
  behind @3 :UInt32 $Instar.derived(since = 4, copy = "price");
  name   @4 :Text;
}
