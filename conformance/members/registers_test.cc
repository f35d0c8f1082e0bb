// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/registers.h"

#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

TEST(RegistersTest, ValuesSortAsNumbers) {
  EXPECT_LT(Registers::ValueOf(9), Registers::ValueOf(10));
  EXPECT_EQ(Registers::NumberOf(Registers::ValueOf(123)), 123);
  EXPECT_EQ(Registers::NumberOf("12"), -1);
  EXPECT_EQ(Registers::NumberOf(""), -1);
  EXPECT_EQ(Registers::NumberOf("00000000001x"), -1);
}

TEST(RegistersTest, ACorrectServerIsRight) {
  Registers registers(2);
  EXPECT_EQ(registers.Next(0), 1);
  registers.TakeWritten(0, registers.FloorOf(0), 1, 5);
  const auto floor = registers.FloorOf(0);
  // A write under way may be read, or not.
  EXPECT_EQ(registers.Next(0), 2);
  registers.TakeRead(0, floor, Registers::ValueOf(2), 6, "m0");
  registers.TakeRead(0, floor, Registers::ValueOf(1), 5, "m1");  // it was sent before that ended
  registers.TakeRead(1, registers.FloorOf(1), Registers::ValueOf(0), 6, "m1");
  EXPECT_TRUE(registers.TakeViolations().empty());
  EXPECT_EQ(registers.reads(), 3U);
  EXPECT_EQ(registers.stale(), 0U);
}

TEST(RegistersTest, FindsStaleReads) {
  Registers registers(2);
  (void)registers.Next(0);
  (void)registers.Next(0);
  registers.TakeWritten(0, registers.FloorOf(0), 2, 7);
  // An older value; the right one at an older revision; another register, below the revision.
  registers.TakeRead(0, registers.FloorOf(0), Registers::ValueOf(1), 7, "m0");
  registers.TakeRead(0, registers.FloorOf(0), Registers::ValueOf(2), 6, "m0");
  registers.TakeRead(1, registers.FloorOf(1), Registers::ValueOf(0), 6, "m0");
  EXPECT_EQ(registers.stale(), 3U);
  EXPECT_EQ(registers.TakeViolations().counts().at("stale read"), 3U);
  EXPECT_TRUE(registers.TakeViolations().empty());
}

TEST(RegistersTest, WhatOneReadHasShownTheNextMustShow) {
  Registers registers(1);
  (void)registers.Next(0);
  registers.TakeRead(0, registers.FloorOf(0), Registers::ValueOf(1), 4, "m0");
  registers.TakeRead(0, registers.FloorOf(0), Registers::ValueOf(0), 4, "m1");
  EXPECT_EQ(registers.stale(), 1U);
}

TEST(RegistersTest, FindsWhatNobodyWroteAndWritesThatGoBack) {
  Registers registers(1);
  registers.TakeRead(0, registers.FloorOf(0), Registers::ValueOf(1), 4, "m0");
  registers.TakeRead(0, registers.FloorOf(0), "garbage", 4, "m0");
  (void)registers.Next(0);
  registers.TakeWritten(0, registers.FloorOf(0), 1, 4);
  registers.TakeRefused(0, 1, "m0");
  const auto found = registers.TakeViolations();
  EXPECT_EQ(found.counts().at("invented value"), 1U);
  EXPECT_EQ(found.counts().at("stale read"), 1U);
  EXPECT_EQ(found.counts().at("revision went back"), 1U);
  EXPECT_EQ(found.counts().at("stale write"), 1U);
}

}  // namespace
}  // namespace jetd::conformance
