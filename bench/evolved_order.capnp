@0xfc3cf24227709d95;
# Order after one version that is not additive: what reading an old row and putting a new one cost then.

using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("instar::bench");

struct SplitOrder $Instar.version(2) {
  # Rows of version 1 have no givenName.
  id         @0 :UInt64 $Instar.key(0);
  customer   @1 :UInt32;
  quantity   @2 :UInt32;
  priceCents @3 :Int64;
  placedAt   @4 :Int64;
  state      @5 :UInt16;
  recipient  @6 :Text;
  street     @7 :Text;
  note       @8 :Text;
  givenName  @9 :Text $Instar.derived(since = 2, split = (field = "recipient", by = " "));
}

struct MirroredOrder $Instar.version(2) {
  # Writers keep two fields right for programs of version 1.
  id         @0 :UInt64 $Instar.key(0);
  customer   @1 :UInt32;
  quantity   @2 :UInt32;
  priceCents @3 :Int64  $Instar.mirrored(since = 2, scale = (field = "priceMills", divide = 10));
  placedAt   @4 :Int64;
  state      @5 :UInt16;
  recipient  @6 :Text   $Instar.mirrored(since = 2, concat = [(field = "givenName"), (text = " "), (field = "familyName")]);
  street     @7 :Text;
  note       @8 :Text;
  givenName  @9 :Text;
  familyName @10 :Text;
  priceMills @11 :Int64;
}

struct PlainOrder $Instar.version(2) {
  # The same without.
  id         @0 :UInt64 $Instar.key(0);
  customer   @1 :UInt32;
  quantity   @2 :UInt32;
  priceCents @3 :Int64;
  placedAt   @4 :Int64;
  state      @5 :UInt16;
  recipient  @6 :Text;
  street     @7 :Text;
  note       @8 :Text;
  givenName  @9 :Text;
  familyName @10 :Text;
  priceMills @11 :Int64;
}
