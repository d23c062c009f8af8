@0xc4e6f8a1b3d59270;
# The second release: where a package comes from, and what it needs.

using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("demo");

struct Package @0xe1a7c3d50b92f684 $Instar.version(2) {
  name @0 :Text $Instar.key(0);
  version @1 :Text $Instar.key(1);
  architecture @2 :Text $Instar.key(2);
  section @3 :Text;
  priority @4 :Text;
  maintainer @5 :Text $Instar.sensitive;
  installedSize @6 :UInt64;  # KiB
  size @7 :UInt64;           # bytes of the archive
  description @8 :Text;

  source @9 :Text;
  homepage @10 :Text;
  depends @11 :List(Text);
}
