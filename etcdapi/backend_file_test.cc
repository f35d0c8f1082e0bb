// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/backend_file.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bolt/reader.h"
#include "base/etcdpb/kv.pb.h"
#include "base/etcdpb/lease.pb.h"
#include "gtest/gtest.h"
#include "revision/store.h"

namespace jetd::etcdapi {
namespace {

using namespace std::string_literals;
using Bucket = std::map<std::string, std::string>;

class BackendFileTest : public ::testing::Test {
 protected:
  void Txn(const std::function<void()>& write) {
    store_.Begin();
    write();
    if (store_.End()) store_.CommitOldest();
  }
  void Put(const std::string& key, const std::string& value, int64_t lease = 0) {
    Txn([&] { store_.Put(key, value, LeaseId(lease), StreamSeq(++seq_)); });
  }
  [[nodiscard]] std::map<std::string, Bucket> File() const {
    BackendFile file(store_.TakeSnapshot(), {.index = 258, .term = 3}, alarms_);
    std::string bytes;
    while (!file.done()) EXPECT_TRUE(file.Write(10'000, &bytes).ok());
    EXPECT_EQ(bytes.size(), file.size());
    std::map<std::string, Bucket> buckets;
    const auto reader = bolt::Reader::Open(bytes);
    EXPECT_TRUE(reader.ok()) << reader.status();
    const auto names = reader->Buckets();
    EXPECT_TRUE(names.ok()) << names.status();
    for (const std::string& name : *names) {
      Bucket& bucket = buckets[name];
      const absl::Status read =
          reader->ForEach(name, [&](std::string_view key, std::string_view value) {
            bucket.emplace(key, value);
            return absl::OkStatus();
          });
      EXPECT_TRUE(read.ok()) << read;
    }
    return buckets;
  }

  revision::Store store_;
  uint64_t seq_ = 0;
  std::vector<jetstream::Alarm> alarms_;
};

std::string RevisionKey(char main, char sub, const std::string& mark = "") {
  return "\0\0\0\0\0\0\0"s + main + "_\0\0\0\0\0\0\0"s + sub + mark;
}

TEST_F(BackendFileTest, OfAnEmptyStore) {
  auto file = File();
  EXPECT_TRUE(file.at("key").empty());
  EXPECT_EQ(file.at("meta"),
            (Bucket{{"consistent_index", "\0\0\0\0\0\0\1\2"s}, {"term", "\0\0\0\0\0\0\0\3"s}}));
  for (const char* name : {"alarm", "auth", "authRoles", "authUsers", "cluster", "lease", "members",
                           "members_removed"}) {
    EXPECT_TRUE(file.contains(name)) << name;
  }
}

TEST_F(BackendFileTest, EveryVersionStandsUnderItsRevision) {
  Txn([&] { store_.GrantLease(LeaseId(7), 60); });
  Put("a", "1", 7);
  Txn([&] {
    store_.Put("b", "2", {}, StreamSeq(++seq_));
    store_.Delete({.key = "a", .end = {}}, StreamSeq(++seq_));
  });
  auto file = File();
  Bucket& keys = file.at("key");
  ASSERT_EQ(keys.size(), 3U);
  mvccpb::KeyValue kv;
  ASSERT_TRUE(kv.ParseFromString(keys.at(RevisionKey(2, 0))));
  EXPECT_EQ(kv.key() + "=" + kv.value(), "a=1");
  EXPECT_EQ(kv.lease(), 7);
  ASSERT_TRUE(kv.ParseFromString(keys.at(RevisionKey(3, 0))));
  EXPECT_EQ(kv.key() + "=" + kv.value(), "b=2");
  ASSERT_TRUE(kv.ParseFromString(keys.at(RevisionKey(3, 1, "t"))));
  EXPECT_EQ(kv.key(), "a");
  EXPECT_EQ(kv.mod_revision(), 0) << "a tombstone has its key and nothing else";

  leasepb::Lease lease;
  ASSERT_TRUE(lease.ParseFromString(file.at("lease").at("\0\0\0\0\0\0\0\7"s)));
  EXPECT_EQ(lease.id(), 7);
  EXPECT_EQ(lease.ttl(), 60);
}

TEST_F(BackendFileTest, HoldsTheAlarmsAsEtcdDoes) {
  alarms_ = {{jetstream::AlarmType::kNoSpace, 7}, {jetstream::AlarmType::kCorrupt, 0}};
  auto file = File();
  EXPECT_EQ(file.at("alarm"), (Bucket{{"\x08\x07\x10\x01", ""}, {"\x10\x02", ""}}));
}

TEST_F(BackendFileTest, SaysHowFarItIsCompacted) {
  for (int i = 0; i < 5; ++i) Put("a", std::to_string(i));
  store_.Compact(Revision(4));
  auto file = File();
  EXPECT_EQ(file.at("key").size(), 3U) << "revisions 4, 5 and 6";
  EXPECT_EQ(file.at("meta").at("finishedCompactRev"), RevisionKey(4, 0));
  EXPECT_EQ(file.at("meta").at("scheduledCompactRev"), RevisionKey(4, 0));
}

}  // namespace
}  // namespace jetd::etcdapi
