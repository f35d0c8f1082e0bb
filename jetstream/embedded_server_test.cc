// SPDX-License-Identifier: Apache-2.0
#include "jetstream/embedded_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "base/check.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "base/testing/wait_until.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

using std::chrono::milliseconds;

EmbeddedServer::Options OptionsIn(const std::string& folder) {
  EmbeddedServer::Options options;
  options.program = std::getenv("JETD_NATS_SERVER");
  options.data_dir = folder;
  options.min_restart_pause = milliseconds(10);
  return options;
}

class EmbeddedServerTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* program = std::getenv("JETD_NATS_SERVER");
    if (program == nullptr || *program == '\0') {
      GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    }
  }

  // The child holds the lock too, so that this is so exactly when it is gone with its parent.
  bool LockIsFree() const {
    const int fd = open((folder_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const bool free = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free;
  }

  // Runs `scenario` of Victim below in a process of its own, in folder_.
  pid_t StartVictim(const std::string& scenario) {
    const pid_t pid = fork();
    JETD_CHECK(pid >= 0);
    if (pid == 0) {
      setenv("JETD_TEST_SCENARIO", scenario.c_str(), 1);
      setenv("JETD_TEST_FOLDER", folder_.c_str(), 1);
      unsetenv("GTEST_OUTPUT");  // the parent's report is not ours
      execl("/proc/self/exe", "victim", "--gtest_filter=Victim.*",
            "--gtest_also_run_disabled_tests", nullptr);
      _exit(127);
    }
    return pid;
  }
  static void KillHard(pid_t victim) {
    kill(victim, SIGKILL);
    while (waitpid(victim, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  // Of the configuration that was written last.
  [[nodiscard]] uint64_t MaxFileStore() const {
    std::ifstream file(folder_ + "/private/nats.conf");
    const std::string config((std::istreambuf_iterator<char>(file)),
                             std::istreambuf_iterator<char>());
    const size_t at = config.find("max_file_store: ");
    JETD_CHECK(at != std::string::npos) << config;
    return std::stoull(config.substr(at + 16));
  }
  bool VictimSays(const std::string& word) const {
    return WaitUntil([&] { return std::filesystem::exists(folder_ + "/" + word); });
  }

  const ScratchFolder scratch_{ScratchFolder::kOnDisk};
  const std::string& folder_ = scratch_.path();
};

// Not a test: what the tests kill. Says where it is by making files.
class Victim : public testing::Test {
 protected:
  void Say(const std::string& word) const { std::ofstream(folder_ + "/" + word) << word; }
  const std::string folder_ = [] {
    const char* folder = std::getenv("JETD_TEST_FOLDER");
    return folder == nullptr ? "" : folder;
  }();
};

TEST_F(Victim, DISABLED_Runs) {  // StartVictim asks for it by name
  const char* const scenario = std::getenv("JETD_TEST_SCENARIO");
  if (scenario == nullptr) GTEST_SKIP() << "run by the tests of EmbeddedServerTest";
  std::unique_ptr<EmbeddedServer> server;
  // The thread that starts the server ends at once, in every scenario.
  std::thread([&] { server = EmbeddedServer::Start(OptionsIn(folder_)).value(); }).join();
  Say("started");
  if (scenario == std::string("ready") || scenario == std::string("restart")) {
    ASSERT_TRUE(WaitUntil([&] { return server->endpoint().ok(); }));
    Say("ready");
  }
  if (scenario == std::string("restart")) {
    while (true) {  // killed again and again, so that it is always starting
      const pid_t pid = server->pid();
      if (pid > 0) kill(pid, SIGKILL);
      WaitUntil([&] { return server->pid() != pid; });
    }
  }
  while (true) pause();
}

TEST_F(EmbeddedServerTest, StartsAndEndsInOrder) {
  auto server = EmbeddedServer::Start(OptionsIn(folder_)).value();
  ASSERT_TRUE(WaitUntil([&] { return server->endpoint().ok(); }));
  const NatsEndpoint endpoint = server->endpoint().value();
  EXPECT_EQ(endpoint.url.rfind("nats://127.0.0.1:", 0), 0U) << endpoint.url;
  EXPECT_EQ(endpoint.credentials.password.size(), 32U);
  struct stat info {};
  ASSERT_EQ(stat((folder_ + "/private/nats.conf").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  ASSERT_EQ(stat((folder_ + "/private").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
  EXPECT_FALSE(LockIsFree());
  server.reset();
  EXPECT_TRUE(LockIsFree());
}

// What is stored counts as room: a restart on a disk that the store has filled must not find itself
// above its limit.
TEST_F(EmbeddedServerTest, ItsLimitIsAboveWhatItHolds) {
  constexpr off_t kHeld = off_t{1} << 40;  // a file of holes
  std::filesystem::create_directories(folder_ + "/nats/jetstream");
  std::ofstream(folder_ + "/nats/jetstream/held").close();
  ASSERT_EQ(truncate((folder_ + "/nats/jetstream/held").c_str(), kHeld), 0);
  auto server = EmbeddedServer::Start(OptionsIn(folder_)).value();
  ASSERT_TRUE(WaitUntil([&] { return server->endpoint().ok(); }));
  EXPECT_GT(MaxFileStore(), static_cast<uint64_t>(kHeld));
}

TEST_F(EmbeddedServerTest, KnowsHowMuchMayStillCome) {
  auto server = EmbeddedServer::Start(OptionsIn(folder_));
  ASSERT_TRUE(server.ok()) << server.status();
  // What the disk has left besides is for others to change at any time.
  const uint64_t most = MaxFileStore();
  EXPECT_GT((*server)->RoomFor(0), 0U);
  EXPECT_LE((*server)->RoomFor(0), most);
  EXPECT_LE((*server)->RoomFor(most / 2), most - most / 2);
  EXPECT_EQ((*server)->RoomFor(UINT64_MAX), 0U);
}

TEST_F(EmbeddedServerTest, ASecondOneOnTheSameFolderIsRefused) {
  auto server = EmbeddedServer::Start(OptionsIn(folder_)).value();
  EmbeddedServer::Options second = OptionsIn(folder_);
  second.lock_patience = milliseconds(1);
  const auto refused = EmbeddedServer::Start(second);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_EQ(std::string(refused.status().message()),
            "another jetd uses the folder " + folder_ + " (" + folder_ +
                "/lock is locked); stop it, or use another folder");
  server.reset();
  EXPECT_TRUE(EmbeddedServer::Start(second).ok());
}

TEST_F(EmbeddedServerTest, WhatCannotRunIsSaid) {
  EmbeddedServer::Options options = OptionsIn(folder_);
  options.program = folder_ + "/nobody";
  EXPECT_TRUE(absl::IsFailedPrecondition(EmbeddedServer::Start(options).status()));
  options = OptionsIn("/proc/not/there");
  EXPECT_TRUE(absl::IsFailedPrecondition(EmbeddedServer::Start(options).status()));
}

// A script in place of nats-server.
TEST_F(EmbeddedServerTest, WhatEndsAtOnceIsGivenUp) {
  const auto give_up = [this](const std::string& script) {
    EmbeddedServer::Options options = OptionsIn(folder_);
    options.program = folder_ + "/program";
    options.max_early_ends = 2;
    std::ofstream(options.program) << "#!/bin/sh\n" << script;
    std::filesystem::permissions(options.program, std::filesystem::perms::owner_all);
    auto server = EmbeddedServer::Start(options).value();
    EXPECT_TRUE(WaitUntil([&] { return absl::IsFailedPrecondition(server->endpoint().status()); }));
    EXPECT_EQ(server->pid(), -1);
    return std::string(server->endpoint().status().message());
  };
  std::string text = give_up("echo why >&2; echo more >&2; exit 3\n");
  EXPECT_NE(text.find("ended 2 times before it was ready, the last time with exit status 3: why ("),
            std::string::npos)
      << text;
  // What an earlier run said is not taken for its words.
  text = give_up("kill -9 $$\n");
  EXPECT_NE(text.find("signal 9 and without a word"), std::string::npos) << text;
  text = give_up(
      "[ \"$1\" = -c ] || exit 1; cd \"$(dirname \"$2\")\"; echo first >>nats-server.log; "
      "echo last >>nats-server.log\n");
  EXPECT_NE(text.find("exit status 0: last ("), std::string::npos) << text;
}

// It may well stumble over what it does not know, which says nothing to whoever reads it.
TEST_F(EmbeddedServerTest, AnOldOneIsNamedAndNotTriedAgain) {
  const auto give_up = [this](const std::string& program) {
    EmbeddedServer::Options options = OptionsIn(folder_);
    options.program = program;
    auto server = EmbeddedServer::Start(options).value();
    EXPECT_TRUE(WaitUntil([&] { return absl::IsFailedPrecondition(server->endpoint().status()); }));
    return std::string(server->endpoint().status().message());
  };
  const std::string script = folder_ + "/program";
  std::ofstream(script) << "#!/bin/sh\n"
                           "[ \"$1\" = -c ] || { echo nats-server: v2.14.3; exit 0; }\n"
                           "echo started >>\"$0.starts\"; exit 1\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  EXPECT_EQ(give_up(script),
            "jetd needs nats-server 2.15 or later; " + script + " is version 2.14.3");
  EXPECT_EQ(std::filesystem::file_size(script + ".starts"), 8U);
  const char* old = std::getenv("JETD_NATS_SERVER_2_9");
  if (old == nullptr || *old == '\0') GTEST_SKIP() << "JETD_NATS_SERVER_2_9 names no nats-server";
  const std::string text = give_up(old);
  EXPECT_NE(text.find("jetd needs nats-server 2.15 or later"), std::string::npos) << text;
}

TEST_F(EmbeddedServerTest, MakesItsFolderWithParents) {
  auto server = EmbeddedServer::Start(OptionsIn(folder_ + "/a/b")).value();
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/a/b/private/nats.conf"));
}

TEST_F(EmbeddedServerTest, IsStartedAgainWhenItDies) {
  auto server = EmbeddedServer::Start(OptionsIn(folder_)).value();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(WaitUntil([&] { return server->endpoint().ok(); }));
    const pid_t pid = server->pid();
    kill(pid, SIGKILL);
    ASSERT_TRUE(WaitUntil([&] { return server->pid() != pid; }));
  }
  ASSERT_TRUE(WaitUntil([&] { return server->endpoint().ok(); }));
}

TEST_F(EmbeddedServerTest, EndsWhileTheChildStarts) {
  for (int i = 0; i < 20; ++i) {
    auto server = EmbeddedServer::Start(OptionsIn(folder_)).value();
    std::this_thread::sleep_for(milliseconds(i));  // a moment of its own each time
    server.reset();
    ASSERT_TRUE(LockIsFree());
  }
}

TEST_F(EmbeddedServerTest, IsGoneAfterKillOfAReadyParent) {
  const pid_t victim = StartVictim("ready");
  ASSERT_TRUE(VictimSays("ready"));
  EXPECT_FALSE(LockIsFree());
  KillHard(victim);
  EXPECT_TRUE(WaitUntil([&] { return LockIsFree(); }));
}

TEST_F(EmbeddedServerTest, IsGoneAfterKillBeforeReadiness) {
  // At moments all over the start: before the fork, between fork and exec, while it recovers.
  for (int i = 0; i < 40; ++i) {
    const pid_t victim = StartVictim("starting");
    std::this_thread::sleep_for(milliseconds(2 * i));  // a moment of its own each time
    KillHard(victim);
    ASSERT_TRUE(WaitUntil([&] { return LockIsFree(); })) << i;
  }
}

TEST_F(EmbeddedServerTest, IsGoneAfterKillDuringARestart) {
  for (int i = 0; i < 20; ++i) {
    const pid_t victim = StartVictim("restart");
    ASSERT_TRUE(VictimSays("ready"));
    std::this_thread::sleep_for(milliseconds(i));  // a moment of its own each time
    KillHard(victim);
    ASSERT_TRUE(WaitUntil([&] { return LockIsFree(); })) << i;
    std::filesystem::remove(folder_ + "/ready");
  }
}

}  // namespace
}  // namespace jetd::jetstream
