// SPDX-License-Identifier: Apache-2.0
#include "base/usage_record.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kStart = 1'700'000'000'000 / kHour * kHour;

const UsageOwner kOwner{.bucket = "acme", .cluster_id = "c1", .member_id = "m1"};

UsageCounters Puts(uint64_t count) {
  return {.requests = {{"Put", count}},
          .bytes_in = 100 * count,
          .bytes_out = 10 * count,
          .cpu_seconds = 0.25 * static_cast<double>(count),
          .watch_seconds = 0.5 * static_cast<double>(count)};
}

class UsageRecordTest : public ::testing::Test {
 protected:
  // As a process that was killed leaves it: nothing is done at the end.
  void Open(int64_t now_ms = kStart) {
    record_.reset();
    auto opened = UsageRecord::Open(root_ + "/usage", kOwner, now_ms);
    ASSERT_TRUE(opened.ok()) << opened.status();
    record_ = *std::move(opened);
  }
  void Append(int64_t now_ms, uint64_t puts) const {
    const absl::Status status = record_->Append(now_ms, Puts(puts));
    ASSERT_TRUE(status.ok()) << status;
  }
  [[nodiscard]] std::string File(const std::string& name) const {
    return Cat(root_, "/usage/c1-m1/", name);
  }
  [[nodiscard]] std::string Text(const std::string& name) const {
    std::ifstream file(File(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(File(name)) << text;
  }
  // Puts used since then, as of the newest sample.
  [[nodiscard]] uint64_t PutsSince(int64_t since_ms) const {
    const auto passed = UsedSince(ReadUsageSamples(record_->folder()), record_->newest(), since_ms);
    const auto puts = passed.used.requests.find("Put");
    return puts == passed.used.requests.end() ? 0 : puts->second;
  }

  const ScratchFolder scratch_;
  const std::string& root_ = scratch_.path();
  std::unique_ptr<UsageRecord> record_;
};

TEST_F(UsageRecordTest, GoesOnWhereAProcessWasKilled) {
  Open();
  EXPECT_EQ(record_->newest().number, 0U);
  EXPECT_EQ(record_->newest().began_ms, kStart);
  Append(kStart + kMinute, 3);
  Append(kStart + 2 * kMinute, 5);
  const UsageSample last = record_->newest();
  Open(kStart + kHour);
  EXPECT_EQ(record_->newest(), last) << "all of it, its beginning too";
  EXPECT_FALSE(record_->lost());
  EXPECT_EQ(record_->newest().all, Puts(5));
  EXPECT_EQ(record_->newest().owner, kOwner);
  Append(kStart + kHour, 7);
  EXPECT_EQ(ReadUsageSamples(record_->folder()).size(), 3U);
  EXPECT_EQ(UsageFolders(root_ + "/usage"), std::vector<std::string>{record_->folder()});
  EXPECT_TRUE(UsageFolders(root_ + "/none").empty());
}

TEST_F(UsageRecordTest, ATornLineIsNotThere) {
  Open();
  Append(kStart + kMinute, 3);
  Append(kStart + 2 * kMinute, 5);
  const std::string whole = Text("minutes");
  const size_t second = whole.find('\n') + 1;
  // After every byte of it but the end of its line.
  for (size_t size = second; size + 1 < whole.size(); ++size) {
    Write("minutes", whole.substr(0, size));
    Open();
    ASSERT_EQ(record_->newest().number, 1U) << size;
  }
  Append(kStart + 3 * kMinute, 4);
  Open();
  EXPECT_EQ(record_->newest().all, Puts(4)) << "behind a torn line comes a whole one";
  EXPECT_EQ(ReadUsageSamples(record_->folder()).size(), 2U);
  // Without the end of its line alone it is whole.
  Write("minutes", whole.substr(0, whole.size() - 1));
  Open();
  EXPECT_EQ(record_->newest().all, Puts(5));
}

// A gap would say that what came before it is not kept any more, and so is not to be counted.
TEST_F(UsageRecordTest, WhatCouldNotBeWrittenLeavesNoGap) {
  Open();
  // A folder in the place of the file.
  std::filesystem::create_directory(File("minutes"));
  EXPECT_FALSE(record_->Append(kStart + kMinute, Puts(3)).ok());
  EXPECT_EQ(record_->newest().number, 0U);
  EXPECT_EQ(PutsSince(kStart), 0U);
  std::filesystem::remove(File("minutes"));
  Append(kStart + 2 * kMinute, 5);
  EXPECT_EQ(record_->newest().number, 1U);
  EXPECT_EQ(PutsSince(kStart), 5U) << "all of it is known";
  EXPECT_EQ(PutsSince(kStart + 2 * kMinute), 0U);
  Open();
  EXPECT_EQ(PutsSince(kStart), 5U);
  // In one of the two files it is there.
  std::filesystem::remove(File("hours"));
  std::filesystem::create_directory(File("hours"));
  Open();
  EXPECT_FALSE(record_->Append(kStart + kHour, Puts(6)).ok());
  EXPECT_EQ(record_->newest().number, 2U);
  EXPECT_EQ(PutsSince(kStart + 2 * kMinute), 1U);
  std::filesystem::remove(File("hours"));
  Append(kStart + kHour + kMinute, 7);
  EXPECT_EQ(PutsSince(kStart + 2 * kMinute), 2U);
  Write("minutes", "");
  Open();
  EXPECT_EQ(record_->newest().all, Puts(7)) << "the hour's came later";
}

TEST_F(UsageRecordTest, WhatIsBrokenIsNotThere) {
  Open();
  for (int i = 1; i <= 5; ++i) Append(kStart + i * kMinute, static_cast<uint64_t>(i));
  std::string text = Text("minutes");
  const std::string sound = text;
  text[text.find("\"Put\":3")] ^= 1;
  Write("minutes", text);
  EXPECT_EQ(ReadUsageSamples(record_->folder()).size(), 4U);
  EXPECT_EQ(PutsSince(kStart), 5U) << "the next one has it too";
  // The hour's is what is left of minutes that are all gone.
  Write("minutes", std::string(5'000, '\0'));
  Open();
  EXPECT_EQ(record_->newest().all, Puts(1));
  EXPECT_FALSE(record_->lost());
  Write("hours", "x");
  Open(kStart + kHour);
  EXPECT_TRUE(record_->lost());
  EXPECT_EQ(record_->newest().number, 0U);
  EXPECT_EQ(record_->newest().began_ms, kStart + kHour);
  // What of an earlier record comes to light again is not counted to the new one.
  Write("minutes", sound);
  const std::vector<UsageSample> samples = ReadUsageSamples(record_->folder());
  UsageSample now = record_->newest();
  now.number = 9;
  now.time_ms += kMinute;
  now.all = Puts(2);
  EXPECT_EQ(UsedSince(samples, now, kStart).used, Puts(2));
}

TEST_F(UsageRecordTest, ANewersIsLeftAlone) {
  Open();
  record_.reset();
  Write("minutes", "2b5442799fccc3af {\"v\":2}\n");
  const auto opened = UsageRecord::Open(root_ + "/usage", kOwner, kStart);
  EXPECT_THAT(opened.status().ToString(), HasSubstr("minutes: another version of jetd wrote it"));
}

TEST_F(UsageRecordTest, OneProcessKeepsIt) {
  Open();
  const auto second = UsageRecord::Open(root_ + "/usage", kOwner, kStart);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_THAT(second.status().ToString(), HasSubstr("cannot lock"));
  const auto nowhere = UsageRecord::Open("/proc/usage", kOwner, kStart);
  EXPECT_THAT(nowhere.status().ToString(), HasSubstr("cannot make the folder /proc/usage/c1-m1"));
}

TEST_F(UsageRecordTest, CountsFromAMoment) {
  Open();
  for (int i = 1; i <= 10; ++i) Append(kStart + i * kMinute, static_cast<uint64_t>(10 * i));
  EXPECT_EQ(PutsSince(kStart - kHour), 100U);
  EXPECT_EQ(PutsSince(kStart), 100U);
  EXPECT_EQ(PutsSince(kStart + 4 * kMinute), 60U);
  EXPECT_EQ(PutsSince(kStart + 4 * kMinute + 1), 60U) << "an interval counts as a whole";
  EXPECT_EQ(PutsSince(kStart + 10 * kMinute), 0U);
  UsageSample now = record_->newest();
  ++now.number;
  now.time_ms += kMinute / 2;
  now.all = Puts(107);
  const auto samples = ReadUsageSamples(record_->folder());
  const UsagePassed passed = UsedSince(samples, now, kStart + 10 * kMinute);
  EXPECT_EQ(passed.used, Puts(7)) << "what is not in the files yet";
  EXPECT_EQ(passed.from_ms, kStart + 10 * kMinute);
  EXPECT_EQ(UsedSince(samples, now, kStart - kHour).from_ms, kStart) << "where the record begins";
  EXPECT_EQ(UsedSince({}, now, kStart - kHour).used, Puts(107));
}

// 10, 11, then a year ahead for two minutes, then right again; and back, and right again.
TEST_F(UsageRecordTest, AClockThatIsSetCountsNothingTwice) {
  constexpr int64_t kYear = 365 * 24 * kHour;
  Open();
  const std::vector<int64_t> times = {kStart + kMinute,         kStart + 2 * kMinute,
                                      kStart + kYear,           kStart + kYear + kMinute,
                                      kStart + 5 * kMinute,     kStart - kYear,
                                      kStart - kYear + kMinute, kStart + 8 * kMinute};
  uint64_t puts = 0;
  for (const int64_t time : times) Append(time, puts += 10);
  EXPECT_EQ(PutsSince(kStart - 2 * kYear), 80U);
  // The two that were stamped a year before are missing, and nothing else.
  EXPECT_EQ(PutsSince(kStart), 60U);
  EXPECT_EQ(PutsSince(kStart + 2 * kMinute), 40U);
  EXPECT_EQ(PutsSince(kStart + 8 * kMinute), 20U) << "what was stamped a year ahead";
  EXPECT_EQ(PutsSince(kStart + 2 * kYear), 0U);
  Open();
  EXPECT_EQ(record_->newest().all, Puts(80)) << "the newest is the last one, whatever its time";
}

TEST_F(UsageRecordTest, IsBoundedAndKeepsHoursLonger) {
  Open();
  constexpr int kDays = 120;
  uint64_t minute = 0;
  for (int day = 0; day < kDays; ++day) {
    // All minutes of the last two days, of the others one an hour.
    const uint64_t step = day < kDays - 2 ? 60 : 1;
    for (uint64_t i = 0; i < 24UL * 60; i += step) {
      minute = static_cast<uint64_t>(day) * 24 * 60 + i;
      Append(kStart + static_cast<int64_t>(minute) * kMinute, minute + 1);
    }
  }
  uint64_t bytes = 0;
  for (const char* name : {"minutes", "minutes.old", "hours", "hours.old"}) {
    const uint64_t size = Text(name).size();
    EXPECT_LE(size, name[0] == 'm' ? UsageRecord::kMinutesBytes : UsageRecord::kHoursBytes);
    bytes += size;
  }
  EXPECT_LT(bytes, 3UL << 20);
  const auto end = static_cast<int64_t>(minute);
  EXPECT_EQ(PutsSince(kStart + (end - 100) * kMinute), 100U);
  EXPECT_EQ(PutsSince(kStart + (end - 24 * 60) * kMinute), 24U * 60) << "a day, by the minute";
  // A quarter ago: what an hour's samples can tell.
  const int64_t quarter = end - 92 * 24 * 60;
  const uint64_t passed = PutsSince(kStart + quarter * kMinute);
  EXPECT_GE(passed, 92U * 24 * 60);
  EXPECT_LE(passed, 92U * 24 * 60 + 60);
  Open();
  EXPECT_EQ(record_->newest().all, Puts(minute + 1));
  // Older than all that is kept: it says from when on it can tell.
  Write("hours", "");
  const auto samples = ReadUsageSamples(record_->folder());
  ASSERT_GT(samples.front().number, 1U);
  const UsagePassed all = UsedSince(samples, record_->newest(), kStart);
  EXPECT_EQ(all.from_ms, samples.front().time_ms);
  EXPECT_EQ(all.used, Difference(record_->newest().all, samples.front().all));
}

}  // namespace
}  // namespace jetd
