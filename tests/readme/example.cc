#include <instar/instar.h>

#include <iostream>

#include "contact.capnp.h"  // made from contact.capnp by the Cap'n Proto compiler

int main() {
  auto store = instar::Store::open("contacts.instar");
  auto contacts = store.collection<Contact>("contacts");  // at once, whatever is stored

  auto contact = contacts.create();
  contact->setId(7);
  contact->setName("Ada Lovelace");
  contact->setEmail("ada@example.org");

  auto change = store.write();
  contacts.put(change, contact);  // under the key in its $key fields
  change.commit();                // without this the change is undone

  auto snapshot = store.read();
  if (auto row = contacts.get(snapshot, 7)) {
    std::cout << row->getName().cStr() << ", tier " << int{row->getTier()} << "\n";
  }
  for (auto row : contacts.scan(snapshot, {.from = contacts.key(1), .limit = 10})) {
    std::cout << row->getId() << " was written by version " << row.version() << "\n";
  }
}
