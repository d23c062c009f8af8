@0xb1c2d3e4f5061728;
# Generic types in every position.

using Instar = import "/instar/schema.capnp";

struct Pair(First, Second) {
  first @0 :First;
  second @1 :Second;
  more @2 :List(Pair(Second, First));
}

struct Outer(T) {
  value @0 :T;
  inner @1 :Inner;
  other @2 :Outer(Text).Inner;
  plain @3 :Outer.Inner;
  kind @4 :Kind;

  struct Inner {
    item @0 :T;
    again @1 :Inner;
    deep @2 :Deep(Data);
    struct Deep(U) {
      both @0 :Pair(T, U);
      list @1 :List(Pair(T, List(Leaf)));
    }
  }
  enum Kind { one @0; two @1; }
}

struct Leaf {
  name @0 :Text;
}

struct Unused(T) {
  count @0 :UInt32;
}

struct Library {
  struct Shelf(Book) {
    struct Row {
      books @0 :List(Pair(Text, Book));
      owner @1 :Text;
    }
  }
}

struct Generics {
  pair @0 :Pair(Text, Leaf) = (first = "x", second = (name = "y"));
  outer @1 :Outer(Pair(Data, List(UInt8)));
  inner @2 :Outer(Leaf).Inner;
  deep @3 :Outer(Leaf).Inner.Deep(Text);
  unbound @4 :Pair;
  half @5 :Pair(AnyPointer, Text);
  kind @6 :Outer(Text).Kind;
  row @7 :Library.Shelf(Leaf).Row;
  unused @8 :Unused(Text);
  group :group {
    lists @9 :List(Pair(List(Text), List(Leaf)));
  }
}
