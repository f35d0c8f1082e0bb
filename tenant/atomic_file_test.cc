// SPDX-License-Identifier: Apache-2.0
#include "tenant/atomic_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/check.h"
#include "base/pem_files.h"
#include "base/testing/scratch_folder.h"
#include "gtest/gtest.h"

namespace jetd::tenant {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat file {};
  JETD_CHECK(stat(path.c_str(), &file) == 0) << path;
  return file.st_mode & 0777;
}

class AtomicFileTest : public testing::Test {
 protected:
  const ScratchFolder scratch_;
  const std::string& folder_ = scratch_.path();
};

TEST_F(AtomicFileTest, ReplacesWhatIsThereAndItsMode) {
  const std::string path = folder_ + "/file";
  std::ofstream(path) << "old";
  // As an attempt that a power cut ended left it.
  std::ofstream(path + ".new") << "half";
  const mode_t before = umask(077);
  ASSERT_TRUE(WriteFileAtomically(path, "new", kSecretFile).ok());
  EXPECT_EQ(*ReadWholeFile(path), "new");
  EXPECT_EQ(ModeOf(path), kSecretFile);
  ASSERT_TRUE(WriteFileAtomically(path, "open", kOpenFile).ok());
  EXPECT_EQ(*ReadWholeFile(path), "open");
  EXPECT_EQ(ModeOf(path), kOpenFile) << "whatever the umask says";
  umask(before);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_F(AtomicFileTest, TheErrorNamesThePathAndNoContent) {
  const absl::Status status = WriteFileAtomically("/nowhere/at/all", "secret", kSecretFile);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.ToString().find("/nowhere/at/all"), std::string::npos) << status;
  EXPECT_EQ(status.ToString().find("secret"), std::string::npos) << status;
}

TEST_F(AtomicFileTest, FoldersAndRemoval) {
  const std::string path = folder_ + "/folder";
  ASSERT_TRUE(MakeFolder(path, kSecretFolder).ok());
  EXPECT_EQ(ModeOf(path), kSecretFolder);
  ASSERT_TRUE(MakeFolder(path, kOpenFolder).ok());
  EXPECT_EQ(ModeOf(path), kSecretFolder) << "what is there keeps its mode";
  std::ofstream(path + "/file") << "x";
  EXPECT_TRUE(RemoveFile(path + "/file").ok());
  EXPECT_TRUE(RemoveFile(path + "/file").ok()) << "gone already";
  EXPECT_FALSE(RemoveFile(path).ok()) << "a folder";
  EXPECT_FALSE(MakeFolder(folder_ + "/a/b", kOpenFolder).ok());
}

}  // namespace
}  // namespace jetd::tenant
