// A program that embeds the installed library: opens a file, puts a row, gets it. Prints the row.

#include <instar/instar.h>

#include <iostream>

#include "contact.capnp.h"

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const auto store = instar::Store::open(arguments[1]);
  const auto contacts = store.collection<consumer::Contact>("contacts");

  auto transaction = store.write();
  auto contact = contacts.create();
  contact->setId(7);
  contact->setName("Ada");
  contacts.put(transaction, contact);
  transaction.commit();

  const auto snapshot = store.read();
  const auto row = contacts.get(snapshot, 7);
  if (!row) return 1;
  std::cout << row->getId() << ' ' << row->getName().cStr() << " version " << row.version() << '\n';
}
