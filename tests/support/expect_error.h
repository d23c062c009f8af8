#pragma once

// EXPECT_ERROR(statement, code, text): the statement throws an instar::Error with that code and with the text
// in its what().

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instar/format/error.h"

#define EXPECT_ERROR(statement, expectedCode, expectedText)                \
  try {                                                                    \
    statement;                                                             \
    ADD_FAILURE() << "nothing was thrown, expected " #expectedCode;        \
  } catch (const ::instar::Error& error) {                                 \
    EXPECT_EQ(::instar::errorCodeName(error.code()),                       \
              ::instar::errorCodeName(::instar::ErrorCode::expectedCode)); \
    EXPECT_THAT(error.what(), ::testing::HasSubstr(expectedText));         \
  }
