#include "instar/format/file_format.h"

#include <string>

#include "instar/tests/support/expect_error.h"

namespace instar {
namespace {

TEST(CollectionName, MayBeAnyLineOfTextWithoutASlash) {
  for (const std::string& name : {std::string("contacts"), std::string(" "), std::string("a.b:c\\d"),
                                  std::string("\xc3\xa4 \xe2\x82\xac"), std::string(128, 'x')}) {
    EXPECT_NO_THROW(checkCollectionName(name)) << name;
  }
}

TEST(CollectionName, IsRefusedWhereItCouldBeTakenForSomethingElse) {
  for (const std::string& name : {std::string(), std::string(129, 'x'), std::string("a/b"), std::string("/"),
                                  std::string("a\nb"), std::string("a\x1f"), std::string("a\x7f"),
                                  std::string("a\0b", 3), std::string("\xc3"), std::string("\xff")}) {
    EXPECT_ERROR(checkCollectionName(name), fixCall, "choose another");
  }
}

}  // namespace
}  // namespace instar
