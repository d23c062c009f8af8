@0xb3c1d2e4f5061728;
using Instar = import "/instar/schema.capnp";

struct Contact @0x9a7b6c5d4e3f2a1b $Instar.version(2) {
  id    @0 :UInt64 $Instar.key(0);
  name  @1 :Text;
  email @2 :Text;
  taxId @3 :Text $Instar.sensitive;   # masked in every dump unless asked for
  tier  @4 :UInt8 = 1;                # added in version 2: no row is rewritten for it
}
