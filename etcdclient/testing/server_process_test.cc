// SPDX-License-Identifier: Apache-2.0
#include "etcdclient/testing/server_process.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::etcdclient {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A program that ignores etcd's flags: a shell script in the test's own folder.
class ServerProcessTest : public testing::Test {
 protected:
  // Not a file that another run of this test writes to: that could not be executed.
  std::string Script(const std::string& body) {
    std::string path = testing::TempDir() + "/server_process_test_" + std::to_string(getpid());
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  void TearDown() override {
    std::filesystem::remove(testing::TempDir() + "/server_process_test_" +
                            std::to_string(getpid()));
  }
};

TEST_F(ServerProcessTest, TellsWhyTheProgramEnded) {
  auto server = ServerProcess::Start({.program = Script("echo no such thing >&2; exit 3")});
  ASSERT_TRUE(server.ok());
  const absl::Status status = (*server)->WaitReady(seconds(30));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_NE(status.ToString().find("exit code 3"), std::string::npos);
  EXPECT_NE(status.ToString().find("no such thing"), std::string::npos);
}

TEST_F(ServerProcessTest, KillTakesTheChildrenAlong) {
  auto server = ServerProcess::Start({.program = Script("sleep 1000 & echo up; wait")});
  ASSERT_TRUE(server.ok());
  while ((*server)->LogTail().find("up") == std::string::npos) ASSERT_TRUE((*server)->running());
  const std::vector<pid_t> children = (*server)->Descendants();
  ASSERT_EQ(children.size(), 1U);
  (*server)->Kill(ServerProcess::Scope::kTree);
  EXPECT_FALSE((*server)->running());
  // The orphan is reaped by somebody else; until then it is a zombie, which signal 0 still finds.
  const std::string stat = "/proc/" + std::to_string(children[0]) + "/stat";
  std::string state;
  do {
    std::ifstream in(stat);
    std::string pid, name;
    if (!(in >> pid >> name >> state)) state = "gone";
  } while (state != "gone" && state != "Z");
}

// More of them than processors: one that has to wait for its turn stops when that comes.
TEST_F(ServerProcessTest, SuspendsUntilTheyHaveStopped) {
  auto server = ServerProcess::Start(
      {.program = Script("for i in 1 2 3 4 5 6 7 8; do\n  while :; do :; done &\ndone\n"
                         "echo up; wait")});
  ASSERT_TRUE(server.ok());
  while ((*server)->LogTail().find("up") == std::string::npos) ASSERT_TRUE((*server)->running());
  const std::vector<pid_t> children = (*server)->Descendants();
  ASSERT_EQ(children.size(), 8U);
  for (int round = 0; round < 5; ++round) {
    for (const pid_t child : children) {
      SuspendProcess(child);
      std::ifstream in("/proc/" + std::to_string(child) + "/stat");
      std::string pid, name, state;
      in >> pid >> name >> state;
      EXPECT_EQ(state, "T");
      kill(child, SIGCONT);
    }
  }
}

TEST_F(ServerProcessTest, StopTellsOfABadEnd) {
  for (const int code : {0, 3}) {
    auto server = ServerProcess::Start(
        {.program = Script("trap 'exit " + std::to_string(code) + "' TERM; echo up\n" +
                           "while :; do sleep 0.01; done")});
    ASSERT_TRUE(server.ok());
    while ((*server)->LogTail().find("up") == std::string::npos) ASSERT_TRUE((*server)->running());
    EXPECT_EQ((*server)->Stop(seconds(30)).code(),
              code == 0 ? absl::StatusCode::kOk : absl::StatusCode::kInternal);
  }
}

TEST_F(ServerProcessTest, RemovesItsFolder) {
  std::string folder;
  {
    auto server = ServerProcess::Start({.program = Script("exit 0")});
    ASSERT_TRUE(server.ok());
    folder = std::filesystem::path((*server)->data_dir()).parent_path();
    EXPECT_TRUE(std::filesystem::exists(folder));
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_F(ServerProcessTest, EtcdKeepsItsDataOverAKill) {
  const auto program = ServerProcess::Find(ServerKind::kEtcd);
  if (!program.ok()) GTEST_SKIP() << program.status();
  auto server = ServerProcess::Start({.kind = ServerKind::kEtcd, .program = *program});
  ASSERT_TRUE(server.ok());
  ASSERT_TRUE((*server)->WaitReady(seconds(60)).ok()) << (*server)->LogTail();
  auto client = (*server)->Connect();
  ASSERT_TRUE(client.ok());
  pb::PutRequest put;
  put.set_key("a");
  put.set_value("1");
  ASSERT_TRUE((*client)->Call(put).ok());

  (*server)->Kill(ServerProcess::Scope::kTree);
  ASSERT_FALSE((*server)->running());
  ASSERT_TRUE((*server)->Restart().ok());
  const absl::Status ready = (*server)->WaitReady(seconds(60));
  ASSERT_TRUE(ready.ok()) << ready;
  pb::RangeRequest range;
  range.set_key("a");
  const auto answer = (*client)->Call(
      range, {.timeout = seconds(60), .unreachable = CallOptions::Unreachable::kWait});
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->kvs_size(), 1);
  EXPECT_EQ(answer->kvs(0).value(), "1");
  EXPECT_TRUE((*server)->Stop(seconds(60)).ok());
}

}  // namespace
}  // namespace jetd::etcdclient
