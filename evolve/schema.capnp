@0xe3c0d8a1f5b64927;
# Instar's annotations. They travel with the type, into the generated code and into the database file.
#
#     using Instar = import "/instar/schema.capnp";
#
#     struct Contact $Instar.version(2) {
#       id    @0 :UInt64 $Instar.key(0);
#       name  @1 :Text;
#       taxId @2 :Text $Instar.sensitive;
#     }

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("instar::annotation");

annotation version @0xb7f1e6c29d305a84 (struct) :UInt16;
# Number of this schema in the history of its collection, 1 to 65535. Raise it with every change of the struct or of a
# type that it uses. A struct without it has version 1.

annotation key @0xd46ea7309b81c5f2 (field) :UInt8;
# Part of the row's key, at this position: 0, then 1, and so on. For scalars, enums, Text and Data, in the record struct
# itself or in one of its groups. A struct without key fields is stored under byte-string keys.

annotation sensitive @0xf09b5b1a7c2e4d63 (field, group, union) :Void;
# Masked in every output of the instar command unless --unmask is given.

annotation derived @0xf4314959d812b8f6 (field) :Derivation;
# How to make the field's value for a row that was written before the field existed. Such a row is made complete whenever it
# is read; a row of version `since` or later holds the value itself. On fields of the record struct and of its groups.
#
#     first @4 :Text $Instar.derived(since = 3, split = (field = "name", by = " ", part = 0));

annotation mirrored @0x931bdd6c87312ccd (field) :Derivation;
# How writers of version `since` and later keep the field right for older programs, which know only this one. The same
# expressions, with the newer fields as sources; computed whenever a row is put.
#
#     name @1 :Text $Instar.mirrored(since = 3, concat = [(field = "first"), (text = " "), (field = "last")]);

annotation retired @0xb634fd8a62f9fae5 (field) :UInt16;
# The version from which nobody uses the field any more, 2 to 65535. Rows of older versions lose its value when they are read,
# after what is derived from it has been made; a record that sets it cannot be put; output shows it only in older rows that are
# dumped as they are stored. On fields of the record struct and of its groups.
#
#     name @1 :Text $Instar.retired(4);

annotation replaces @0x80a18fd405b67276 (struct) :Replacement;
# The rows of older versions are of another struct, of another id. They are upgraded to its newest version that the file has,
# and a C++ function of the program (functions.h) makes a record of this struct from each.
#
#     struct Contact @0xd1e2... $Instar.version(3) $Instar.replaces(since = 3, type = 0xa0b1..., call = "contactFromPerson") {

struct Replacement {
  since @0 :UInt16;
  # The first version of the new struct: 2 to 65535.
  type @1 :UInt64;
  # The id of the old one.
  call @2 :Text;
}

annotation upgraded @0x975da75f7c800a4f (struct) :List(Step);
# C++ functions of the program that change records on their way through the versions: each is run once on a row of a version
# below `to`, behind the derivations since that version and before those since later ones.
#
#     struct Product $Instar.version(3) $Instar.upgraded([(to = 3, call = "fixPrices")]) {

struct Step {
  to @0 :UInt16;
  # 2 to 65535; each number once.
  call @1 :Text;
}

annotation validated @0xf320394299a9e4c7 (struct) :List(Text);
# C++ functions of the program that say whether a record keeps the rules of its version. Dry runs and checks ask them, of each
# row as it is upgraded; reading and putting do not.
#
#     struct Product $Instar.version(3) $Instar.validated(["priceIsPositive"]) {

struct Derivation {
  # Fields are named by their path in the record: "name", "address.city". A source that is not set, because its pointer or
  # one on the way is null or another member of its union is active, leaves the target at its default; concat, constant
  # and coalesce apart.
  since @0 :UInt16;
  # The version that this begins with: 2 to 65535.

  union {
    none @1 :Void;

    copy @2 :Text;
    # The value as it is; the types are the same.

    convert @3 :Text;
    # The value in another type. Between numbers: the nearest one for floating point; for whole numbers the same one, or the
    # row cannot be upgraded. Between text and a number, Bool or the name of an enumerant: as `instar dump` writes them.
    # Between an enum and a whole number: by number. Between Text and Data. Element by element for lists of these.

    scale @4 :Scale;

    concat @5 :List(Piece);
    # Texts behind one another. Numbers and enumerants are written as `instar dump` writes them; what is not set is empty.

    split @6 :Split;
    match @7 :Match;

    constant @8 :Text;
    # The same value for all rows: a text, or a number, Bool or enumerant as `instar dump` writes it.

    coalesce @9 :List(Text);
    # The first of these fields that is set and does not have its default.

    call @10 :Call;
  }

  struct Scale {
    # (value - subtract) * multiply / divide + add; rounded to the nearest where the target is a whole number, halves away from
    # zero. Exact for whole numbers. Element by element for lists.
    field @0 :Text;
    subtract @1 :Int64;
    multiply @2 :Int64 = 1;
    divide @3 :Int64 = 1;
    add @4 :Int64;
  }

  struct Piece {
    union {
      text @0 :Text;
      field @1 :Text;
    }
  }

  struct Split {
    # A part of a text that is cut at every `by`. A part that is not there leaves the target unset.
    field @0 :Text;
    by @1 :Text;
    part @2 :Int16;           # from 0; from the end with -1 for the last
    rest @3 :Bool;            # that part and all behind it, or before it where `part` is negative
    trim @4 :Text;            # ASCII characters that are removed at both ends of the result
  }

  struct Match {
    # A table from old values to new ones, written as `instar dump` writes them. Without `otherwise` a value that is not in the
    # table is an error of the row. Element by element for lists.
    field @0 :Text;
    cases @1 :List(Case);
    otherwise @2 :Text;       # unset: every value has to be in the table

    struct Case {
      from @0 :Text;
      to @1 :Text;
    }
  }

  struct Call {
    # What a C++ function of the program makes of these fields (functions.h). Only such a program can upgrade the rows.
    function @0 :Text;
    from @1 :List(Text);
  }
}
