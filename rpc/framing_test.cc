// SPDX-License-Identifier: Apache-2.0
#include "rpc/framing.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::rpc {
namespace {

using Result = MessageReader::Result;

std::string Framed(const std::string& message) {
  const auto prefix = PrefixOf(message.size());
  return std::string(prefix.data(), prefix.size()) + message;
}

class FramingTest : public ::testing::Test {
 protected:
  // What is read of `bytes` that come in pieces of `piece`.
  std::vector<std::string> ReadAll(const std::string& bytes, size_t piece) {
    std::vector<std::string> messages;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      std::string_view part = std::string_view(bytes).substr(at, piece);
      for (last_ = Result::kMessage; last_ == Result::kMessage && !part.empty();) {
        last_ = reader_.Feed(&part);
        if (last_ == Result::kMessage) messages.push_back(reader_.Take().Flatten());
      }
    }
    return messages;
  }

  ByteBudget own_{1'000};
  ByteBudget all_{10'000};
  MessageReader reader_{500, &own_, &all_};
  Result last_ = Result::kMore;
};

TEST_F(FramingTest, ThePrefixIsBigEndian) {
  const auto prefix = PrefixOf(0x01020304);
  EXPECT_EQ(std::string(prefix.data(), prefix.size()), std::string("\0\1\2\3\4", 5));
}

TEST_F(FramingTest, MessagesInPiecesOfAnySize) {
  const std::vector<std::string> messages = {"a", "", std::string(300, 'b'), "", "cc"};
  std::string bytes;
  for (const auto& message : messages) bytes += Framed(message);
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    EXPECT_EQ(ReadAll(bytes, piece), messages) << piece;
    EXPECT_TRUE(reader_.between_messages());
    EXPECT_EQ(own_.used() + all_.used(), 0U);
  }
}

TEST_F(FramingTest, OneThatIsCutIsNotBetweenMessages) {
  (void)ReadAll(Framed("hello").substr(0, 3), 3);
  EXPECT_FALSE(reader_.between_messages());
  (void)ReadAll(Framed("hello").substr(3, 4), 4);
  EXPECT_FALSE(reader_.between_messages());
  EXPECT_EQ(own_.used(), 5U) << "it counts from when its size is known";
  reader_.Drop();
  EXPECT_EQ(own_.used() + all_.used(), 0U);
}

TEST_F(FramingTest, WhatIsTooLargeIsKnownByItsPrefix) {
  (void)ReadAll(Framed(std::string(500, 'x')), 7);
  EXPECT_EQ(last_, Result::kMessage);
  (void)ReadAll(Framed(std::string(501, 'x')).substr(0, 5), 5);
  EXPECT_EQ(last_, Result::kTooLarge);
  EXPECT_EQ(reader_.announced_bytes(), 501U);
  EXPECT_EQ(own_.used(), 0U);
}

TEST_F(FramingTest, FlagsOtherThanNone) {
  (void)ReadAll(std::string("\1\0\0\0\5", 5), 5);
  EXPECT_EQ(last_, Result::kCompressed);
  MessageReader other(500, &own_, &all_);
  const std::string odd("\2\0\0\0\5", 5);
  std::string_view bytes = odd;
  EXPECT_EQ(other.Feed(&bytes), Result::kMalformed);
  EXPECT_EQ(other.flag(), 2);
}

TEST_F(FramingTest, BothBudgetsCount) {
  MessageReader second(500, &own_, &all_);
  MessageReader third(500, &own_, &all_);
  const std::string large = Framed(std::string(400, 'x'));
  std::string_view begin = std::string_view(large).substr(0, 100);
  EXPECT_EQ(reader_.Feed(&begin), Result::kMore);
  begin = std::string_view(large).substr(0, 100);
  EXPECT_EQ(second.Feed(&begin), Result::kMore);
  begin = std::string_view(large).substr(0, 100);
  EXPECT_EQ(third.Feed(&begin), Result::kNoRoom);
  EXPECT_EQ(own_.used(), 800U);
  ByteBudget small(100);
  MessageReader fourth(500, &all_, &small);
  begin = std::string_view(large).substr(0, 100);
  EXPECT_EQ(fourth.Feed(&begin), Result::kNoRoom);
  EXPECT_EQ(all_.used(), 800U) << "what one has given is given back";
}

}  // namespace
}  // namespace jetd::rpc
