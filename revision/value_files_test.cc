// SPDX-License-Identifier: Apache-2.0
#include "revision/value_files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "revision/value_harness.h"

namespace jetd::revision {
namespace {

constexpr size_t kSegmentBytes = 1000;
constexpr size_t kBufferBytes = 300;

// An encoding as the store has it, of about `size` bytes.
KvRef Version(int64_t revision, size_t size, char fill = 'v') {
  return KvBlock::Make({.key = "key",
                        .value = std::string(size, fill),
                        .mod = {Revision(revision), 7},
                        .create_revision = Revision(1),
                        .version = revision});
}

class ValueFilesTest : public testing::Test {
 protected:
  void Open() {
    files_.reset();
    files_ = OpenValueFiles({.folder = folder_.path() + "/values",
                             .segment_bytes = kSegmentBytes,
                             .buffer_bytes = kBufferBytes});
  }
  void SetUp() override { Open(); }

  ValueLocation Append(const KvBlock& kv) {
    const auto location = files_->Append(kv.mod(), kv.encoded());
    EXPECT_TRUE(location.has_value());
    return location.value_or(ValueLocation{});
  }
  std::string Read(const ValueLocation& location) {
    std::string bytes(location.size, '\0');
    files_->Read(location, bytes.data());
    std::string mapped(location.size, '\0');
    files_->Read(location, mapped.data(), ValueFiles::How::kMany);
    EXPECT_TRUE(mapped == bytes) << "at " << location.offset << " of " << location.segment;
    return bytes;
  }
  // Segments that this process has in its address space.
  [[nodiscard]] size_t Maps() const {
    std::ifstream maps("/proc/self/maps");
    size_t found = 0;
    for (std::string line; std::getline(maps, line);) {
      if (line.find(folder_.path()) != std::string::npos) ++found;
    }
    return found;
  }
  std::vector<std::string> Files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/values")) {
      if (entry.path().extension() == ".values") names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string PathOf(const std::string& name) { return folder_.path() + "/values/" + name; }

  const ScratchFolder folder_;
  std::unique_ptr<ValueFiles> files_;
};

TEST_F(ValueFilesTest, GivesBackWhatWasWritten) {
  std::map<int64_t, std::pair<KvRef, ValueLocation>> all;
  for (int64_t i = 1; i <= 100; ++i) {
    KvRef kv = Version(i, static_cast<size_t>(i * 37 % 500), static_cast<char>(i));
    const ValueLocation location = Append(*kv);
    all.emplace(i, std::pair(std::move(kv), location));
    // The newest is in the buffer, others are in files, some of them closed.
    for (const auto& [n, one] : all) ASSERT_EQ(Read(one.second), one.first->encoded()) << n;
  }
  EXPECT_GT(files_->stats().segments, 10U);
  EXPECT_EQ(files_->stats().live_bytes, files_->stats().file_bytes);
  EXPECT_EQ(Files().size(), files_->stats().segments);
}

TEST_F(ValueFilesTest, TakesARecordLargerThanASegmentAndThanTheBuffer) {
  const KvRef small = Version(1, 10);
  const KvRef large = Version(2, 5 * kSegmentBytes);
  const ValueLocation first = Append(*small);
  const ValueLocation second = Append(*large);
  const ValueLocation third = Append(*small);
  EXPECT_EQ(Read(first), small->encoded());
  EXPECT_EQ(Read(second), large->encoded());
  EXPECT_EQ(Read(third), small->encoded());
  EXPECT_NE(second.segment, first.segment);
  EXPECT_NE(third.segment, second.segment);
}

TEST_F(ValueFilesTest, MapsGoWhenNothingIsReadFromThem) {
  const KvRef kv = Version(1, 400);
  const ValueLocation first = Append(*kv);
  while (files_->stats().segments < 4) (void)Append(*kv);
  std::string bytes(first.size, '\0');
  files_->Read(first, bytes.data());
  EXPECT_EQ(Maps(), 0U);
  files_->Read(first, bytes.data(), ValueFiles::How::kMany);
  EXPECT_EQ(Maps(), 1U);
  for (int i = 1; i < ValueFiles::kUnmapAfter; ++i) (void)Append(*kv);
  EXPECT_EQ(Maps(), 1U);
  (void)Append(*kv);
  EXPECT_EQ(Maps(), 0U);
  EXPECT_EQ(Read(first), kv->encoded());
  EXPECT_EQ(Maps(), 1U);
  files_->Drop(first);
  files_->Clear();
  EXPECT_EQ(Maps(), 0U);
}

TEST_F(ValueFilesTest, NobodyElseReadsItsFiles) {
  Append(*Version(1, 2 * kBufferBytes));
  for (const std::string& name : {std::string("lock"), Files().front()}) {
    struct stat file {};
    ASSERT_EQ(stat(PathOf(name).c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777U, 0600U) << name;
  }
}

TEST_F(ValueFilesTest, RemovesASegmentThatNobodyUses) {
  std::map<uint32_t, std::vector<ValueLocation>> by_segment;
  while (by_segment.size() < 3) {
    const ValueLocation location = Append(*Version(1, 100));
    by_segment[location.segment].push_back(location);
  }
  ASSERT_EQ(Files().size(), 3U);
  for (const ValueLocation& location : by_segment[2]) {
    ASSERT_TRUE(files_->Has(2));
    files_->Drop(location);
  }
  EXPECT_FALSE(files_->Has(2));
  EXPECT_EQ(Files().size(), 2U);
  // The one that is written to stays until it is closed.
  for (const ValueLocation& location : by_segment[3]) files_->Drop(location);
  EXPECT_TRUE(files_->Has(3));
  while (Append(*Version(1, 100)).segment == 3) {
  }
  EXPECT_TRUE(files_->Has(3)) << "it has records by now that are in use";
  for (const ValueLocation& location : by_segment[1]) files_->Drop(location);
  EXPECT_FALSE(files_->Has(1));
}

TEST_F(ValueFilesTest, StartsEmptyAndAlone) {
  Append(*Version(1, 2 * kBufferBytes));
  EXPECT_FALSE(ValueFiles::Open(files_->options()).ok()) << "the folder is in use";
  std::ofstream(PathOf("0000002a.values")) << "of a process that was killed";
  std::ofstream(PathOf("notes.txt")) << "not ours";
  Open();
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(files_->stats().file_bytes, 0U);
  EXPECT_TRUE(std::filesystem::exists(PathOf("notes.txt")));
}

TEST_F(ValueFilesTest, ForgetsAllAndGoesOn) {
  for (int i = 1; i < 30; ++i) Append(*Version(i, 100));
  files_->Clear();
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(files_->stats().file_bytes, 0U);
  EXPECT_EQ(files_->stats().live_bytes, 0U);
  const KvRef kv = Version(1, 2 * kBufferBytes);
  const ValueLocation location = Append(*kv);
  Append(*kv);
  EXPECT_EQ(Read(location), kv->encoded());
}

TEST_F(ValueFilesTest, TheNextProcessAdoptsWhatWasSaved) {
  std::vector<std::pair<KvRef, ValueLocation>> all;
  for (int64_t i = 1; i <= 40; ++i) {
    KvRef kv = Version(i, 100, static_cast<char>(i));
    const ValueLocation location = Append(*kv);
    all.emplace_back(std::move(kv), location);
  }
  const auto saved = files_->Save();
  ASSERT_TRUE(saved.ok()) << saved.status();
  const ValueFiles::Options options{.folder = folder_.path() + "/values",
                                    .segment_bytes = kSegmentBytes,
                                    .buffer_bytes = kBufferBytes,
                                    .keep = true};
  files_.reset();
  std::ofstream(PathOf("000000ff.values")) << "not named";
  files_ = OpenValueFiles(options);
  ASSERT_TRUE(files_->Adopt(*saved).ok());
  EXPECT_EQ(Files().size(), saved->size());
  // All of the third segment stays unused.
  for (const auto& [kv, location] : all) {
    if (location.segment == 3) continue;
    ASSERT_TRUE(files_->Use(location));
    EXPECT_EQ(Read(location), kv->encoded());
  }
  files_->RemoveUnused();
  EXPECT_FALSE(files_->Has(3));
  EXPECT_EQ(Files().size(), saved->size() - 1);
  EXPECT_FALSE(files_->Use(all.front().second.segment == 3 ? all.back().second
                                                           : ValueLocation{3, 24, 10, 0}));
  EXPECT_FALSE(files_->Use({1, static_cast<uint32_t>(kSegmentBytes), 10'000, 0}));
  // New ones go to new files, and old ones can be dropped.
  const ValueLocation added = Append(*all.front().first);
  EXPECT_GT(added.segment, saved->back().number);
  EXPECT_EQ(Read(added), all.front().first->encoded());
  for (const auto& [kv, location] : all) {
    if (location.segment != 3) files_->Drop(location);
  }
  EXPECT_EQ(files_->stats().segments, 1U);

  files_.reset();
  files_ = OpenValueFiles(options);
  EXPECT_FALSE(files_->Adopt(*saved).ok()) << "they are gone";
  files_->Clear();
  EXPECT_TRUE(Files().empty());
}

TEST_F(ValueFilesTest, SavesNoMoreFilesThanAreGoodToKeepOpen) {
  files_.reset();
  files_ = OpenValueFiles({.folder = folder_.path() + "/values",
                           .segment_bytes = kSegmentBytes,
                           .buffer_bytes = kBufferBytes,
                           .most_saved = 2});
  int64_t revision = 0;
  while (files_->stats().segments < 2) Append(*Version(++revision, 100, 'x'));
  EXPECT_TRUE(files_->Save().ok());
  while (files_->stats().segments < 3) Append(*Version(++revision, 100, 'x'));
  EXPECT_FALSE(files_->Save().ok());
}

TEST_F(ValueFilesTest, SaysWhatAFolderLacks) {
  const auto files = ValueFiles::Open({.folder = folder_.path() + "/no/such/folder"});
  ASSERT_FALSE(files.ok());
  EXPECT_NE(files.status().message().find("no/such/folder"), std::string_view::npos);
}

TEST_F(ValueFilesTest, ScansASegmentInSteps) {
  std::vector<KvRef> written;
  for (int64_t i = 1; written.empty() || files_->stats().segments < 2; ++i) {
    written.push_back(Version(i, static_cast<size_t>(50 + i % 3 * 40)));
    Append(*written.back());
  }
  written.pop_back();  // it opened the second segment
  for (const size_t step : {1UL, 150UL, 400UL, 100'000UL}) {
    std::vector<std::string> found;
    uint32_t offset = 0;
    int calls = 0;
    bool end = false;
    while (!end) {
      ++calls;
      // Every third record is refused at first, and comes again.
      int n = 0;
      end = files_->Scan(1, &offset, step, [&](const ValueFiles::Record& record) {
        if (++n % 3 == 0) return false;
        EXPECT_EQ(record.key, "key");
        EXPECT_EQ(record.mod.sub, 7U);
        EXPECT_EQ(record.mod.main, Revision(static_cast<int64_t>(found.size() + 1)));
        EXPECT_EQ(Read(record.location), record.encoded);
        found.emplace_back(record.encoded);
        return true;
      });
    }
    ASSERT_EQ(found.size(), written.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], written[i]->encoded());
    EXPECT_GT(calls, 1);
  }
}

TEST_F(ValueFilesTest, NamesTheSegmentWithTheMostWaste) {
  std::map<uint32_t, std::vector<ValueLocation>> by_segment;
  while (by_segment.size() < 12) {
    const ValueLocation location = Append(*Version(1, 100));
    by_segment[location.segment].push_back(location);
  }
  EXPECT_EQ(files_->MostlyWaste(), std::nullopt);
  for (auto& [segment, locations] : by_segment) {
    for (size_t keep = segment == 5 ? 1 : 2; locations.size() > keep; locations.pop_back()) {
      files_->Drop(locations.back());
    }
  }
  EXPECT_EQ(files_->MostlyWaste(), 5U);
}

// A limit on the size of files refuses writes as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    JETD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(ValueFilesTest, GoesOnWhenADiskThatWasFullHasRoomAgain) {
  std::vector<std::pair<KvRef, ValueLocation>> all;
  const auto append = [&] {
    KvRef kv = Version(static_cast<int64_t>(all.size()), 100);
    const auto location = files_->Append(kv->mod(), kv->encoded());
    if (location.has_value()) all.emplace_back(std::move(kv), *location);
    return location.has_value();
  };
  while (files_->stats().segments < 2) append();
  const size_t before = all.size();
  {
    const FileSizeLimit full(kBufferBytes / 2);
    int tries = 0;
    while (append()) ++tries;
    EXPECT_LE(tries, 3) << "what fits into the buffer";
    for (int i = 0; i < 3 * ValueFiles::kRetryEvery; ++i) EXPECT_FALSE(append());
    for (const auto& [kv, location] : all) EXPECT_EQ(Read(location), kv->encoded());
  }
  int refused = 0;
  while (!append()) ++refused;
  EXPECT_LT(refused, ValueFiles::kRetryEvery);
  while (all.size() < before + 50) EXPECT_TRUE(append());
  for (const auto& [kv, location] : all) EXPECT_EQ(Read(location), kv->encoded());
  EXPECT_EQ(Files().size(), files_->stats().segments);
}

using ValueFilesDeathTest = ValueFilesTest;

TEST_F(ValueFilesDeathTest, EndsTheProcessRatherThanReadSomethingElse) {
  const ValueLocation location = Append(*Version(1, 100));
  Append(*Version(2, 2 * kSegmentBytes));  // the first segment is closed
  const std::string path = PathOf(Files().front());
  EXPECT_EQ(Read(location).size(), location.size);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(location.offset + 20);
    file.put('\x7f');
  }
  EXPECT_DEATH(Read(location), "is not what was written");
  std::filesystem::resize_file(path, location.offset + 10);
  EXPECT_DEATH(Read(location), "it ends");
  EXPECT_DEATH(Read({.segment = 9, .offset = 24, .size = 10}), "segment 9");
}

TEST_F(ValueFilesDeathTest, CountsWhatIsInUse) {
  const ValueLocation location = Append(*Version(1, 100));
  files_->Drop(location);
  EXPECT_DEATH(files_->Drop(location), "was not in use");
}

}  // namespace
}  // namespace jetd::revision
