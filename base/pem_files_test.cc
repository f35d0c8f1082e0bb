// SPDX-License-Identifier: Apache-2.0
#include "base/pem_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>

#include "base/testing/scratch_folder.h"
#include "gtest/gtest.h"

namespace jetd {
namespace {

class PemFilesTest : public testing::Test {
 protected:
  const ScratchFolder scratch_;
  const std::string& folder_ = scratch_.path();
};

std::atomic<int> signals_seen{0};

TEST_F(PemFilesTest, ASignalDoesNotEndAReading) {
  struct sigaction action {};  // without SA_RESTART
  action.sa_handler = [](int) { ++signals_seen; };
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  const std::string pipe = folder_ + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);

  // While the reader waits for a writer, and while it waits for what that one writes.
  std::thread writer([&, reader = pthread_self()] {
    const auto disturb = [reader] {
      for (int i = 0; i < 100; ++i) {
        // Until it is seen: ThreadSanitizer keeps one that comes just before a system call until
        // that returns, and it takes another to interrupt it.
        for (const int seen = signals_seen; signals_seen == seen; std::this_thread::yield()) {
          pthread_kill(reader, SIGUSR1);
        }
      }
    };
    disturb();
    const int fd = open(pipe.c_str(), O_WRONLY | O_CLOEXEC);
    disturb();
    EXPECT_EQ(write(fd, "text", 4), 4);
    disturb();
    close(fd);
  });
  const auto text = ReadWholeFile(pipe);
  // Should the reading have ended early, the writer still finds a reader.
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  writer.join();
  close(reader);
  sigaction(SIGUSR1, &before, nullptr);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, "text");
}

TEST_F(PemFilesTest, ErrorsNameTheFile) {
  const std::string missing = folder_ + "/missing";
  EXPECT_NE(ReadWholeFile(missing).status().message().find(missing), std::string::npos);
  const std::string empty = folder_ + "/empty";
  std::ofstream(empty).close();
  EXPECT_EQ(ReadWholeFile(empty).value(), "");
  EXPECT_NE(ReadCertificates(empty).status().message().find(empty), std::string::npos);
}

TEST_F(PemFilesTest, ADeviceThatNeverEndsIsNotReadForEver) {
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadWholeFile("/dev/zero").status()));
}

}  // namespace
}  // namespace jetd
