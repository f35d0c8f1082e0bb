// SPDX-License-Identifier: Apache-2.0
#include "jetstream/file_system.h"

#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

TEST(FileSystem, DefaultsOfExt4AndBtrfsAreSafe) {
  EXPECT_EQ(CaveatOf("ext4", "rw,relatime,rw"), "");
  EXPECT_EQ(CaveatOf("ext4", "rw,relatime,rw,data=ordered"), "");
  EXPECT_EQ(CaveatOf("btrfs", "rw,ssd"), "");
}

TEST(FileSystem, WhatDoesNotKeepTheOrderIsSaid) {
  EXPECT_NE(CaveatOf("ext4", "rw,data=writeback"), "");
  EXPECT_NE(CaveatOf("ext4", "rw,noauto_da_alloc,errors=remount-ro"), "");
  EXPECT_NE(CaveatOf("xfs", "rw"), "");
  EXPECT_NE(CaveatOf("overlay", "rw"), "");
}

TEST(FileSystem, WhatDoesNotSyncIsSaid) {
  EXPECT_NE(CaveatOf("tmpfs", "rw"), "");
  EXPECT_NE(CaveatOf("ext4", "rw,nobarrier"), "");
  EXPECT_NE(CaveatOf("btrfs", "rw,barrier=0"), "");
}

TEST(FileSystem, KnowsMemory) {
  EXPECT_NE(FileSystemCaveat("/dev/shm").find("tmpfs"), std::string::npos);
  EXPECT_NE(FileSystemCaveat("/not/there"), "");
}

TEST(FileSystem, KnowsWhatIsFree) {
  EXPECT_GT(FreeBytes("/"), 0U);
  EXPECT_EQ(FreeBytes("/no/such/folder"), 0U);
}

}  // namespace
}  // namespace jetd::jetstream
