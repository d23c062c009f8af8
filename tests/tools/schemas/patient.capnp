@0xb83c5d0e1f4a6972;
# A record with secrets in every place where there can be one.

using Instar = import "/instar/schema.capnp";

struct Patient @0xa6f0d4c2b91e7385 $Instar.version(2) {
  ward @0 :Text $Instar.key(0);
  taxId @1 :Text $Instar.key(1) $Instar.sensitive;
  name @2 :Text $Instar.sensitive;
  age @3 :UInt8 $Instar.sensitive;
  smoker @4 :Bool $Instar.sensitive;
  scan @5 :Data $Instar.sensitive;
  visits @6 :List(Visit);
  history @7 :List(Text) $Instar.sensitive;
  home :group $Instar.sensitive {
    city @8 :Text;
    zip @9 :UInt32;
  }
  contact :union {
    phone @10 :Text $Instar.sensitive;
    none @11 :Void;
  }
  doctor @12 :Person;
  kin @13 :Person $Instar.sensitive;
  note @14 :AnyPointer $Instar.sensitive;
}

struct Visit {
  day @0 :Text;
  finding @1 :Text $Instar.sensitive;
}

struct Person {
  name @0 :Text;
  salary @1 :Int64 $Instar.sensitive;
}

struct Locked {
  name @0 :Text $Instar.sensitive;
}

struct Box(Content) {
  content @0 :Content;
}

struct Boxes $Instar.version(1) {
  id @0 :UInt32 $Instar.key(0);
  open @1 :Box(Visit);
  closed @2 :Box(Locked);
  anything @3 :AnyPointer;
  anythingSecret @4 :AnyPointer $Instar.sensitive;
}
