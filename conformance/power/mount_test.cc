// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/mount.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>

#include "base/check.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/block_files.h"

namespace jetd::conformance::power {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

// What programs see of a Mount. The rules of what survives are the Disk's, and tested there.
class MountTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "jetd_mount_XXXXXX";
    JETD_CHECK(mkdtemp(name.data()) != nullptr);
    folder_ = name;
    auto mount = Mount::Make({.folder = folder_});
    if (!mount.ok()) GTEST_SKIP() << MessageOf(mount.status());
    mount_ = *std::move(mount);
  }
  void TearDown() override {
    mount_ = nullptr;
    fs::remove_all(folder_);
  }

  [[nodiscard]] std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::app) << text;
  }
  [[nodiscard]] std::string Read(const std::string& name) const {
    std::ifstream in(Path(name));
    if (!in) return "(not there)";
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] int Sync(const std::string& name) const {
    const int fd = open(Path(name).c_str(), O_RDONLY | O_CLOEXEC);
    JETD_CHECK(fd >= 0) << name;
    const int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error;
  }
  void Cut(uint64_t seed) {
    mount_->Freeze();
    mount_->Release();
    const absl::Status cut = mount_->Cut(seed);
    ASSERT_TRUE(cut.ok()) << cut;
  }

  std::string folder_;
  std::unique_ptr<Mount> mount_;
};

TEST_F(MountTest, IsAFileSystem) {
  Write("a", "one");
  Write("a", "two");
  EXPECT_EQ(Read("a"), "onetwo");
  fs::create_directories(Path("d/e"));
  Write("d/e/b", std::string(300'000, 'x'));
  EXPECT_EQ(fs::file_size(Path("d/e/b")), 300'000U);
  fs::rename(Path("a"), Path("d/e/b"));
  EXPECT_EQ(Read("d/e/b"), "onetwo");
  fs::resize_file(Path("d/e/b"), 2);
  EXPECT_EQ(Read("d/e/b"), "on");
  std::ofstream(Path("d/e/b")) << "new";
  EXPECT_EQ(Read("d/e/b"), "new");
  for (int i = 0; i < 500; ++i) Write(Cat("d/", i), "");
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(Path("d"))) names.insert(entry.path().filename());
  EXPECT_EQ(names.size(), 501U);
  EXPECT_EQ(fs::remove_all(Path("d")), 503U);
  EXPECT_TRUE(fs::is_empty(folder_));
  EXPECT_GT(fs::space(folder_).available, 1U << 30U);
}

TEST_F(MountTest, KeepsWhatWasSynced) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::string name = Cat("file", seed);
    Write(name, "synced");
    EXPECT_EQ(Sync(name), 0);
    EXPECT_EQ(Sync(""), 0);
    Write(name, "more");
    Cut(seed);
    EXPECT_EQ(Read(name).substr(0, 6), "synced");
  }
}

TEST_F(MountTest, LosesWhatWasNot) {
  int lost = 0;
  int torn = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const std::string name = Cat("file", seed);
    Write(name, "not synced");
    Cut(seed);
    const std::string left = Read(name);
    if (left == "(not there)") {
      ++lost;
    } else if (left != "not synced") {
      ++torn;
    }
  }
  EXPECT_GT(lost, 0);
  EXPECT_GT(torn, 0);
  EXPECT_LT(lost + torn, 40);
}

TEST_F(MountTest, NothingHappensWhileItIsFrozen) {
  Write("a", "one");
  EXPECT_EQ(Sync("a"), 0);
  EXPECT_EQ(Sync(""), 0);
  const int fd = open(Path("a").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  mount_->FreezeAt([](const FileEvent& event) { return event.op == FileOp::kWrite; });
  ssize_t written = 0;
  int error = 0;
  std::thread writer([&] {
    written = write(fd, "two", 3);
    error = errno;
  });
  EXPECT_TRUE(mount_->WaitFrozen(std::chrono::seconds(60)));
  mount_->Release();
  writer.join();
  EXPECT_EQ(written, -1);
  EXPECT_EQ(error, EIO);
  close(fd);
  ASSERT_TRUE(mount_->Cut(1).ok());
  EXPECT_EQ(Read("a").substr(0, 3), "one");
}

TEST_F(MountTest, FailsAsItIsTold) {
  Write("a", "one");
  mount_->FailAt([](const FileEvent& event) { return event.op == FileOp::kSync; }, 1);
  EXPECT_EQ(Sync("a"), EIO);
  EXPECT_EQ(Sync("a"), 0) << "and a program that asks again is told that all is well";
  EXPECT_EQ(Sync(""), 0);
  EXPECT_EQ(mount_->failed(), 1);
  Cut(1);
  EXPECT_EQ(Read("a"), "");
}

// syncfs says that all is well on a FUSE file system and does nothing.
TEST_F(MountTest, AStreamIsSyncedHereToo) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::string stream = Cat("data/", seed, "/KV_b");
    fs::create_directories(Path(stream + "/msgs"));
    fs::create_directories(Path(stream + "/obs/c"));
    const std::string names[] = {"/meta.inf", "/msgs/1.blk", "/msgs/2.blk", "/obs/c/meta.inf"};
    for (const std::string& name : names) Write(stream + name, "synced");
    jetstream::BlockFiles(Path(stream)).SyncAll();
    Cut(seed);
    for (const std::string& name : names) EXPECT_EQ(Read(stream + name), "synced") << name;
  }
}

}  // namespace
}  // namespace jetd::conformance::power
