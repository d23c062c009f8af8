#include "instar/engine/collection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instar/engine/store.h"
#include "instar/tests/engine/contact.capnp.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

class CollectionTest : public ::testing::Test {
 protected:
  void put(std::uint64_t id, const char* name) {
    auto contact = contacts.create();
    contact->setId(id);
    contact->setName(name);
    auto transaction = store.write();
    contacts.put(transaction, contact);
    transaction.commit();
  }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar");
  Collection<Contact> contacts = store.collection<Contact>("contacts");
};

TEST_F(CollectionTest, WhatIsPutIsThereAfterTheCommit) {
  const auto before = store.read();
  put(7, "Ada");
  const auto after = store.read();
  EXPECT_FALSE(contacts.get(before, 7));
  const auto row = contacts.get(after, 7);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->getName(), "Ada");
  EXPECT_EQ(row->getTier(), 1);
  EXPECT_EQ(row.version(), 3);
  EXPECT_EQ(row.key().size(), 8U);
  EXPECT_EQ(contacts.count(after), 1U);
  EXPECT_TRUE(contacts.contains(after, 7));
  EXPECT_FALSE(contacts.contains(after, 8));
}

TEST_F(CollectionTest, RowsAreReadInPlaceInASnapshot) {
  put(7, "Ada");
  const auto snapshot = store.read();
  const auto first = contacts.get(snapshot, 7);
  const auto second = contacts.get(snapshot, 7);
  EXPECT_EQ(first.payload().data(), second.payload().data());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.payload().data()) % 8, 0U);
}

TEST_F(CollectionTest, AWriterSeesItsOwnChangesAndNobodyElseDoes) {
  auto transaction = store.write();
  auto contact = contacts.create();
  contact->setId(1);
  contacts.put(transaction, contact);
  EXPECT_TRUE(contacts.get(transaction, 1));
  EXPECT_FALSE(contacts.get(store.read(), 1));
  transaction.abort();
  EXPECT_FALSE(contacts.get(store.read(), 1));
}

TEST_F(CollectionTest, ARowReadByTheWriterOutlivesTheNextChange) {
  put(7, "Ada");
  auto transaction = store.write();
  const auto row = contacts.get(transaction, 7);
  EXPECT_TRUE(contacts.erase(transaction, 7));
  EXPECT_EQ(row->getName(), "Ada");
}

TEST_F(CollectionTest, AnUncommittedTransactionIsUndone) {
  {
    auto transaction = store.write();
    auto contact = contacts.create();
    contact->setId(1);
    contacts.put(transaction, contact);
  }
  EXPECT_EQ(contacts.count(store.read()), 0U);
}

TEST_F(CollectionTest, SeveralCollectionsChangeInOneTransaction) {
  const auto visits = store.collection<Visit>("visits");
  auto transaction = store.write();
  auto contact = contacts.create();
  contact->setId(1);
  contacts.put(transaction, contact);
  auto visit = visits.create();
  visit->setPlace("London");
  visit->setHour(-3);
  visits.put(transaction, visit);
  transaction.commit();
  const auto snapshot = store.read();
  EXPECT_TRUE(contacts.get(snapshot, 1));
  EXPECT_TRUE(visits.get(snapshot, "London", -3));
}

// Each round left the last round's text behind in the draft, and it was stored with the next row.
TEST_F(CollectionTest, ADraftThatIsUsedAgainStoresNoDeadBytes) {
  auto contact = contacts.create();
  auto transaction = store.write();
  for (std::uint64_t id = 1; id <= 100; ++id) {
    contact->setId(id);
    contact->setName("a name of some length");
    contact->initTags(2).set(0, "a tag");
    contacts.put(transaction, contact);
  }
  transaction.commit();
  const auto snapshot = store.read();
  const std::size_t length = contacts.get(snapshot, 1).payload().size();
  for (std::uint64_t id = 2; id <= 100; ++id) {
    const auto row = contacts.get(snapshot, id);
    EXPECT_EQ(row.payload().size(), length);
    EXPECT_EQ(row->getName(), "a name of some length");
  }
}

TEST_F(CollectionTest, EraseSaysWhetherThereWasARow) {
  put(7, "Ada");
  auto transaction = store.write();
  EXPECT_TRUE(contacts.erase(transaction, 7));
  EXPECT_FALSE(contacts.erase(transaction, 7));
  transaction.commit();
  EXPECT_EQ(contacts.count(store.read()), 0U);
}

TEST_F(CollectionTest, EditKeepsWhatIsNotChanged) {
  auto contact = contacts.create();
  contact->setId(7);
  contact->setName("Ada");
  contact->setEmail("ada@example.org");
  contact->initTags(2).set(0, "first");
  auto transaction = store.write();
  contacts.put(transaction, contact);
  auto edited = contacts.edit(transaction, 7);
  ASSERT_TRUE(edited);
  edited->setName("Ada Lovelace, who is called by a longer name now");
  contacts.put(transaction, edited);
  auto absent = contacts.edit(transaction, 8);
  EXPECT_FALSE(absent);
  EXPECT_ERROR(contacts.put(transaction, absent), fixCall, "draft is empty");
  transaction.commit();
  const auto snapshot = store.read();
  const auto row = contacts.get(snapshot, 7);
  EXPECT_EQ(row->getName(), "Ada Lovelace, who is called by a longer name now");
  EXPECT_EQ(row->getEmail(), "ada@example.org");
  EXPECT_EQ(row->getTags()[0], "first");
}

TEST_F(CollectionTest, EditingLeavesNoDeadBytesBehind) {
  put(7, "a name of some length");
  const std::size_t length = contacts.get(store.read(), 7).payload().size();
  for (int i = 0; i < 5; ++i) {
    auto transaction = store.write();
    auto edited = contacts.edit(transaction, 7);
    edited->setName(i % 2 == 0 ? "A NAME OF SOME LENGTH" : "a name of some length");
    contacts.put(transaction, edited);
    transaction.commit();
  }
  EXPECT_EQ(contacts.get(store.read(), 7).payload().size(), length);
}

TEST_F(CollectionTest, ByteStringKeysAreGivenBesideTheRecord) {
  const auto notes = store.collection<Note>("notes");
  auto note = notes.create();
  note->setText("hello");
  auto transaction = store.write();
  notes.put(transaction, notes.key("greeting"), note);
  EXPECT_ERROR(notes.put(transaction, note), fixCall, "no $key fields");
  EXPECT_ERROR(notes.put(transaction, Key(), note), fixCall, "at least one byte");
  auto contact = contacts.create();
  EXPECT_ERROR(contacts.put(transaction, Key("explicit"), contact), fixCall, "$key fields");
  transaction.commit();
  EXPECT_EQ(notes.get(store.read(), "greeting")->getText(), "hello");
}

TEST_F(CollectionTest, ARowIsCopiedUnderAnotherKey) {
  const auto notes = store.collection<Note>("notes");
  auto transaction = store.write();
  auto note = notes.create();
  note->setText("hello");
  notes.put(transaction, notes.key("greeting"), note);
  transaction.commit();
  {
    const auto snapshot = store.read();
    const auto row = notes.get(snapshot, "greeting");
    auto copying = store.write();
    notes.put(copying, notes.key("copy"), *row);
    copying.commit();
  }
  EXPECT_EQ(notes.get(store.read(), "copy")->getText(), "hello");
  EXPECT_EQ(notes.get(store.read(), "greeting")->getText(), "hello");
}

TEST_F(CollectionTest, RowsOfEverySizeComeBack) {
  const auto notes = store.collection<Note>("notes");
  for (const std::size_t size :
       {0U, 1U, 7U, 8U, 500U, 1016U, 1900U, 2037U, 2038U, 2039U, 4096U, 70'000U, 20'000'000U}) {
    for (std::size_t keyLength = 1; keyLength <= 9; ++keyLength) {
      const std::string key = std::string(keyLength, 'k') + std::to_string(size);
      const std::string text(size, 'x');
      auto note = notes.create();
      note->setText(text);
      auto transaction = store.write();
      notes.put(transaction, notes.key(key), note);
      transaction.commit();
      const auto snapshot = store.read();
      const auto row = notes.get(snapshot, key);
      ASSERT_TRUE(row) << size;
      EXPECT_EQ(row->getText().size(), size);
      EXPECT_TRUE(text == row->getText().cStr()) << size;
      if (size > 100'000) break;
    }
  }
}

TEST_F(CollectionTest, AnEmptyRecordIsARow) {
  const auto notes = store.collection<Note>("notes");
  auto note = notes.create();
  auto transaction = store.write();
  notes.put(transaction, Key("empty"), note);
  transaction.commit();
  const auto snapshot = store.read();
  const auto row = notes.get(snapshot, "empty");
  ASSERT_TRUE(row);
  EXPECT_FALSE(row->hasText());
  EXPECT_FALSE(row->hasAny());
}

TEST_F(CollectionTest, ARowThatCouldNotBeReadBackIsRefused) {
  auto contact = contacts.create();
  contact->setId(1);
  auto inner = *contact;
  for (int depth = 0; depth < kMaxRowNesting - 2; ++depth) inner = inner.initFriend();
  auto transaction = store.write();
  contacts.put(transaction, contact);
  inner = inner.initFriend().initFriend().initFriend();
  EXPECT_ERROR(contacts.put(transaction, contact), fixCall, "nested too deeply");
  transaction.commit();
  const auto snapshot = store.read();
  auto row = contacts.get(snapshot, 1);
  auto reader = *row;
  for (int depth = 0; depth < kMaxRowNesting - 2; ++depth) {
    ASSERT_TRUE(reader.hasFriend());
    reader = reader.getFriend();
  }
}

TEST_F(CollectionTest, KeysAreChecked) {
  const auto snapshot = store.read();
  EXPECT_ERROR(contacts.get(snapshot, -1), fixCall, "out of range");
  EXPECT_ERROR(contacts.get(snapshot, "seven"), fixCall, "whole number");
  EXPECT_ERROR(contacts.get(snapshot, 1, 2), fixCall, "number of key values");
  const auto visits = store.collection<Visit>("visits");
  EXPECT_ERROR(visits.key("London"), fixCall, "number of key values");
  EXPECT_ERROR(visits.key("London", std::int64_t{1} << 31), fixCall, "out of range");
  auto visit = visits.create();
  visit->setPlace(std::string(600, 'p').c_str());
  auto transaction = store.write();
  EXPECT_ERROR(visits.put(transaction, visit), fixCall, "longer than 511 bytes");
  EXPECT_EQ(visits.count(transaction), 0U);
}

TEST_F(CollectionTest, RunTimeTypesReadAndWriteTheSameRows) {
  put(7, "Ada");
  const auto dynamic = store.collection("contacts");
  auto draft = dynamic.create();
  draft->set("id", 8U);
  draft->set("name", "Grace");
  auto transaction = store.write();
  dynamic.put(transaction, draft);
  transaction.commit();
  const auto snapshot = store.read();
  EXPECT_EQ(contacts.get(snapshot, 8)->getName(), "Grace");
  const auto row = dynamic.get(snapshot, 7);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->get("name").as<capnp::Text>(), "Ada");
}

TEST_F(CollectionTest, RunTimeRowsOutliveTheirCollection) {
  put(7, "Ada");
  const auto snapshot = store.read();
  const auto row = store.collection("contacts").get(snapshot, 7);
  auto draft = store.collection("contacts").create();
  EXPECT_EQ(row->get("name").as<capnp::Text>(), "Ada");
  draft->set("name", "Grace");
  EXPECT_EQ(draft->get("name").as<capnp::Text>(), "Grace");
}

TEST_F(CollectionTest, RecordsOfAnotherTypeAreRefused) {
  const auto visits = store.collection<Visit>("visits");
  const auto people = store.collection("contacts");
  const auto places = store.collection("visits");
  auto transaction = store.write();
  auto draft = places.create();
  EXPECT_ERROR(people.put(transaction, draft), fixCall, "draft: Visit version 1");
  EXPECT_ERROR(people.put(transaction, (*draft).asReader()), fixCall, "another type");
  EXPECT_EQ(people.count(transaction), 0U);
}

TEST_F(CollectionTest, KeysAreTakenFromRecordsAndStrings) {
  const auto visits = store.collection<Visit>("visits");
  auto visit = visits.create();
  visit->setPlace("London");
  visit->setHour(5);
  auto transaction = store.write();
  visits.put(transaction, visit);
  transaction.commit();
  const auto snapshot = store.read();
  EXPECT_TRUE(visits.get(snapshot, (*visit).asReader().getPlace(), (*visit).getHour()));
  EXPECT_TRUE(visits.get(snapshot, std::string("London"), short{5}));
  EXPECT_TRUE(visits.get(snapshot, kj::StringPtr("London"), 5L));
  const auto notes = store.collection<Note>("notes");
  EXPECT_EQ(notes.key(kj::StringPtr("ab").asBytes()), Key("ab"));
}

TEST_F(CollectionTest, AnAbsentRowCannotBeReadThroughAnotherSchema) {
  const auto snapshot = store.read();
  const auto row = store.collection("contacts").get(snapshot, 7);
  EXPECT_ERROR(row.as(capnp::Schema::from<Contact>()), fixCall, "no row");
}

TEST_F(CollectionTest, ATransactionOfAnotherStoreIsRefused) {
  const Store other = Store::open(folder / "other.instar");
  const auto snapshot = other.read();
  EXPECT_ERROR(contacts.get(snapshot, 1), fixCall, "another store");
}

TEST_F(CollectionTest, AnEndedTransactionIsRefused) {
  auto transaction = store.write();
  transaction.commit();
  EXPECT_ERROR(contacts.get(transaction, 1), fixCall, "has ended");
  EXPECT_ERROR(transaction.commit(), fixCall, "has ended");
  EXPECT_ERROR(transaction.abort(), fixCall, "has ended");
}

TEST_F(CollectionTest, ARowThatOutlivesItsSnapshotStopsTheProgram) {
  put(7, "Ada");
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        testing::TemporaryFolder own;
        auto another = Store::open(own / "store.instar");
        const auto collection = another.collection<Contact>("contacts");
        auto contact = collection.create();
        auto transaction = another.write();
        collection.put(transaction, contact);
        transaction.commit();
        auto snapshot = std::make_unique<ReadTransaction>(another.read());
        const auto row = collection.get(*snapshot, 0);
        snapshot.reset();
      },
      "rows of it were still in use");
}

}  // namespace
}  // namespace instar
