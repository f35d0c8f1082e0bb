// SPDX-License-Identifier: Apache-2.0
#include "rpc/message.h"

#include <algorithm>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace jetd::rpc {
namespace {

TEST(SliceTest, ACopyIsOfItsOwn) {
  std::string text = "a value";
  const Slice slice = Slice::Copy(text);
  text.assign("nothing");
  EXPECT_EQ(slice.bytes(), "a value");
  EXPECT_EQ(slice.size(), 7U);
}

TEST(SliceTest, MemoryIsWrittenBeforeItIsShared) {
  char* memory = nullptr;
  Slice slice = Slice::Allocate(4, &memory);
  std::copy_n("abcd", 4, memory);
  const Slice copy = slice;
  Slice part = copy.Sub(1, 3);
  slice = Slice();
  EXPECT_EQ(copy.bytes(), "abcd");
  EXPECT_EQ(part.bytes(), "bc");
  EXPECT_EQ(static_cast<const void*>(part.bytes().data()), memory + 1);
  const Slice moved = std::move(part);
  EXPECT_EQ(moved.bytes(), "bc");
}

TEST(SliceTest, NoBytesNeedNoMemory) {
  char* memory = nullptr;
  EXPECT_EQ(Slice::Allocate(0, &memory).size(), 0U);
  EXPECT_EQ(memory, nullptr);
  EXPECT_EQ(Slice::Copy("").bytes(), "");
}

// Somebody else's block: all references that were taken are given back.
TEST(SliceTest, CountsTheUsersOfABlock) {
  static constexpr Slice::Counting kCounting{
      .ref = [](void* users) { ++*static_cast<int*>(users); },
      .unref = [](void* users) { --*static_cast<int*>(users); }};
  int users = 1;
  {
    const Slice first("block", &users, &kCounting);
    EXPECT_EQ(users, 1);
    Slice second = first;
    EXPECT_EQ(users, 2);
    const Message message(first.Sub(1, 3));
    const Message shared = message;
    EXPECT_EQ(users, 4);
    second = Slice::Copy("else");
    EXPECT_EQ(users, 3);
  }
  EXPECT_EQ(users, 0);
}

TEST(MessageTest, IsItsPieces) {
  Message::Pieces pieces;
  for (const char* text : {"one ", "two ", "three"}) pieces.push_back(Slice::Copy(text));
  const Message message(std::move(pieces));
  EXPECT_EQ(message.size(), 13U);
  EXPECT_EQ(message.Flatten(), "one two three");
  EXPECT_EQ(message.pieces().size(), 3U);
}

TEST(MessageTest, OnePieceIsTheWhole) {
  const Message message(Slice::Copy("all"));
  EXPECT_EQ(message.whole(), "all");
  EXPECT_EQ(message.size(), 3U);
  EXPECT_EQ(Message().whole(), "");
  EXPECT_EQ(Message().Flatten(), "");
}

}  // namespace
}  // namespace jetd::rpc
