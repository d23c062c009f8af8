@0xe5d80b3f7a1c4962;
# What the new release of the application stores, for each change. The old release stores Order (order.capnp), or
# what these were without the fields that have been added.

using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("instar::bench");

struct AdditiveOrder $Instar.version(2) {
  id          @0 :UInt64 $Instar.key(0);
  customer    @1 :UInt32;
  quantity    @2 :UInt32;
  priceCents  @3 :Int64;
  placedAt    @4 :Int64;
  state       @5 :UInt16;
  recipient   @6 :Text;
  street      @7 :Text;
  note        @8 :Text;
  weightGrams @9 :UInt32 = 100;
}

struct DerivedOrder $Instar.version(2) {
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

struct Parcel $Instar.version(2) $Instar.replaces(since = 2, type = 0xd4aafe445cff6248, call = "parcelFromOrder") {
  # In place of Order.
  id           @0 :UInt64 $Instar.key(0);
  client       @1 :UInt64;  # its customer
  pieces       @2 :UInt64;  # its quantity
  priceMills   @3 :Int64;   # ten times its priceCents
  placedMillis @4 :Int64;   # its placedAt in milliseconds
  status       @5 :Text;    # its state in a word
  address      @6 :Text;    # its recipient, ", " and street
  remark       @7 :Text;    # its note
}

struct HistoryOrder $Instar.version(10) {
  # A change in each of the versions from 2 on.
  id             @0 :UInt64 $Instar.key(0);
  customer       @1 :UInt32;
  quantity       @2 :UInt32;
  priceCents     @3 :Int64;
  placedAt       @4 :Int64;
  state          @5 :UInt16;
  recipient      @6 :Text;
  street         @7 :Text;
  note           @8 :Text;
  weightGrams    @9 :UInt32 = 100;                                                                              # 2
  givenName      @10 :Text $Instar.derived(since = 3, split = (field = "recipient", by = " "));
  channel        @11 :UInt16 = 1;                                                                               # 4
  familyName     @12 :Text $Instar.derived(since = 5, split = (field = "recipient", by = " ", part = 1, rest = true));
  discountCents  @13 :Int64;                                                                                    # 6
  priceMills     @14 :Int64 $Instar.derived(since = 7, scale = (field = "priceCents", multiply = 10));
  taxPermille    @15 :UInt16 = 190;                                                                             # 8
  label          @16 :Text $Instar.derived(since = 9, concat = [(field = "familyName"), (text = ", "), (field = "givenName")]);
  loyaltyPoints  @17 :UInt32;                                                                                   # 10
}
