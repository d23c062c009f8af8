@0xe5f60718293a4b5c;
using Instar = import "/instar/schema.capnp";

struct Note @0xf60718293a4b5c6d $Instar.version(1) {
  # Byte-string keys.
  text @0 :Text;
}
