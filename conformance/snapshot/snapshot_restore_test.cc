// SPDX-License-Identifier: Apache-2.0
// A snapshot that etcdctl takes of jetd, restored by etcdutl: the etcd that starts on it has the
// same history.
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/strings.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

using etcdclient::CallOptions;
using etcdclient::Client;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using std::chrono::milliseconds;
namespace pb = etcdclient::pb;

// Far longer than anything takes on a slow machine: where it runs out, something hangs.
constexpr milliseconds kPatience{120'000};
constexpr CallOptions kPatient{.timeout = kPatience,
                               .unreachable = CallOptions::Unreachable::kWait};

// By the shell, with what it prints; fails the test if it fails.
std::string Shell(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  if (pipe == nullptr) return {};
  std::string output;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, n);
  const int status = pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command << "\n" << output;
  return output;
}

// The number that follows "name": in JSON.
int64_t NumberOf(const std::string& json, const std::string& name) {
  const size_t at = json.find(Cat("\"", name, "\":"));
  EXPECT_NE(at, std::string::npos) << name << " in " << json;
  return at == std::string::npos ? -1
                                 : std::strtoll(json.c_str() + at + name.size() + 3, nullptr, 10);
}

class SnapshotRestoreTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto jetd = ServerProcess::Find(ServerKind::kJetd);
    const auto etcd = ServerProcess::Find(ServerKind::kEtcd);
    for (const char* name : {"JETD_ETCDCTL", "JETD_ETCDUTL"}) {
      const char* path = std::getenv(name);
      if (path == nullptr || !std::filesystem::exists(path)) {
        GTEST_SKIP() << name << " is not set to a program; tools/setup gets it";
      }
    }
    if (!jetd.ok()) GTEST_SKIP() << jetd.status();
    if (!etcd.ok()) GTEST_SKIP() << etcd.status();
    etcd_program_ = *etcd;
    folder_ = testing::TempDir() + "/snapshot_restore_XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    jetd_ = StartServer({.kind = ServerKind::kJetd, .program = *jetd, .flags = Flags()});
    ASSERT_NE(jetd_, nullptr);
    client_ = *jetd_->Connect();
  }
  void TearDown() override {
    client_.reset();
    restored_client_.reset();
    jetd_.reset();
    restored_.reset();
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }
  [[nodiscard]] virtual std::vector<std::string> Flags() const { return {}; }

  static std::unique_ptr<ServerProcess> StartServer(ServerProcess::Options options) {
    auto server = ServerProcess::Start(std::move(options));
    EXPECT_TRUE(server.ok()) << server.status();
    if (!server.ok()) return nullptr;
    const absl::Status ready = (*server)->WaitReady(kPatience);
    EXPECT_TRUE(ready.ok()) << ready;
    return ready.ok() ? *std::move(server) : nullptr;
  }

  template <typename Request>
  auto Do(Client* client, const Request& request) {
    auto response = client->Call(request, kPatient);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : etcdclient::ResponseOf<Request>();
  }
  int64_t Put(const std::string& key, const std::string& value, int64_t lease = 0) {
    pb::PutRequest put;
    put.set_key(key);
    put.set_value(value);
    put.set_lease(lease);
    return Do(client_.get(), put).header().revision();
  }
  int64_t Revision(Client* client) {
    pb::RangeRequest range;
    range.set_key("none");
    return Do(client, range).header().revision();
  }
  void Compact(int64_t revision) {
    pb::CompactionRequest compact;
    compact.set_revision(revision);
    compact.set_physical(true);
    Do(client_.get(), compact);
  }
  int64_t Grant(int64_t ttl) {
    pb::LeaseGrantRequest grant;
    grant.set_ttl(ttl);
    return Do(client_.get(), grant).id();
  }

  // Saves, asks etcdutl what it is, restores, starts the etcd.
  void SaveAndRestore() {
    const std::string file = folder_ + "/db";
    Shell(Cat(std::getenv("JETD_ETCDCTL"), " --endpoints=", jetd_->endpoint(),
              " --command-timeout=120s snapshot save ", file));
    const std::string status =
        Shell(Cat(std::getenv("JETD_ETCDUTL"), " snapshot status ", file, " -w json"));
    status_revision_ = NumberOf(status, "revision");
    status_keys_ = NumberOf(status, "totalKey");
    Shell(Cat(std::getenv("JETD_ETCDUTL"), " snapshot restore ", file, " --data-dir ", folder_,
              "/etcd"));
    restored_ = StartServer(
        {.kind = ServerKind::kEtcd, .program = etcd_program_, .data_dir = folder_ + "/etcd"});
    ASSERT_NE(restored_, nullptr);
    restored_client_ = *restored_->Connect();
  }

  void ExpectSameHash(int64_t revision) {
    pb::HashKVRequest request;
    request.set_revision(revision);
    const auto jetd = Do(client_.get(), request);
    const auto etcd = Do(restored_client_.get(), request);
    EXPECT_EQ(jetd.hash(), etcd.hash()) << "at revision " << revision;
    EXPECT_EQ(jetd.compact_revision(), etcd.compact_revision()) << "at revision " << revision;
  }
  void ExpectSameKeys() {
    pb::RangeRequest all;
    all.set_key(std::string(1, '\0'));
    all.set_range_end(std::string(1, '\0'));
    all.set_count_only(true);
    EXPECT_EQ(Do(client_.get(), all).count(), Do(restored_client_.get(), all).count());
  }
  void ExpectSameLeases() {
    const auto jetd = Do(client_.get(), pb::LeaseLeasesRequest());
    const auto etcd = Do(restored_client_.get(), pb::LeaseLeasesRequest());
    EXPECT_EQ(jetd.leases_size(), etcd.leases_size());
    for (const auto& lease : jetd.leases()) {
      pb::LeaseTimeToLiveRequest request;
      request.set_id(lease.id());
      request.set_keys(true);
      const auto mine = Do(client_.get(), request);
      const auto theirs = Do(restored_client_.get(), request);
      EXPECT_EQ(mine.grantedttl(), theirs.grantedttl()) << "lease " << lease.id();
      EXPECT_THAT(mine.keys(), testing::UnorderedElementsAreArray(theirs.keys()));
    }
  }

  std::string folder_;
  std::string etcd_program_;
  std::unique_ptr<ServerProcess> jetd_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<ServerProcess> restored_;
  std::unique_ptr<Client> restored_client_;
  int64_t status_revision_ = 0;
  int64_t status_keys_ = 0;
};

TEST_F(SnapshotRestoreTest, Empty) {
  SaveAndRestore();
  ASSERT_NE(restored_client_, nullptr);
  EXPECT_EQ(Revision(restored_client_.get()), 1);
  ExpectSameHash(0);
}

TEST_F(SnapshotRestoreTest, OneKey) {
  Put("a", "1");
  SaveAndRestore();
  ASSERT_NE(restored_client_, nullptr);
  EXPECT_EQ(status_revision_, 2);
  ExpectSameHash(0);
  ExpectSameKeys();
}

TEST_F(SnapshotRestoreTest, AValueOfOneAndAHalfMebibytes) {
  Put("large", std::string(1'500'000, 'v'));
  Put("small", "v");
  SaveAndRestore();
  ASSERT_NE(restored_client_, nullptr);
  ExpectSameHash(0);
  pb::RangeRequest get;
  get.set_key("large");
  EXPECT_EQ(Do(restored_client_.get(), get).kvs(0).value(), std::string(1'500'000, 'v'));
}

// The history above the compaction, at 20 revisions of it; tombstones, leases, values of all sizes.
class SnapshotOfAHistoryTest : public SnapshotRestoreTest {
 protected:
  // So that most values are in files while the snapshot is taken.
  [[nodiscard]] std::vector<std::string> Flags() const override {
    return {"--value-cache-bytes=100000"};
  }
};

TEST_F(SnapshotOfAHistoryTest, IsTheSameInEtcd) {
  std::mt19937_64 random(testing::UnitTest::GetInstance()->random_seed());
  std::vector<int64_t> leases;
  for (int i = 0; i < 5; ++i) leases.push_back(Grant(1'000 + i));
  int64_t compacted = 0;
  for (int i = 0; i < 3'000; ++i) {
    const std::string key = Cat("/registry/pods/", random() % 200);
    if (random() % 5 == 0) {
      pb::DeleteRangeRequest remove;
      remove.set_key(key);
      Do(client_.get(), remove);
    } else {
      Put(key, std::string(random() % 3'000, static_cast<char>('a' + i % 26)),
          random() % 4 == 0 ? leases[random() % leases.size()] : 0);
    }
    if (i == 1'500) Compact(compacted = Revision(client_.get()) - 100);
  }
  const int64_t newest = Revision(client_.get());
  SaveAndRestore();
  ASSERT_NE(restored_client_, nullptr);
  EXPECT_EQ(status_revision_, newest);
  EXPECT_EQ(Revision(restored_client_.get()), newest);
  for (int i = 0; i <= 20; ++i) ExpectSameHash(compacted + (newest - compacted) * i / 20);
  ExpectSameKeys();
  ExpectSameLeases();
}

// A store whose last change is deleted and compacted away still has its revision.
TEST_F(SnapshotRestoreTest, ARevisionOfWhichNothingIsLeft) {
  Put("a", "1");
  pb::DeleteRangeRequest remove;
  remove.set_key("a");
  const int64_t newest = Do(client_.get(), remove).header().revision();
  Compact(newest);
  SaveAndRestore();
  ASSERT_NE(restored_client_, nullptr);
  EXPECT_EQ(Revision(restored_client_.get()), newest);
  ExpectSameHash(0);
}

TEST_F(SnapshotRestoreTest, AMillionKeys) {
  const char* keys = std::getenv("JETD_SNAPSHOT_KEYS");
  const int wanted = keys != nullptr ? std::atoi(keys) : 20'000;
  for (int i = 0; i < wanted;) {
    pb::TxnRequest txn;
    for (int n = 0; n < 100 && i < wanted; ++n, ++i) {
      auto* put = txn.add_success()->mutable_request_put();
      put->set_key(Cat("/registry/events/default/", i));
      put->set_value(Cat("value of ", i, " ", std::string(static_cast<size_t>(i % 100), 'x')));
    }
    Do(client_.get(), txn);
  }
  const auto before = std::chrono::steady_clock::now();
  SaveAndRestore();
  ASSERT_NE(restored_client_, nullptr);
  std::printf("%d keys saved, restored and started in %.1f s\n", wanted,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
  ExpectSameHash(0);
  ExpectSameKeys();
}

}  // namespace
}  // namespace jetd::conformance
