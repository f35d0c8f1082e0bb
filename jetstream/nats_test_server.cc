// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_test_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/strings.h"
#include "base/testing/free_port.h"

namespace jetd::jetstream {
namespace {

bool CanConnect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = LoopbackAddress(port);
  const bool can = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return can;
}

std::string TailOf(const std::string& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  constexpr size_t kBytes = 2'000;
  return text.substr(text.size() - std::min(text.size(), kBytes));
}

}  // namespace

sockaddr_in LoopbackAddress(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

std::unique_ptr<NatsTestServer> NatsTestServer::StartFrom(const char* variable,
                                                          const std::string& config,
                                                          const std::string& jetstream) {
  const char* program = std::getenv(variable);
  if (program == nullptr || *program == '\0') return nullptr;
  return std::unique_ptr<NatsTestServer>(new NatsTestServer(program, config, jetstream));
}

NatsTestServer::NatsTestServer(std::string program, const std::string& config,
                               std::string jetstream)
    : program_(std::move(program)), jetstream_(std::move(jetstream)) {
  std::string name = std::filesystem::temp_directory_path() / "jetd_nats_XXXXXX";
  JETD_CHECK(mkdtemp(name.data()) != nullptr) << name;
  folder_ = name;
  port_ = FreePort();
  WriteConfig(config);
  Start();
}

void NatsTestServer::WriteConfig(const std::string& config) const {
  std::ofstream(folder_ + "/nats.conf") << "listen: \"127.0.0.1:" << port_ << "\"\n"
                                        << "max_payload: 8MB\n"
                                        << "jetstream { store_dir: \"" << folder_
                                        << "/js\", max_file_store: 10GB " << jetstream_ << " }\n"
                                        << config;
}

NatsTestServer::~NatsTestServer() {
  Kill();
  std::filesystem::remove_all(folder_);
}

std::string NatsTestServer::url() const { return Cat("nats://127.0.0.1:", port_); }

void NatsTestServer::Start() {
  const std::string config = folder_ + "/nats.conf";
  const std::string log = log_path();
  const pid_t parent = getpid();
  const pid_t pid = fork();
  JETD_CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log_fd, 1);
    dup2(log_fd, 2);
    close_range(3, ~0U, 0);
    execl(program_.c_str(), program_.c_str(), "-c", config.c_str(), nullptr);
    _exit(127);
  }
  pid_ = pid;
  // nats-server opens the port only when its streams are there.
  constexpr std::chrono::minutes kFarTooLong{2};
  const auto deadline = std::chrono::steady_clock::now() + kFarTooLong;
  while (!CanConnect(port_)) {
    JETD_CHECK(running()) << program_ << " ends at once: " << TailOf(log);
    JETD_CHECK(std::chrono::steady_clock::now() < deadline)
        << program_ << " does not start: " << TailOf(log);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

bool NatsTestServer::running() {
  if (pid_ >= 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ >= 0;
}

void NatsTestServer::Kill() { End(SIGKILL); }

void NatsTestServer::Stop() { End(SIGTERM); }

void NatsTestServer::End(int signal) {
  if (pid_ < 0) return;
  kill(pid_, signal);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void NatsTestServer::Reload(const std::string& config) {
  WriteConfig(config);
  JETD_CHECK(kill(pid_, SIGHUP) == 0);
}

void NatsTestServer::LameDuck() { JETD_CHECK(kill(pid_, SIGUSR2) == 0); }

void NatsTestServer::Freeze() {
  JETD_CHECK(kill(pid_, SIGSTOP) == 0);
  int status = 0;
  while (waitpid(pid_, &status, WUNTRACED) < 0 && errno == EINTR) {
  }
  JETD_CHECK(WIFSTOPPED(status));
}

void NatsTestServer::Thaw() { JETD_CHECK(kill(pid_, SIGCONT) == 0); }

void NatsTestServer::Restart() {
  JETD_CHECK(pid_ < 0) << "it still runs";
  Start();
}

}  // namespace jetd::jetstream
