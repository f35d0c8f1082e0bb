// SPDX-License-Identifier: Apache-2.0
#include "jetstream/embedded_server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/random_id.h"
#include "base/strings.h"
#include "base/write_all.h"
#include "jetstream/file_system.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_probe.h"
#include "jetstream/stream_setup.h"

extern char** environ;

namespace jetd::jetstream {
namespace {

constexpr int kReadyPollMs = 10;
constexpr int kLockPollMs = 20;
constexpr std::chrono::seconds kRanWell{10};
constexpr int kVersionPatienceMs = 5'000;
// What nats-server prints for --version: "nats-server: v2.15.1".
constexpr std::string_view kVersionMark = "nats-server: v";
// The lock's descriptor in the child: the first behind the standard ones.
constexpr int kChildLockFd = 3;
constexpr const char* kErrFile = "nats-server.err";
constexpr const char* kLogFile = "nats-server.log";
constexpr const char* kUrlFile = "nats.url";
// Of what the child wrote, the part that is looked through for a reason.
constexpr size_t kMaxSaidBytes = 64UL << 10;

absl::Status Unusable(std::string_view what) {
  return absl::FailedPreconditionError(Cat(what, ": ", std::string_view(std::strerror(errno))));
}

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return Unusable(Cat("cannot make the folder ", path));
}

// A string of nats-server's configuration language.
std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

// How late nats-server's timers may be. For a millisecond after each write Go's runtime looks every
// 20 µs whether somebody needs help, which with one processor is a quarter of the CPU of writes
// that come one by one. The system puts these looks together; nothing in nats-server waits for a
// time as short as this.
constexpr unsigned long kTimerSlackNs = 5'000'000;

int OpenPidFd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

void SleepMs(int ms) { poll(nullptr, 0, ms); }

// Everything the child needs, made before the fork: after it, in a program with threads, nothing
// may allocate.
struct ChildPlan {
  std::string program, err_file;
  std::vector<std::string> arguments, environment;
  std::vector<char*> argv, envp;

  void Point() {
    argv.push_back(program.data());
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    for (std::string& entry : environment) envp.push_back(entry.data());
    envp.push_back(nullptr);
  }
};

// Runs in the child, and does only what is allowed between fork and exec.
[[noreturn]] void BecomeServer(const ChildPlan& plan, pid_t parent, int lock_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  // Kept over the exec, by all of its threads.
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  // Ctrl-C is for jetd, which then ends the child in order.
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int err = open(plan.err_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int null = open("/dev/null", O_RDONLY);
  if (err < 0 || null < 0) _exit(126);
  // Upwards first: the numbers needed may be taken by one another.
  const int high_err = fcntl(err, F_DUPFD, 64);
  const int high_null = fcntl(null, F_DUPFD, 64);
  const int high_lock = fcntl(lock_fd, F_DUPFD, 64);
  dup2(high_null, 0);
  dup2(high_err, 1);
  dup2(high_err, 2);
  dup2(high_lock, kChildLockFd);
  close_range(kChildLockFd + 1, ~0U, 0);
  execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
  _exit(127);
}

uint64_t SizeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

// Lines with something in them behind the first `offset` bytes, or of all if it is shorter by now.
std::vector<std::string> LinesFrom(const std::string& path, uint64_t offset) {
  std::ifstream file(path, std::ios::binary);
  const uint64_t size = SizeOf(path);
  const uint64_t begin = size < offset ? 0 : offset;
  file.seekg(static_cast<std::streamoff>(std::max(begin, size - std::min(size, kMaxSaidBytes))));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) lines.push_back(line);
  }
  return lines;
}

std::string EndText(int status) {
  if (WIFSIGNALED(status)) return Cat("signal ", WTERMSIG(status));
  return Cat("exit status ", WEXITSTATUS(status));
}

}  // namespace

EmbeddedServer::EmbeddedServer(Options options) : options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<EmbeddedServer>> EmbeddedServer::Start(Options options) {
  std::unique_ptr<EmbeddedServer> server(new EmbeddedServer(std::move(options)));
  const absl::Status prepared = server->Prepare();
  if (!prepared.ok()) return prepared;
  server->keeper_ = std::thread([keeper = server.get()] { keeper->Keep(); });
  return server;
}

absl::Status EmbeddedServer::Prepare() {
  if (access(options_.program.c_str(), X_OK) != 0) {
    return Unusable(Cat("cannot run nats-server at \"", options_.program, "\""));
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::absolute(options_.data_dir).parent_path(),
                                      error);
  for (const std::string& folder :
       {options_.data_dir, options_.data_dir + "/nats", options_.data_dir + "/private"}) {
    absl::Status made = MakeFolder(folder);
    if (!made.ok()) return made;
  }
  absl::Status locked = TakeLock();
  if (!locked.ok()) return locked;
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  JETD_CHECK(stop_fd_ >= 0) << "eventfd: errno " << errno;
  return WriteConfig();
}

absl::Status EmbeddedServer::TakeLock() {
  const std::string path = options_.data_dir + "/lock";
  lock_fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return Unusable(Cat("cannot open ", path));
  const auto deadline = std::chrono::steady_clock::now() + options_.lock_patience;
  while (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return Unusable(Cat("cannot lock ", path));
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::FailedPreconditionError(Cat("another jetd uses the folder ", options_.data_dir,
                                               " (", path,
                                               " is locked); stop it, or use another folder"));
    }
    SleepMs(kLockPollMs);
  }
  return absl::OkStatus();
}

std::string EmbeddedServer::Private(const std::string& name) const {
  return options_.data_dir + "/private/" + name;
}

absl::Status EmbeddedServer::WriteConfig() {
  user_ = RandomId();
  password_ = RandomId();
  const std::string path = Private("nats.conf");
  unlink(path.c_str());
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return Unusable(Cat("cannot write ", path));
  const std::string store = options_.data_dir + "/nats";
  may_grow_to_ = MayGrowTo(store);
  // The child writes a file into ports_file_dir that tells the port it picked.
  const std::string text =
      Cat("# Written by jetd at every start.\n", "server_name: jetd\n",
          "listen: \"127.0.0.1:-1\"\n", "ports_file_dir: ", Quoted(options_.data_dir + "/private"),
          "\n", "authorization { user: ", Quoted(user_), ", password: ", Quoted(password_), " }\n",
          "max_payload: ", limits::kEmbeddedMaxPayloadBytes, "\n", "max_pending: 268435456\n",
          "log_file: ", Quoted(Private(kLogFile)), "\n", "logfile_size_limit: 4194304\n",
          "logfile_max_num: 2\n", "jetstream { store_dir: ", Quoted(store),
          ", max_file_store: ", may_grow_to_, " }\n");
  const bool written = WriteAll(fd, text);
  close(fd);
  if (!written) return Unusable(Cat("cannot write ", path));
  return absl::OkStatus();
}

EmbeddedServer::~EmbeddedServer() {
  if (keeper_.joinable()) {
    const uint64_t one = 1;
    JETD_CHECK(write(stop_fd_, &one, sizeof(one)) == sizeof(one)) << "errno " << errno;
    keeper_.join();
    unlink(Private("nats.conf").c_str());
    unlink(Private(kUrlFile).c_str());
  }
  if (stop_fd_ >= 0) close(stop_fd_);
  if (lock_fd_ >= 0) close(lock_fd_);
}

// The keeper thread. It ends only when the child is gone.
void EmbeddedServer::Keep() {
  auto pause = options_.min_restart_pause;
  bool was_ready = false;
  for (int ends = 1;; ++ends) {
    const auto started = std::chrono::steady_clock::now();
    err_bytes_ = SizeOf(Private(kErrFile));
    log_bytes_ = SizeOf(Private(kLogFile));
    RemoveOldPorts();
    const pid_t child = Fork({"-c", Private("nats.conf")});
    const int pid_fd = OpenPidFd(child);
    JETD_CHECK(pid_fd >= 0) << "pidfd_open: errno " << errno;
    {
      MutexLock lock(mutex_);
      pid_ = child;
    }
    ServeOnce(child, pid_fd);
    const bool stopped = !WaitForEnd(pid_fd, 0);
    if (stopped) EndChild(child, pid_fd);
    close(pid_fd);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    {
      MutexLock lock(mutex_);
      was_ready = was_ready || !url_.empty();
      url_.clear();
      pid_ = -1;
    }
    if (stopped) return;
    if (!was_ready && ends == 1) {
      const std::string version = AskVersion();
      if (!version.empty() && !VersionAtLeast(version, 2, kMinMinorVersion)) {
        return GiveUp(Cat("jetd needs nats-server 2.", kMinMinorVersion, " or later; ",
                          options_.program, " is version ", version));
      }
    }
    if (!was_ready && ends >= options_.max_early_ends) {
      return GiveUp(EndedTooOften(EndText(status)));
    }
    if (std::chrono::steady_clock::now() - started > kRanWell) pause = options_.min_restart_pause;
    log::Error("the embedded nats-server ended ({}), its log is {}; starting it again in {} ms{}",
               log::As("reason", EndText(status)), Private(kLogFile),
               log::As("retry_ms", pause.count()), log::Event("nats_server_ended"));
    pollfd stop{.fd = stop_fd_, .events = POLLIN, .revents = 0};
    if (poll(&stop, 1, static_cast<int>(pause.count())) > 0) return;
    pause = std::min(pause * 2, options_.max_restart_pause);
  }
}

void EmbeddedServer::GiveUp(const std::string& text) {
  MutexLock lock(mutex_);
  given_up_ = absl::FailedPreconditionError(text);
}

std::string EmbeddedServer::EndedTooOften(const std::string& end) const {
  const std::string said = WhatItSaid();
  return Cat("the embedded nats-server ended ", options_.max_early_ends,
             " times before it was ready, the last time with ", end,
             said.empty() ? std::string(" and without a word") : Cat(": ", said), " (program ",
             options_.program, ", log ", Private(kLogFile), ")");
}

// "2.9.10", or empty if the program does not tell. Only asked of one that ended: a start of one
// that is not too old shall not wait for it.
std::string EmbeddedServer::AskVersion() {
  const uint64_t err_bytes = SizeOf(Private(kErrFile));
  const pid_t child = Fork({"--version"});
  const int pid_fd = OpenPidFd(child);
  JETD_CHECK(pid_fd >= 0) << "pidfd_open: errno " << errno;
  pollfd both[2] = {{.fd = pid_fd, .events = POLLIN, .revents = 0},
                    {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
  poll(both, 2, kVersionPatienceMs);
  kill(child, SIGKILL);  // no harm if it has ended
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  close(pid_fd);
  for (const std::string& line : LinesFrom(Private(kErrFile), err_bytes)) {
    if (line.starts_with(kVersionMark)) return line.substr(kVersionMark.size());
  }
  return "";
}

// The first line of its errors, where the reason of a panic stands; or else the last of its log.
std::string EmbeddedServer::WhatItSaid() const {
  const std::vector<std::string> errors = LinesFrom(Private(kErrFile), err_bytes_);
  if (!errors.empty()) return errors.front();
  const std::vector<std::string> lines = LinesFrom(Private(kLogFile), log_bytes_);
  return lines.empty() ? "" : lines.back();
}

// What a killed child left behind names a port that is nobody's, or somebody's.
void EmbeddedServer::RemoveOldPorts() const {
  unlink(Private(kUrlFile).c_str());
  std::error_code ignored;
  // Not by a range-for, which throws.
  std::filesystem::directory_iterator entry(Private(""), ignored);
  for (; entry != std::filesystem::end(entry); entry.increment(ignored)) {
    std::error_code gone;
    if (entry->path().extension() == ".ports") std::filesystem::remove(entry->path(), gone);
  }
}

pid_t EmbeddedServer::Fork(std::vector<std::string> arguments) {
  ChildPlan plan;
  plan.program = options_.program;
  plan.arguments = std::move(arguments);
  plan.err_file = Private(kErrFile);
  bool procs_given = false;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "GOMEMLIMIT=", 11) == 0) continue;
    procs_given = procs_given || std::strncmp(*entry, "GOMAXPROCS=", 11) == 0;
    plan.environment.emplace_back(*entry);
  }
  plan.environment.push_back(Cat("GOMEMLIMIT=", options_.memory_limit_bytes));
  // One client and one stream are served in one order; more only makes Go's threads look for work
  // and wake each other, at a quarter of the CPU of a write.
  if (!procs_given) plan.environment.emplace_back("GOMAXPROCS=1");
  plan.Point();
  const pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) BecomeServer(plan, parent, lock_fd_);
  while (child < 0) {
    log::Error("cannot fork: {}", std::strerror(errno));
    SleepMs(static_cast<int>(options_.max_restart_pause.count()));
    child = fork();
    if (child == 0) BecomeServer(plan, parent, lock_fd_);
  }
  return child;
}

// For tools of whoever may read it. Without it they cannot look in, and nothing else is lost.
void EmbeddedServer::TellUrl(const std::string& url) const {
  constexpr std::string_view kScheme = "nats://";
  if (!url.starts_with(kScheme)) return;
  const std::string path = Private(kUrlFile);
  const std::string text =
      Cat(kScheme, user_, ":", password_, "@", url.substr(kScheme.size()), "\n");
  unlink(path.c_str());
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return log::Warn("cannot write {}: {}", path, std::strerror(errno));
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    unlink(path.c_str());
  }
  close(fd);
}

bool EmbeddedServer::WaitForEnd(int pid_fd, int timeout_ms) {
  pollfd end{.fd = pid_fd, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&end, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// Returns when the child has ended or the destructor wants it to.
void EmbeddedServer::ServeOnce(pid_t child, int pid_fd) {
  bool ready = false;
  while (true) {
    pollfd both[2] = {{.fd = pid_fd, .events = POLLIN, .revents = 0},
                      {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
    const int events = poll(both, 2, ready ? -1 : kReadyPollMs);
    if (events > 0) return;
    if (ready) continue;
    LookForPort(child);
    MutexLock lock(mutex_);
    ready = !url_.empty();
  }
}

void EmbeddedServer::LookForPort(pid_t child) {
  const std::string program = options_.program.substr(options_.program.rfind('/') + 1);
  const std::string path = Private(Cat(program, "_", child, ".ports"));
  std::ifstream file(path);
  if (!file) return;
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const nlohmann::json ports = ParseAnswer(text);
  const auto nats = ports.find("nats");
  if (nats == ports.end() || !nats->is_array() || nats->empty() || !nats->front().is_string()) {
    return;  // not whole yet
  }
  unlink(path.c_str());
  TellUrl(nats->front().get<std::string>());
  MutexLock lock(mutex_);
  url_ = nats->front().get<std::string>();
}

void EmbeddedServer::EndChild(pid_t child, int pid_fd) {
  kill(child, SIGTERM);
  if (WaitForEnd(pid_fd, static_cast<int>(options_.stop_patience.count()))) return;
  log::Warn("the embedded nats-server does not end; it is killed");
  kill(child, SIGKILL);
}

absl::StatusOr<NatsEndpoint> EmbeddedServer::endpoint() const {
  MutexLock lock(mutex_);
  if (!given_up_.ok()) return given_up_;
  if (url_.empty()) return MakeError(Errc::kUnavailable, "the embedded nats-server is starting");
  NatsEndpoint endpoint;
  endpoint.url = url_;
  endpoint.credentials.user = user_;
  endpoint.credentials.password = password_;
  return endpoint;
}

std::string EmbeddedServer::StreamFolder(const std::string& bucket) const {
  return Cat(options_.data_dir, "/nats/jetstream/$G/streams/", StreamName(bucket));
}

uint64_t EmbeddedServer::RoomFor(uint64_t stream_bytes) const {
  const uint64_t allowed = may_grow_to_ - std::min(may_grow_to_, stream_bytes);
  return std::min(allowed, FreeBytes(options_.data_dir + "/nats"));
}

pid_t EmbeddedServer::pid() const {
  MutexLock lock(mutex_);
  return pid_;
}

}  // namespace jetd::jetstream
