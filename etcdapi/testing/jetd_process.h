// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TESTING_JETD_PROCESS_H_
#define JETD_ETCDAPI_TESTING_JETD_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace jetd::etcdapi {

// JetdProcess is the program jetd itself, as an operator starts it: flags and variables in, what it
// prints and its exit code out. It is killed with the object, and by the kernel when the thread
// that made it ends. Not thread-safe.
class JetdProcess {
 public:
  // True if the variable JETD_BIN names the program; otherwise tests skip.
  [[nodiscard]] static bool Available();

  // `variables` are "NAME=value"; of this process's own JETD_… it gets JETD_NATS_SERVER only.
  explicit JetdProcess(const std::vector<std::string>& flags,
                       const std::vector<std::string>& variables = {});
  ~JetdProcess();
  JetdProcess(const JetdProcess&) = delete;
  JetdProcess& operator=(const JetdProcess&) = delete;

  // Until it has printed `text`. False if it ended without, or after a minute.
  [[nodiscard]] bool WaitFor(const std::string& text);
  void Signal(int number) const;
  // SIGSTOP, and waits until it has stopped: before that it may still answer somebody.
  void Freeze() const;
  // Waits for its end and returns its exit code, or what signal ended it as a negative number.
  int WaitForEnd();
  // What it printed, as far as it was waited for.
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  bool ReadMore();

  pid_t pid_ = -1;  // -1: it has ended
  int pipe_ = -1;
  std::string output_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TESTING_JETD_PROCESS_H_
