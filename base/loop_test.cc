// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/no_watches.h"
#include "gtest/gtest.h"

namespace jetd {
namespace {

using std::chrono::milliseconds;

TEST(LoopTest, PostedWorkRunsInOrderOnTheLoop) {
  Loop loop;
  std::vector<int> ran;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.Post([&ran, i] { ran.push_back(i); });
    loop.Post([&] {
      EXPECT_TRUE(loop.InLoop());
      loop.Stop();
    });
  });
  loop.Run();
  other.join();
  ASSERT_EQ(ran.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ran[i], i);
}

// Every hand-over must wake the loop, from many threads at once, each waiting for its turn: a lost
// wake-up would hang this test.
TEST(LoopTest, NoWakeUpIsLost) {
  Loop loop;
  constexpr int kThreads = 4;
  constexpr int kRounds = 5'000;
  std::atomic<int> left{kThreads};
  struct Ping : Loop::Task {
    void Run() override { answered.store(true); }
    std::atomic<bool> answered{false};
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      Ping ping;
      for (int i = 0; i < kRounds; ++i) {
        ping.answered.store(false);
        loop.Submit(&ping);
        while (!ping.answered.load()) std::this_thread::yield();
      }
      if (left.fetch_sub(1) == 1) loop.Stop();
    });
  }
  loop.Run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(left.load(), 0);
}

TEST(LoopTest, TimersRunAndCancel) {
  Loop loop;
  std::vector<int> ran;
  loop.RunAfter(milliseconds(20), [&] {
    ran.push_back(2);
    loop.Stop();
  });
  loop.RunAfter(milliseconds(1), [&] { ran.push_back(1); });
  const TimerId gone = loop.RunAfter(milliseconds(5), [&] { ran.push_back(9); });
  EXPECT_TRUE(loop.Cancel(gone));
  loop.Run();
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
}

TEST(LoopTest, SocketsAndHooks) {
  Loop loop;
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  std::string got;
  int hooks = 0;
  loop.AddRoundHook([&] { ++hooks; });
  loop.WatchFd(fds[0], {.readable = true, .writable = false}, [&](Loop::Ready ready) {
    EXPECT_TRUE(ready.readable);
    char buffer[16];
    const ssize_t n = read(fds[0], buffer, sizeof(buffer));
    if (n > 0) {
      got.append(buffer, static_cast<size_t>(n));
    } else {
      loop.UnwatchFd(fds[0]);
      loop.Stop();
    }
  });
  loop.Defer([&] {
    ASSERT_EQ(write(fds[1], "hello", 5), 5);
    close(fds[1]);
  });
  loop.Run();
  close(fds[0]);
  EXPECT_EQ(got, "hello");
  EXPECT_GE(hooks, 1);
}

// No end of the process: it is watched as soon as there is room, for what is wanted by then.
TEST(LoopTest, WhatCannotBeWatchedWaits) {
  Loop loop;
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  int gone[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, gone), 0);
  auto none = std::make_unique<NoWatches>();
  Loop::Ready seen;
  loop.WatchFd(fds[0], {.readable = true}, [&](Loop::Ready ready) {
    EXPECT_EQ(none, nullptr);
    seen = ready;
    loop.Stop();
  });
  loop.WatchFd(gone[0], {.writable = true}, [](Loop::Ready) { FAIL(); });
  loop.ChangeFd(fds[0], {.writable = true});
  // Behind the first time that it is tried again.
  loop.RunAfter(milliseconds(101), [&] { loop.UnwatchFd(gone[0]); });
  loop.RunAfter(milliseconds(102), [&] { none.reset(); });
  loop.Run();
  EXPECT_TRUE(seen.writable);
  EXPECT_FALSE(seen.readable);
  loop.UnwatchFd(fds[0]);
  for (const int fd : {fds[0], fds[1], gone[0], gone[1]}) close(fd);
}

}  // namespace
}  // namespace jetd
