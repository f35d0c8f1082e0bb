// SPDX-License-Identifier: Apache-2.0
//
// Every fixture is read; the newest is what this tree writes. A new one is written by
//   JETD_WRITE_FIXTURES=replication/fixtures build/dev/replication/fixture_test
#include "replication/fixture.h"

#include <bit>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "gtest/gtest.h"
#include "jetstream/record.h"

namespace jetd::replication {
namespace {

namespace fs = std::filesystem;

std::string NewestName() { return Cat("format-", jetstream::kFormatVersion); }

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(JETD_FIXTURES)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  return names;
}

Files FilesOf(const std::string& name) {
  Files files;
  for (const auto& entry : fs::directory_iterator(fs::path(JETD_FIXTURES) / name)) {
    files[entry.path().filename()] = ReadFile(entry.path());
  }
  return files;
}

struct Read {
  std::string state;
  uint64_t records = 0;
};

// As the start of a jetd does it; with the checkpoint in `folder` if that is not empty.
Read Start(const Files& files, const std::string& folder) {
  FakeExecutor exec;
  jetstream::MemoryStream stream;
  AppendLines(files.at("stream.txt"), SIZE_MAX, &stream);
  jetstream::MemoryLog::Options options;
  options.exclusive = true;
  jetstream::MemoryLog log(&exec, &stream, options);
  jetstream::SilentObserver observer;
  log.Open(&observer, [](const absl::Status&) {});
  exec.RunDeferred();
  const jetstream::SubjectCodec codec("B");
  revision::Store store;
  revision::Replay replay(&log, &codec, &store);
  if (!folder.empty()) {
    UseFixtureFiles(&store, folder);
    jetstream::LogInfo info;
    info.bucket = stream.bucket();
    info.created_ns = stream.created_ns();
    replay.set_checkpoint(folder + "/checkpoint", info);
  }
  Read read;
  replay.Run([&](const absl::StatusOr<revision::Replay::Result>& result) {
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) read.records = result->records;
    read.state = StateOf(store);
  });
  exec.Advance(std::chrono::seconds(1));
  log.Close();
  return read;
}

TEST(FixtureTest, EveryStreamIsRead) {
  log::Init({.level = log::Level::kError});
  ASSERT_FALSE(Names().empty());
  for (const std::string& name : Names()) {
    SCOPED_TRACE(name);
    const Files files = FilesOf(name);
    EXPECT_EQ(Start(files, "").state, files.at("expect.txt"));
    FakeExecutor exec;
    jetstream::MemoryStream stream;
    AppendLines(files.at("stream.txt"), SIZE_MAX, &stream);
    const auto report = CheckOf(&exec, &stream, Server::kEmbedded);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->damages(), 0U) << ToText(*report);
  }
}

// One of an earlier version may be left out, and all read from the stream.
TEST(FixtureTest, EveryCheckpointIsReadOrLeftOut) {
  log::Init({.level = log::Level::kError});
  if constexpr (std::endian::native != std::endian::little) GTEST_SKIP() << "of another machine";
  for (const std::string& name : Names()) {
    SCOPED_TRACE(name);
    const Files files = FilesOf(name);
    const ScratchFolder folder;
    for (const auto& [file, text] : files) {
      if (!file.ends_with(".hex")) continue;
      WriteFile(fs::path(folder.path()) / file.substr(0, file.size() - 4), BytesOf(text));
    }
    const Read read = Start(files, folder.path());
    EXPECT_EQ(read.state, files.at("expect.txt"));
    if (name == NewestName()) {
      EXPECT_LT(read.records, 3U) << "the checkpoint was not used";
    }
  }
}

// Whoever changes a format raises its version, and adds fixtures.
TEST(FixtureTest, TheNewestIsWhatIsWritten) {
  log::Init({.level = log::Level::kError});
  const Files written = Life();
  if (const char* folder = std::getenv("JETD_WRITE_FIXTURES"); folder != nullptr) {
    const fs::path path = fs::path(folder) / NewestName();
    fs::create_directories(path);
    for (const auto& [name, text] : written) WriteFile(path / name, text);
    GTEST_SKIP() << "written to " << path;
  }
  ASSERT_TRUE(fs::is_directory(fs::path(JETD_FIXTURES) / NewestName()));
  const Files fixture = FilesOf(NewestName());
  for (const auto& [name, text] : written) {
    if (std::endian::native != std::endian::little && name.ends_with(".hex")) continue;
    ASSERT_TRUE(fixture.contains(name)) << name;
    EXPECT_EQ(text, fixture.at(name)) << name;
  }
  EXPECT_EQ(fixture.size(), written.size());
}

}  // namespace
}  // namespace jetd::replication
