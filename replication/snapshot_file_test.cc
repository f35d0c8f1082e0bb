// SPDX-License-Identifier: Apache-2.0
//
// Snapshot files made here; those of a real etcd and a real jetd are in cli/import_command_test.
#include "replication/snapshot_file.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/bolt/writer.h"
#include "base/check.h"
#include "base/etcdpb/kv.pb.h"
#include "base/etcdpb/lease.pb.h"
#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::replication {
namespace {

using Items = std::vector<std::pair<std::string, std::string>>;

std::string BigEndian(uint64_t number) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(number >> shift));
  return bytes;
}

std::string RevisionOf(uint64_t main, uint64_t sub = 0) {
  return BigEndian(main) + "_" + BigEndian(sub);
}

std::string Kv(const std::string& key, const std::string& value, int64_t create, int64_t mod,
               int64_t version, int64_t lease = 0) {
  mvccpb::KeyValue kv;
  kv.set_key(key);
  kv.set_value(value);
  kv.set_create_revision(create);
  kv.set_mod_revision(mod);
  kv.set_version(version);
  kv.set_lease(lease);
  return kv.SerializeAsString();
}

std::string Tombstone(const std::string& key) {
  mvccpb::KeyValue kv;
  kv.set_key(key);
  return kv.SerializeAsString();
}

std::string File(const std::map<std::string, Items>& content) {
  std::vector<bolt::Writer::Bucket> buckets;
  for (const auto& [name, items] : content) {
    buckets.push_back({name, std::make_unique<bolt::FewItems>(items)});
  }
  bolt::Writer writer(std::move(buckets));
  std::string file;
  while (!writer.done()) JETD_CHECK(writer.Write(1 << 20, &file).ok());
  return file;
}

std::string Summed(const std::string& file) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  JETD_CHECK(EVP_Digest(file.data(), file.size(), digest.data(), &size, EVP_sha256(), nullptr) ==
             1);
  return file + std::string(reinterpret_cast<const char*>(digest.data()), size);
}

std::map<std::string, Items> Life() {
  leasepb::Lease lease;
  lease.set_id(77);
  lease.set_ttl(60);
  return {{"key",
           {{RevisionOf(2), Kv("a", "1", 2, 2, 1)},
            {RevisionOf(3), Kv("b", "1", 3, 3, 1, 77)},
            {RevisionOf(4), Kv("a", "2", 2, 4, 2)},
            {RevisionOf(5, 0), Kv("c", "1", 5, 5, 1)},
            {RevisionOf(5, 1), Kv("d", "", 5, 5, 1)},
            {RevisionOf(6) + "t", Tombstone("c")}}},
          {"lease", {{BigEndian(77), lease.SerializeAsString()}}},
          {"meta", {{"consistent_index", BigEndian(9)}, {"scheduledCompactRev", RevisionOf(3)}}},
          {"auth", {}}};
}

TEST(SnapshotFileTest, TheNewestOfEachKeyAndTheLeases) {
  const auto contents = ParseSnapshot(Summed(File(Life())), SnapshotSum::kRequired);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->versions, 6U);
  EXPECT_FALSE(contents->has_users);
  BucketState state = contents->state;
  EXPECT_EQ(state.revision, Revision(6));
  EXPECT_EQ(state.newest, Revision(6));
  const auto mends = Mend(&state);
  ASSERT_TRUE(mends.ok()) << mends.status();
  EXPECT_EQ(mends->renumbered + mends->detached, 0U);
  ASSERT_EQ(state.keys.size(), 3U);
  EXPECT_EQ(state.keys[0]->key(), "b");
  EXPECT_EQ(state.keys[0]->lease(), LeaseId(77));
  EXPECT_EQ(state.keys[1]->encoded(), Kv("a", "2", 2, 4, 2));
  EXPECT_EQ(state.keys[2]->encoded(), Kv("d", "", 5, 5, 1));
  EXPECT_EQ(state.keys[2]->mod().sub, 1U);
  ASSERT_EQ(state.leases.size(), 1U);
  EXPECT_EQ(state.leases[0].ttl_s, 60);
}

TEST(SnapshotFileTest, ARevisionThatIsOnlyCompactedCountsToo) {
  auto life = Life();
  life["meta"] = {{"finishedCompactRev", RevisionOf(40)}};
  life["auth"] = {{"authEnabled", std::string("\1", 1)}};
  const auto contents = ParseSnapshot(Summed(File(life)), SnapshotSum::kRequired);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->state.revision, Revision(40));
  EXPECT_TRUE(contents->has_users);
}

TEST(SnapshotFileTest, TheSum) {
  const std::string file = File(Life());
  const auto bare = ParseSnapshot(file, SnapshotSum::kRequired);
  EXPECT_TRUE(absl::IsInvalidArgument(bare.status()));
  EXPECT_NE(bare.status().message().find("--skip-hash-check"), std::string::npos) << bare.status();
  EXPECT_TRUE(ParseSnapshot(file, SnapshotSum::kSkipped).ok());
  EXPECT_TRUE(ParseSnapshot(Summed(file), SnapshotSum::kSkipped).ok());
  std::string damaged = Summed(file);
  damaged[damaged.size() / 2] ^= 1;
  EXPECT_TRUE(absl::IsInvalidArgument(ParseSnapshot(damaged, SnapshotSum::kRequired).status()));
}

// Whatever a file says, the answer is an error or some state; ASan and UBSan watch.
TEST(SnapshotFileTest, DamagedFilesDoNoHarm) {
  const std::string file = File(Life());
  for (const std::string& none : {std::string(), std::string("x"), std::string(4096, '\0'),
                                  file.substr(0, file.size() / 2), File({{"other", {}}})}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseSnapshot(none, SnapshotSum::kSkipped).status()));
  }
  std::mt19937_64 random(7);
  for (int round = 0; round < 3'000; ++round) {
    std::string damaged = file;
    for (uint64_t n = 1 + random() % 3; n > 0; --n) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    auto contents = ParseSnapshot(damaged, SnapshotSum::kSkipped);
    if (contents.ok()) (void)Mend(&contents->state);
  }
  for (const auto& [name, value] : Items{{RevisionOf(0), Kv("a", "", 2, 2, 1)},
                                         {RevisionOf(UINT64_MAX), Kv("a", "", 2, 2, 1)},
                                         {RevisionOf(2, UINT64_MAX), Kv("a", "", 2, 2, 1)},
                                         {"short", Kv("a", "", 2, 2, 1)},
                                         {RevisionOf(2) + "x", Kv("a", "", 2, 2, 1)},
                                         {RevisionOf(2), "no message"},
                                         {RevisionOf(2), Kv("", "", 2, 2, 1)}}) {
    const auto contents = ParseSnapshot(File({{"key", {{name, value}}}}), SnapshotSum::kSkipped);
    EXPECT_TRUE(absl::IsInvalidArgument(contents.status())) << contents.status();
  }
}

TEST(SnapshotFileTest, Paths) {
  EXPECT_TRUE(absl::IsNotFound(ReadSnapshot("/nowhere/at/all", SnapshotSum::kRequired).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadSnapshot("/", SnapshotSum::kRequired).status()));
  const std::filesystem::path path = Cat(testing::TempDir(), "jetd_snapshot_file_test.", getpid());
  std::ofstream(path, std::ios::binary) << Summed(File(Life()));
  EXPECT_TRUE(ReadSnapshot(path, SnapshotSum::kRequired).ok());
  std::filesystem::resize_file(path, 0);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadSnapshot(path, SnapshotSum::kSkipped).status()));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace jetd::replication
