// SPDX-License-Identifier: Apache-2.0
#include "jetstream/block_files.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

// What can be seen without cutting the power: that every way in which blocks come and go is
// noticed. The syncs themselves are system calls.
class BlockFilesTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(folder_ + "/msgs"); }

  std::string Path(uint64_t block) const { return Cat(folder_, "/msgs/", block, ".blk"); }
  void Write(uint64_t block) const { std::ofstream(Path(block), std::ios::app) << "records"; }

  const ScratchFolder scratch_;
  const std::string& folder_ = scratch_.path();
};

TEST_F(BlockFilesTest, FollowsTheNewestBlock) {
  BlockFiles files(folder_);
  files.SyncAll();
  EXPECT_EQ(files.newest(), 0U);
  files.SyncNewest();
  Write(1);
  files.SyncNewest();
  EXPECT_EQ(files.newest(), 1U);
  Write(1);
  files.SyncNewest();
  EXPECT_EQ(files.newest(), 1U);
  Write(2);
  Write(3);
  files.SyncNewest();
  EXPECT_EQ(files.newest(), 3U);
  files.SyncFolder();
}

TEST_F(BlockFilesTest, StartsAtTheNewestOfWhatIsThere) {
  for (const uint64_t block : {2, 9, 10}) Write(block);
  std::ofstream(folder_ + "/msgs/index.db") << "x";
  std::ofstream(folder_ + "/msgs/11.blk.tmp") << "x";
  BlockFiles files(folder_);
  files.SyncAll();
  EXPECT_EQ(files.newest(), 10U);
}

TEST_F(BlockFilesTest, SeesAGapOfBlocksThatCameAndWent) {
  Write(1);
  BlockFiles files(folder_);
  files.SyncAll();
  Write(2);
  Write(3);
  std::filesystem::remove(Path(2));
  files.SyncNewest();
  EXPECT_EQ(files.newest(), 3U);
  std::filesystem::remove(Path(1));
  std::filesystem::remove(Path(3));
  Write(4);
  files.SyncNewest();
  EXPECT_EQ(files.newest(), 4U);
}

TEST_F(BlockFilesTest, SeesABlockThatWasRewritten) {
  Write(1);
  BlockFiles files(folder_);
  files.SyncAll();
  struct stat before {};
  ASSERT_EQ(stat(Path(1).c_str(), &before), 0);
  EXPECT_EQ(files.newest_inode(), before.st_ino);
  Write(7);
  std::filesystem::rename(Path(7), Path(1));
  files.SyncNewest();
  struct stat after {};
  ASSERT_EQ(stat(Path(1).c_str(), &after), 0);
  ASSERT_NE(after.st_ino, before.st_ino);
  EXPECT_EQ(files.newest(), 1U);
  EXPECT_EQ(files.newest_inode(), after.st_ino);
}

TEST_F(BlockFilesTest, AFolderThatIsGoneEndsTheProcess) {
  BlockFiles files(folder_ + "/not-there");
  EXPECT_DEATH(files.SyncAll(), "cannot open .*not-there");
}

}  // namespace
}  // namespace jetd::jetstream
