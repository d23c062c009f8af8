@0xe0a1b2c3d4e5f601;
# Types whose names are those of types elsewhere, or of Cap'n Proto itself.

struct Item {
  code @0 :UInt32;
}

struct Text {
  letters @0 :List(UInt16);
}

struct Instar {
  stage @0 :UInt8;
}
