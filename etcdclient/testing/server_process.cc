// SPDX-License-Identifier: Apache-2.0
#include "etcdclient/testing/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "base/testing/free_port.h"

namespace jetd::etcdclient {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPollInterval{10};

std::string EnvOr(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// This process's environment with `more` on top.
std::vector<std::string> Environment(const std::vector<std::string>& more) {
  std::vector<std::string> result = more;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('=') + 1);
    if (std::none_of(more.begin(), more.end(),
                     [&](const std::string& m) { return m.rfind(name, 0) == 0; })) {
      result.emplace_back(text);
    }
  }
  return result;
}

// pid -> parent, of all processes.
std::map<pid_t, pid_t> Parents() {
  std::map<pid_t, pid_t> parents;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in(entry.path() / "stat");
    // Not by iterators: a process that ends meanwhile makes the read fail, and those would throw.
    std::string stat;
    std::getline(in, stat, '\0');
    // pid (name, which may hold anything) state ppid ...
    const size_t end = stat.rfind(')');
    if (end == std::string::npos || end + 4 >= stat.size()) continue;
    parents[std::atoi(name.c_str())] = std::atoi(stat.c_str() + end + 4);
  }
  return parents;
}

// False once it has stopped or ended.
bool ThreadRuns(const fs::path& folder) {
  std::ifstream in(folder / "stat");
  std::string stat;
  std::getline(in, stat, '\0');
  const size_t end = stat.rfind(") ");
  return end != std::string::npos &&
         std::string_view("TtZX").find(stat[end + 2]) == std::string::npos;
}

bool Runs(pid_t pid) {
  std::error_code error;
  for (fs::directory_iterator at(Cat("/proc/", pid, "/task"), error), end; !error && at != end;
       at.increment(error)) {
    if (ThreadRuns(at->path())) return true;
  }
  return false;
}

}  // namespace

void SuspendProcess(pid_t pid) {
  kill(pid, SIGSTOP);
  while (Runs(pid)) std::this_thread::sleep_for(kPollInterval);
}

absl::StatusOr<std::string> ServerProcess::Find(ServerKind kind) {
  const char* variable = kind == ServerKind::kEtcd ? "JETD_ETCD" : "JETD_BIN";
  const std::string path = EnvOr(variable, "");
  if (path.empty())
    return MakeStatus(absl::StatusCode::kNotFound, variable, " is not set; give it the path of ",
                      kind == ServerKind::kEtcd ? "etcd" : "jetd");
  if (access(path.c_str(), X_OK) != 0) {
    return MakeStatus(absl::StatusCode::kNotFound, variable, ": cannot run ", path);
  }
  return path;
}

ServerProcess::ServerProcess(Options options) : options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(Options options) {
  std::unique_ptr<ServerProcess> server(new ServerProcess(std::move(options)));
  server->data_dir_ = server->options_.data_dir;
  if (server->data_dir_.empty()) {
    const std::string temp =
        server->options_.temp_dir.empty() ? EnvOr("TMPDIR", "/tmp") : server->options_.temp_dir;
    std::string path = temp + "/jetd-test-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) {
      return MakeStatus(absl::StatusCode::kUnavailable, "cannot make a folder in ", temp, ": ",
                        std::string_view(std::strerror(errno)));
    }
    server->root_ = path;
    server->data_dir_ = path + "/data";
  }
  for (std::string* url : {&server->endpoint_, &server->peer_endpoint_}) {
    *url = Cat("http://127.0.0.1:", FreePort());
  }
  if (const absl::Status spawned = server->Spawn({}); !spawned.ok()) return spawned;
  return server;
}

ServerProcess::~ServerProcess() {
  Kill(Scope::kTree);
  if (!root_.empty() && options_.keep == DataDir::kRemove) {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
}

std::vector<std::string> ServerProcess::Arguments() const {
  std::vector<std::string> arguments = {
      options_.program, "--name=default", "--data-dir=" + data_dir_,
      "--listen-client-urls=" + endpoint_, "--advertise-client-urls=" + endpoint_};
  if (options_.kind == ServerKind::kEtcd) {
    arguments.push_back("--listen-peer-urls=" + peer_endpoint_);
    arguments.push_back("--initial-advertise-peer-urls=" + peer_endpoint_);
    arguments.push_back("--initial-cluster=default=" + peer_endpoint_);
  }
  arguments.insert(arguments.end(), options_.flags.begin(), options_.flags.end());
  return arguments;
}

absl::Status ServerProcess::Spawn(const std::vector<std::string>& more_flags) {
  // All that allocates is done before the fork: other threads may hold the allocator's lock.
  std::vector<std::string> arguments = Arguments();
  arguments.insert(arguments.end(), more_flags.begin(), more_flags.end());
  std::vector<std::string> environment = Environment(options_.environment);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  const int log = open(log_path().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) {
    return MakeStatus(absl::StatusCode::kUnavailable, "cannot write ", log_path());
  }
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(log);
  if (child < 0) return absl::UnavailableError("cannot fork");
  pid_ = child;
  exit_status_ = 0;
  return absl::OkStatus();
}

void ServerProcess::Reap(int options) {
  if (pid_ < 0) return;
  int status = 0;
  pid_t ended = 0;
  do {
    ended = waitpid(pid_, &status, options);
  } while (ended < 0 && errno == EINTR);
  if (ended == 0) return;
  exit_status_ = status;
  pid_ = -1;
}

bool ServerProcess::running() {
  Reap(WNOHANG);
  return pid_ >= 0;
}

std::string ServerProcess::HowItEnded() {
  if (running()) return "";
  return WIFSIGNALED(exit_status_) ? Cat("signal ", WTERMSIG(exit_status_))
                                   : Cat("exit code ", WEXITSTATUS(exit_status_));
}

absl::Status ServerProcess::WaitReady(milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  const auto client = Connect();
  if (!client.ok()) return client.status();
  pb::RangeRequest range;
  range.set_key("ready?");
  while (true) {
    if (!running()) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition, options_.program,
                        " ended: ", HowItEnded(), "\n", LogTail());
    }
    absl::Status answered = (*client)->Call(range, {.timeout = milliseconds(2000)}).status();
    if (answered.ok()) return answered;
    if (steady_clock::now() >= deadline) {
      return MakeStatus(absl::StatusCode::kDeadlineExceeded, options_.program,
                        " is not ready: ", MessageOf(answered), "\n", LogTail());
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

std::vector<pid_t> ServerProcess::Descendants() const {
  std::vector<pid_t> found;
  if (pid_ < 0) return found;
  const std::map<pid_t, pid_t> parents = Parents();
  for (const auto& [pid, parent] : parents) {
    // Up the line of ancestors; a cycle cannot be, but a snapshot may be torn, hence the bound.
    pid_t ancestor = parent;
    for (int depth = 0; depth < 32 && ancestor > 1; ++depth) {
      if (ancestor == pid_) {
        found.push_back(pid);
        break;
      }
      const auto next = parents.find(ancestor);
      if (next == parents.end()) break;
      ancestor = next->second;
    }
  }
  return found;
}

void ServerProcess::Kill(Scope scope) {
  if (pid_ < 0) return;
  const std::vector<pid_t> children = scope == Scope::kTree ? Descendants() : std::vector<pid_t>();
  kill(pid_, SIGKILL);
  for (const pid_t child : children) kill(child, SIGKILL);
  Reap(0);
}

absl::Status ServerProcess::Stop(milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  if (pid_ >= 0) kill(pid_, SIGTERM);
  while (running()) {
    if (steady_clock::now() >= deadline) {
      return MakeStatus(absl::StatusCode::kDeadlineExceeded, options_.program,
                        " still runs after SIGTERM\n", LogTail());
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  if (options_.kind == ServerKind::kJetd && exit_status_ != 0) {
    return MakeStatus(absl::StatusCode::kInternal, options_.program, " ended: ", HowItEnded(), "\n",
                      LogTail());
  }
  return absl::OkStatus();
}

void ServerProcess::Suspend(Scope scope) {
  if (pid_ < 0) return;
  std::vector<pid_t> pids = scope == Scope::kTree ? Descendants() : std::vector<pid_t>();
  pids.insert(pids.begin(), pid_);
  for (const pid_t pid : pids) kill(pid, SIGSTOP);
  for (const pid_t pid : pids) SuspendProcess(pid);
}

void ServerProcess::Resume(Scope scope) {
  if (pid_ < 0) return;
  if (scope == Scope::kTree) {
    for (const pid_t child : Descendants()) kill(child, SIGCONT);
  }
  kill(pid_, SIGCONT);
}

absl::Status ServerProcess::Restart(const std::vector<std::string>& more_flags) {
  Kill(Scope::kTree);
  return Spawn(more_flags);
}

std::string ServerProcess::LogTail(size_t bytes) const {
  std::ifstream in(log_path(), std::ios::binary | std::ios::ate);
  if (!in) return "";
  const auto size = static_cast<size_t>(in.tellg());
  in.seekg(static_cast<std::streamoff>(size - std::min(size, bytes)));
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace jetd::etcdclient
