@0xd41b7f0c6a92e583;
# Order after fifty changes: forty fields that are added, ten that are derived, one of them from others of them.

using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("instar::bench");

struct ChainedOrder $Instar.version(51) {
  # Every change is a version of its own: field @n begins with version n - 7.
  id         @0 :UInt64 $Instar.key(0);
  customer   @1 :UInt32;
  quantity   @2 :UInt32;
  priceCents @3 :Int64;
  placedAt   @4 :Int64;
  state      @5 :UInt16;
  recipient  @6 :Text;
  street     @7 :Text;
  note       @8 :Text;
  added1 @9 :UInt32; added2 @10 :UInt32;
  added3 @11 :UInt32; added4 @12 :UInt32;
  givenName  @13 :Text   $Instar.derived(since = 6, split = (field = "recipient", by = " "));
  added5 @14 :UInt32; added6 @15 :UInt32;
  added7 @16 :UInt32; added8 @17 :UInt32;
  familyName @18 :Text   $Instar.derived(since = 11, split = (field = "recipient", by = " ", part = 1, rest = true));
  added9 @19 :UInt32; added10 @20 :UInt32;
  added11 @21 :UInt32; added12 @22 :UInt32;
  priceMills @23 :Int64  $Instar.derived(since = 16, scale = (field = "priceCents", multiply = 10));
  added13 @24 :UInt32; added14 @25 :UInt32;
  added15 @26 :UInt32; added16 @27 :UInt32;
  stateName  @28 :Text   $Instar.derived(since = 21, match = (field = "state", cases = [(from = "0", to = "new"), (from = "1", to = "paid"), (from = "2", to = "sent")], otherwise = "done"));
  added17 @29 :UInt32; added18 @30 :UInt32;
  added19 @31 :UInt32; added20 @32 :UInt32;
  client     @33 :UInt32 $Instar.derived(since = 26, copy = "customer");
  added21 @34 :UInt32; added22 @35 :UInt32;
  added23 @36 :UInt32; added24 @37 :UInt32;
  pieces     @38 :UInt64 $Instar.derived(since = 31, convert = "quantity");
  added25 @39 :UInt32; added26 @40 :UInt32;
  added27 @41 :UInt32; added28 @42 :UInt32;
  origin     @43 :Text   $Instar.derived(since = 36, constant = "before");
  added29 @44 :UInt32; added30 @45 :UInt32;
  added31 @46 :UInt32; added32 @47 :UInt32;
  remark     @48 :Text   $Instar.derived(since = 41, coalesce = ["note", "street"]);
  added33 @49 :UInt32; added34 @50 :UInt32;
  added35 @51 :UInt32; added36 @52 :UInt32;
  number     @53 :Text   $Instar.derived(since = 46, convert = "id");
  added37 @54 :UInt32; added38 @55 :UInt32;
  added39 @56 :UInt32; added40 @57 :UInt32;
  label      @58 :Text   $Instar.derived(since = 51, concat = [(field = "familyName"), (text = ", "), (field = "givenName")]);
}

struct AtOnceOrder $Instar.version(2) {
  # All of them in one version.
  id         @0 :UInt64 $Instar.key(0);
  customer   @1 :UInt32;
  quantity   @2 :UInt32;
  priceCents @3 :Int64;
  placedAt   @4 :Int64;
  state      @5 :UInt16;
  recipient  @6 :Text;
  street     @7 :Text;
  note       @8 :Text;
  added1 @9 :UInt32; added2 @10 :UInt32;
  added3 @11 :UInt32; added4 @12 :UInt32;
  givenName  @13 :Text   $Instar.derived(since = 2, split = (field = "recipient", by = " "));
  added5 @14 :UInt32; added6 @15 :UInt32;
  added7 @16 :UInt32; added8 @17 :UInt32;
  familyName @18 :Text   $Instar.derived(since = 2, split = (field = "recipient", by = " ", part = 1, rest = true));
  added9 @19 :UInt32; added10 @20 :UInt32;
  added11 @21 :UInt32; added12 @22 :UInt32;
  priceMills @23 :Int64  $Instar.derived(since = 2, scale = (field = "priceCents", multiply = 10));
  added13 @24 :UInt32; added14 @25 :UInt32;
  added15 @26 :UInt32; added16 @27 :UInt32;
  stateName  @28 :Text   $Instar.derived(since = 2, match = (field = "state", cases = [(from = "0", to = "new"), (from = "1", to = "paid"), (from = "2", to = "sent")], otherwise = "done"));
  added17 @29 :UInt32; added18 @30 :UInt32;
  added19 @31 :UInt32; added20 @32 :UInt32;
  client     @33 :UInt32 $Instar.derived(since = 2, copy = "customer");
  added21 @34 :UInt32; added22 @35 :UInt32;
  added23 @36 :UInt32; added24 @37 :UInt32;
  pieces     @38 :UInt64 $Instar.derived(since = 2, convert = "quantity");
  added25 @39 :UInt32; added26 @40 :UInt32;
  added27 @41 :UInt32; added28 @42 :UInt32;
  origin     @43 :Text   $Instar.derived(since = 2, constant = "before");
  added29 @44 :UInt32; added30 @45 :UInt32;
  added31 @46 :UInt32; added32 @47 :UInt32;
  remark     @48 :Text   $Instar.derived(since = 2, coalesce = ["note", "street"]);
  added33 @49 :UInt32; added34 @50 :UInt32;
  added35 @51 :UInt32; added36 @52 :UInt32;
  number     @53 :Text   $Instar.derived(since = 2, convert = "id");
  added37 @54 :UInt32; added38 @55 :UInt32;
  added39 @56 :UInt32; added40 @57 :UInt32;
  label      @58 :Text   $Instar.derived(since = 2, concat = [(field = "familyName"), (text = ", "), (field = "givenName")]);
}
