// SPDX-License-Identifier: Apache-2.0
#include "bench/process_meter.h"

#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::bench {
namespace {

const ProcessUsage* Find(const std::vector<ProcessUsage>& all, pid_t pid) {
  for (const ProcessUsage& usage : all) {
    if (usage.pid == pid) return &usage;
  }
  return nullptr;
}

// Uses so much CPU time of the calling thread.
void Burn(int64_t ns) {
  timespec time{};
  const auto now = [&time] {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  const int64_t end = now() + ns;
  while (now() < end) {
  }
}

TEST(ProcessMeterTest, CountsThreadsThatHaveEnded) {
  ProcessMeter meter({getpid()});
  const auto before = meter.ReadCounters();
  std::thread([] { Burn(20'000'000); }).join();
  const auto used = ProcessMeter::Difference(before, meter.ReadCounters());
  ASSERT_NE(Find(used, getpid()), nullptr);
  EXPECT_GE(Find(used, getpid())->cpu_ns, 20'000'000);
}

TEST(ProcessMeterTest, FindsDescendantsAndTheirMemory) {
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    // Ends when the other end of the pipe is closed.
    close(pipes[1]);
    char byte = 0;
    _exit(read(pipes[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(pipes[0]);
  ProcessMeter meter({getpid()});
  const auto all = meter.ReadAll();
  ASSERT_NE(Find(all, child), nullptr);
  EXPECT_GT(Find(all, child)->rss_bytes, 0);
  EXPECT_GE(Find(all, child)->rss_bytes, Find(all, child)->pss_bytes);
  ASSERT_NE(Find(all, getpid()), nullptr);
  EXPECT_GE(Find(all, getpid())->peak_rss_bytes, Find(all, getpid())->rss_bytes);
  EXPECT_EQ(Find(all, getpid())->name, "process_meter_t");  // the kernel keeps 15 characters
  close(pipes[1]);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(Find(meter.ReadCounters(), child), nullptr);
}

TEST(ProcessMeterTest, CountsContextSwitches) {
  ProcessMeter meter({getpid()});
  const auto before = meter.ReadCounters();
  // Each read waits for the other thread, so each side gives up the CPU.
  int there[2];
  int back[2];
  ASSERT_EQ(pipe(there), 0);
  ASSERT_EQ(pipe(back), 0);
  constexpr int kRounds = 50;
  std::thread echo([&] {
    char byte = 0;
    for (int i = 0; i < kRounds; ++i) {
      if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1) return;
    }
  });
  char byte = 'x';
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_EQ(write(there[1], &byte, 1), 1);
    ASSERT_EQ(read(back[0], &byte, 1), 1);
  }
  const auto used = ProcessMeter::Difference(before, meter.ReadCounters());
  echo.join();
  ASSERT_NE(Find(used, getpid()), nullptr);
  // This side alone waits kRounds times, but for answers that are there already.
  EXPECT_GE(Find(used, getpid())->context_switches, kRounds / 2);
  for (int fd : {there[0], there[1], back[0], back[1]}) close(fd);
}

TEST(ProcessMeterTest, AProcessThatIsNotThereIsLeftOut) {
  // Above the kernel's largest pid.
  ProcessMeter meter({(1 << 22) + 1});
  EXPECT_TRUE(meter.ReadAll().empty());
}

}  // namespace
}  // namespace jetd::bench
