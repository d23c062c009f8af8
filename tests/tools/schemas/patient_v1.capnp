@0x9e1b7c30d5f2a846;
# The first version of patient.capnp, from before anything was sensitive.

using Instar = import "/instar/schema.capnp";

struct Patient @0xa6f0d4c2b91e7385 $Instar.version(1) {
  ward @0 :Text $Instar.key(0);
  taxId @1 :Text $Instar.key(1);
  name @2 :Text;
}
