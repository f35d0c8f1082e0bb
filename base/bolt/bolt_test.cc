// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/bolt/page.h"
#include "base/bolt/reader.h"
#include "base/bolt/writer.h"
#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::bolt {
namespace {

using Content = std::map<std::string, std::string>;

using File = std::map<std::string, Content>;

// By pieces of at least `bytes`, as a stream takes them.
std::string Write(const File& file, size_t bytes = 1) {
  std::vector<Writer::Bucket> buckets;
  for (const auto& [name, content] : file) {
    buckets.push_back(
        {name, std::make_unique<FewItems>(FewItems::List(content.begin(), content.end()))});
  }
  Writer writer(std::move(buckets));
  std::string all;
  while (!writer.done()) {
    const size_t before = all.size();
    EXPECT_TRUE(writer.Write(bytes, &all).ok());
    EXPECT_TRUE(writer.done() || all.size() >= before + bytes);
  }
  EXPECT_EQ(all.size(), writer.size());
  EXPECT_EQ(all.size() % kPageSize, 0U);
  return all;
}

absl::StatusOr<File> ReadAll(const std::string& bytes) {
  auto reader = Reader::Open(bytes);
  if (!reader.ok()) return reader.status();
  auto names = reader->Buckets();
  if (!names.ok()) return names.status();
  File file;
  for (const std::string& name : *names) {
    Content& content = file[name];
    absl::Status status = reader->ForEach(name, [&](std::string_view key, std::string_view value) {
      content.emplace(key, value);
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
  }
  return file;
}

std::string Text(std::mt19937_64* random, size_t size) {
  std::string text(size, '\0');
  for (char& byte : text) byte = static_cast<char>((*random)());
  return text;
}

TEST(BoltTest, EmptyBucketsAreThere) {
  const File file = {{"alarm", {}}, {"key", {}}, {"meta", {{"term", "1"}}}};
  const auto read = ReadAll(Write(file));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, file);
}

TEST(BoltTest, NoBucketAtAll) {
  const auto read = ReadAll(Write({}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->empty());
}

// Sizes around those where pages and levels begin.
TEST(BoltTest, WhatWasWrittenIsReadBack) {
  std::mt19937_64 random(1);
  for (const size_t items : {1, 2, 3, 130, 131, 1000, 40'000}) {
    for (const size_t most : {0, 60, 5'000}) {
      if (items * most > 10'000'000) continue;
      File file;
      for (size_t i = 0; i < items; ++i) {
        std::string key = Cat("k", i, Text(&random, random() % 12));
        file["key"].emplace(std::move(key), Text(&random, most == 0 ? 0 : random() % most));
      }
      file["lease"].emplace("x", "y");
      const auto read = ReadAll(Write(file, 1 + random() % 100'000));
      ASSERT_TRUE(read.ok()) << read.status() << " items " << items << " most " << most;
      EXPECT_TRUE(*read == file) << items << " items of at most " << most;
    }
  }
}

TEST(BoltTest, LargeKeysAndValuesOverflowTheirPage) {
  const File file = {{"key",
                      {{std::string(10'000, 'a'), std::string(1'500'000, 'v')},
                       {std::string(10'000, 'b'), "small"},
                       {"c", std::string(4'096, 'w')}}}};
  const auto read = ReadAll(Write(file));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == file);
}

TEST(BoltTest, MissingBucket) {
  const std::string bytes = Write({{"key", {{"a", "b"}}}});
  const auto reader = Reader::Open(bytes);
  ASSERT_TRUE(reader.ok());
  const auto nothing = [](std::string_view, std::string_view) { return absl::OkStatus(); };
  EXPECT_EQ(reader->ForEach("lease", nothing).code(), absl::StatusCode::kNotFound);
}

TEST(BoltTest, TheSecondMetaIsEnough) {
  const File file = {{"key", {{"a", "b"}}}};
  std::string bytes = Write(file);
  bytes[20] ^= 1;
  const auto read = ReadAll(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, file);
}

TEST(BoltTest, WhatIsNoFileIsRefused) {
  EXPECT_FALSE(Reader::Open("").ok());
  EXPECT_FALSE(Reader::Open(std::string(100'000, 'x')).ok());
  const std::string bytes = Write({{"key", {{"a", "b"}}}});
  for (size_t size = 0; size < bytes.size(); size += 100) {
    EXPECT_FALSE(Reader::Open(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
}

// Whatever a byte turns into: an answer or an error, no crash, no endless walk.
TEST(BoltTest, DamageIsNoCrash) {
  std::mt19937_64 random(7);
  File file;
  for (size_t i = 0; i < 2'000; ++i) file["key"].emplace(Cat("k", i), Text(&random, 20));
  const std::string sound = Write(file);
  size_t refused = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::string bytes = sound;
    for (uint64_t n = 1 + random() % 4; n > 0; --n) {
      // Mostly where pages begin, which is where the structure is.
      const size_t page = random() % (bytes.size() / kPageSize);
      bytes[page * kPageSize + random() % 200] = static_cast<char>(random());
    }
    if (!ReadAll(bytes).ok()) ++refused;
  }
  EXPECT_GT(refused, 500U);
}

}  // namespace
}  // namespace jetd::bolt
