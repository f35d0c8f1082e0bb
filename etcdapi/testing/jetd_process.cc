// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/testing/jetd_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

constexpr std::chrono::seconds kFarTooLong{60};

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

bool JetdProcess::Available() {
  const char* program = std::getenv("JETD_BIN");
  return program != nullptr && access(program, X_OK) == 0;
}

JetdProcess::JetdProcess(const std::vector<std::string>& flags,
                         const std::vector<std::string>& variables) {
  JETD_CHECK(Available());
  // All that allocates is done before the fork.
  std::vector<std::string> arguments = flags;
  arguments.insert(arguments.begin(), std::getenv("JETD_BIN"));
  std::vector<std::string> environment = variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    if (!variable.starts_with("JETD_") || variable.starts_with("JETD_NATS_SERVER=")) {
      environment.emplace_back(variable);
    }
  }
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  int ends[2];
  JETD_CHECK(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t parent = getpid();
  pid_ = fork();
  JETD_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(ends[1]);
  pipe_ = ends[0];
}

JetdProcess::~JetdProcess() {
  Signal(SIGKILL);
  if (pid_ >= 0) waitpid(pid_, nullptr, 0);
  close(pipe_);
}

// False at the end of its output, or after too long a silence.
bool JetdProcess::ReadMore() {
  pollfd readable{.fd = pipe_, .events = POLLIN, .revents = 0};
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kFarTooLong);
  if (poll(&readable, 1, static_cast<int>(patience.count())) <= 0) return false;
  char buffer[4096];
  const ssize_t size = read(pipe_, buffer, sizeof(buffer));
  if (size <= 0) return false;
  output_.append(buffer, static_cast<size_t>(size));
  return true;
}

bool JetdProcess::WaitFor(const std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + kFarTooLong;
  while (output_.find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > deadline || !ReadMore()) return false;
  }
  return true;
}

void JetdProcess::Signal(int number) const {
  if (pid_ >= 0) kill(pid_, number);
}

void JetdProcess::Freeze() const {
  Signal(SIGSTOP);
  int status = 0;
  while (waitpid(pid_, &status, WUNTRACED) < 0 && errno == EINTR) {
  }
  JETD_CHECK(WIFSTOPPED(status)) << "it has ended";
}

int JetdProcess::WaitForEnd() {
  const auto deadline = std::chrono::steady_clock::now() + kFarTooLong;
  while (std::chrono::steady_clock::now() < deadline && ReadMore()) {
  }
  // One that goes on for ever is a failure too, and shows as its signal.
  if (std::chrono::steady_clock::now() >= deadline) Signal(SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace jetd::etcdapi
