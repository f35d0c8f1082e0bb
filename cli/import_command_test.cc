// SPDX-License-Identifier: Apache-2.0
//
// jetctl import of the snapshot file of a real etcd, and of jetd's own.
// live_import_test.cc has what it takes from a store that runs.
#include "cli/import_command.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "cli/command_harness.h"
#include "cli/store_harness.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using etcdclient::Client;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;

constexpr int64_t kBump = 50'000;

TEST(ImportCommandTest, Mistakes) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "from where? Give either --from-snapshot or --from-endpoints"},
      {{"--from-snapshot=a", "--from-endpoints=b"},
       "from where? Give either --from-snapshot or --from-endpoints"},
      {{"--from-snapshot=a", "--follow"}, "--follow is for --from-endpoints"},
      {{"--from-endpoints=http://a", "--until-idle=1s"},
       "--until-idle and --until-revision are for --follow; give it too"},
      {{"--from-endpoints=http://a", "--follow", "--until-revision=-1"},
       "--until-revision: \"-1\" is no whole number from 1 on; see jetctl import --help"},
      {{"--from-endpoints=https://a", "--from-cert=c"}, "--from-cert and --from-key go together"},
      {{"--from-endpoints=http://a", "--from-password-file=p"},
       "--from-password-file is for --from-user; give it too"},
      {{"--from-endpoints=http://a", "--follow", "--until-idle=soon", "--to-bucket=b",
        "--to-nats-url=nats://127.0.0.1:1"},
       "--until-idle: \"soon\" is no time such as 10s"},
      {{"--from-snapshot=a"},
       "where to? Give --to-bucket, or --to-data-dir, a new folder for a jetd with a nats-server "
       "of "
       "its own"},
      {{"--from-snapshot=a", "--to-bucket=b"},
       "where is the NATS server of --to-bucket? Give --to-nats-url, or --to-data-dir instead"},
      {{"--from-snapshot=a", "--to-bucket=b", "--to-nats-url=http://c"},
       "--to-nats-url: every URL must start with nats:// or tls://"},
  };
  for (const auto& [flags, line] : cases) {
    std::vector<std::string> arguments = {"import"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Ran ran = Jetctl(arguments);
    EXPECT_EQ(ran.exit_code, kExitUsage) << line;
    EXPECT_EQ(ran.messages, Cat("jetctl import: ", line, "\n"));
  }
  const Ran missing = Jetctl({"import", "--from-snapshot=/no/such/file", "--to-bucket=b",
                              "--to-nats-url=nats://127.0.0.1:1"});
  EXPECT_EQ(missing.exit_code, kExitFailed);
  EXPECT_EQ(missing.messages,
            "jetctl import: cannot open /no/such/file: No such file or directory\n");
}

class ImportTest : public testing::Test {
 protected:
  void SetUp() override { log::Init({.level = log::Level::kError}); }

  // As `etcdctl snapshot save` does it.
  static void SaveSnapshot(Client* client, const std::string& path) {
    std::ofstream file(path, std::ios::binary);
    const auto stream = client->Open<pb::SnapshotRequest, pb::SnapshotResponse>();
    stream->Send(pb::SnapshotRequest());
    stream->CloseSend();
    for (;;) {
      const auto piece = stream->Next(std::chrono::seconds(30));
      if (!piece.ok()) {
        JETD_CHECK(piece.status().message() == etcdclient::kEndOfStream) << piece.status();
        return;
      }
      file << piece->blob();
    }
  }

  // A jetd on what was imported has the same keys, above the old store's revisions.
  static void ExpectSame(const std::string& target, const SeenKeys& keys, int64_t newest) {
    const auto jetd = StartStore(ServerKind::kJetd, target);
    ASSERT_NE(jetd, nullptr);
    const auto client = jetd->Connect();
    ASSERT_TRUE(client.ok());
    EXPECT_TRUE(KeysOf(client->get()) == keys);
    EXPECT_EQ(RevisionOf(client->get()), newest + kBump);
    pb::LeaseTimeToLiveRequest lease;
    lease.set_id(RecordedLife::kLease);
    EXPECT_EQ((*client)->Call(lease, kPatient)->grantedttl(), 3'600);
    pb::LeaseRevokeRequest revoke;
    revoke.set_id(RecordedLife::kLease);
    EXPECT_TRUE((*client)->Call(revoke, kPatient).ok());
    size_t without = 0;
    for (const auto& [key, seen] : keys) without += std::get<4>(seen) == 0 ? 1 : 0;
    EXPECT_EQ(KeysOf(client->get()).size(), without);
  }

  void ImportSnapshotOf(ServerKind kind) {
    const auto old = StartStore(kind);
    if (old == nullptr || !ServerProcess::Find(ServerKind::kJetd).ok()) {
      GTEST_SKIP() << "JETD_ETCD or JETD_BIN is not set";
    }
    const auto client = old->Connect();
    ASSERT_TRUE(client.ok());
    RecordedLife life(client->get(), 3);
    for (int i = 0; i < 400; ++i) life.Step();
    const auto& [newest, keys] = *life.states().rbegin();
    pb::CompactionRequest compact;
    compact.set_revision(newest / 2);
    ASSERT_TRUE((*client)->Call(compact, kPatient).ok());
    const std::string snapshot = folder_ / "snapshot.db";
    SaveSnapshot(client->get(), snapshot);
    const std::string target = folder_ / "imported";
    const std::vector<std::string> command = {"import", Cat("--from-snapshot=", snapshot),
                                              Cat("--to-data-dir=", target), Cat("--bump=", kBump),
                                              "--output=json"};
    const Ran ran = Jetctl(command);
    ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
    const auto told = nlohmann::json::parse(ran.results, nullptr, false);
    EXPECT_EQ(told["keys"], keys.size());
    EXPECT_EQ(told["leases"], 1);
    EXPECT_EQ(told["checked"], true);
    EXPECT_EQ(told["renumbered"], 0);
    EXPECT_EQ(told["detached"], 0);
    const Ran again = Jetctl(command);
    EXPECT_EQ(nlohmann::json::parse(again.results, nullptr, false)["was_whole"], true);
    ExpectSame(target, keys, newest);
    std::filesystem::resize_file(snapshot, std::filesystem::file_size(snapshot) - 512);
    const Ran cut = Jetctl(
        {"import", Cat("--from-snapshot=", snapshot), Cat("--to-data-dir=", folder_ / "cut")});
    EXPECT_EQ(cut.exit_code, kExitFailed);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "cut"));
  }

  const ScratchFolder folder_{ScratchFolder::kOnDisk};
};

TEST_F(ImportTest, ASnapshotOfEtcd) { ImportSnapshotOf(ServerKind::kEtcd); }
TEST_F(ImportTest, ASnapshotOfJetd) { ImportSnapshotOf(ServerKind::kJetd); }

}  // namespace
}  // namespace jetd::cli
