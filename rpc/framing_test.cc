// SPDX-License-Identifier: Apache-2.0
#include "rpc/framing.h"

#include <algorithm>
#include <memory>
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

  ByteBudget all_{10'000};
  ByteShare own_{&all_, 0, 1'000};
  MessageReader reader_{500, &own_};
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
  EXPECT_EQ(own_.used(), 5U) << "its memory counts, not what is there of it";
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
  MessageReader other(500, &own_);
  const std::string odd("\2\0\0\0\5", 5);
  std::string_view bytes = odd;
  EXPECT_EQ(other.Feed(&bytes), Result::kMalformed);
  EXPECT_EQ(other.flag(), 2);
}

TEST_F(FramingTest, AMessageCountsAsItComes) {
  constexpr size_t kBytes = 1'000'000;
  ByteBudget all(16 * kBytes);
  ByteShare own(&all, 0, 16 * kBytes);
  MessageReader reader(kBytes, &own);
  std::string message(kBytes, 'x');
  for (size_t i = 0; i < kBytes; ++i) message[i] = static_cast<char>(i * 31 >> 3);
  const std::string all_bytes = Framed(message);
  std::string_view prefix = std::string_view(all_bytes).substr(0, kPrefixBytes);
  EXPECT_EQ(reader.Feed(&prefix), Result::kMore);
  EXPECT_EQ(own.used(), 0U) << "a size is said quickly";
  Result result = Result::kMore;
  for (size_t at = kPrefixBytes; at < all_bytes.size(); at += 16'384) {
    std::string_view part = std::string_view(all_bytes).substr(at, 16'384);
    result = reader.Feed(&part);
    const size_t come = std::min(at - kPrefixBytes + 16'384, kBytes);
    EXPECT_GE(own.used(), come);
    EXPECT_LE(own.used(), 2 * come);
  }
  ASSERT_EQ(result, Result::kMessage);
  EXPECT_EQ(own.used(), kBytes);
  EXPECT_TRUE(reader.Take().whole() == message);
  EXPECT_EQ(own.used() + all.used(), 0U);
}

TEST_F(FramingTest, TheShareIsAsked) {
  MessageReader second(500, &own_);
  MessageReader third(500, &own_);
  const std::string large = Framed(std::string(400, 'x'));
  std::string_view begin = std::string_view(large).substr(0, 100);
  EXPECT_EQ(reader_.Feed(&begin), Result::kMore);
  begin = std::string_view(large).substr(0, 100);
  EXPECT_EQ(second.Feed(&begin), Result::kMore);
  begin = std::string_view(large).substr(0, 100);
  EXPECT_EQ(third.Feed(&begin), Result::kNoRoom);
  EXPECT_EQ(own_.used(), 800U);
  EXPECT_EQ(all_.used(), 800U);
}

TEST(ByteShareTest, WhoComesLaterFindsSomething) {
  ByteBudget all(900'000);
  std::vector<std::unique_ptr<ByteShare>> shares;
  for (int i = 0; i < 100; ++i) {
    shares.push_back(std::make_unique<ByteShare>(&all, 1'000, 900'000));
    while (shares.back()->Take(100)) {
    }
    EXPECT_GE(shares.back()->used(), 1'000U) << i;
  }
  EXPECT_EQ(shares[0]->used(), 300'000U);
  EXPECT_EQ(shares[1]->used(), 200'000U);
  EXPECT_LE(all.used(), 900'000U + 100 * 1'000);
  for (const auto& share : shares) share->Give(share->used());
  EXPECT_EQ(all.used(), 0U);
}

TEST(ByteShareTest, ItHasABoundOfItsOwn) {
  ByteBudget all(900'000);
  ByteShare share(&all, 100, 50'000);
  EXPECT_TRUE(share.Take(50'000));
  EXPECT_FALSE(share.Take(1));
  share.Add(1'000'000);  // what has to be
  EXPECT_EQ(all.left(), 0U);
  EXPECT_FALSE(share.Fits(0));
  share.Give(1'050'000);
  EXPECT_EQ(all.left(), 900'000U);
}

}  // namespace
}  // namespace jetd::rpc
