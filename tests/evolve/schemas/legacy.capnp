@0x9f8e7d6c5b4a3921;
# Unions with a number of their own, as the first releases of Cap'n Proto wanted them: it decides where the discriminant lies.

struct Legacy {
  before @0 :UInt8;
  choice @1! :union {
    left @3 :UInt8;
    right @4 :Text;
  }
  after @2 :UInt8;
}
