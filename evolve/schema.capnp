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

annotation version @0xb7f1e6c29d305a84 (struct) :UInt16;
# Number of this schema in the history of its collection, 1 to 65535. Raise it with every change of the struct or of a
# type that it uses. A struct without it has version 1.

annotation key @0xd46ea7309b81c5f2 (field) :UInt8;
# Part of the row's key, at this position: 0, then 1, and so on. For scalars, enums, Text and Data, in the record struct
# itself or in one of its groups. A struct without key fields is stored under byte-string keys.

annotation sensitive @0xf09b5b1a7c2e4d63 (field, group, union) :Void;
# Masked in every output of the instar command unless --unmask is given.
