// SPDX-License-Identifier: Apache-2.0
#include "conformance/server_faults.h"

#include <signal.h>

#include <fstream>
#include <string>
#include <thread>

#include "base/strings.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerProcess;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPoll{5};

std::string ProgramOf(pid_t pid) {
  std::ifstream in(Cat("/proc/", pid, "/comm"));
  std::string name;
  std::getline(in, name);
  return name;
}

}  // namespace

bool IsRefusal(const absl::Status& status) {
  for (const char* text :
       {"etcdserver: leader changed", "etcdserver: no leader", "etcdserver: too many requests",
        "etcdserver: mvcc: database space exceeded"}) {
    if (MessageOf(status) == text) return true;
  }
  return false;
}

ServerFaults::ServerFaults(ServerProcess* server, uint64_t seed, std::chrono::seconds patience)
    : server_(server), patience_(patience), random_(seed) {}

absl::Status ServerFaults::KillServer() {
  server_->Kill(random_() % 8 == 0 ? ServerProcess::Scope::kTree : ServerProcess::Scope::kProcess);
  return server_->Restart();
}

absl::StatusOr<pid_t> ServerFaults::FindNats(pid_t not_this) {
  const auto deadline = steady_clock::now() + patience_;
  while (true) {
    for (const pid_t pid : server_->Descendants()) {
      if (pid != not_this && ProgramOf(pid) == "nats-server") return pid;
    }
    if (steady_clock::now() > deadline) {
      return MakeStatus(absl::StatusCode::kDeadlineExceeded, "no nats-server under the server\n",
                        server_->LogTail());
    }
    std::this_thread::sleep_for(kPoll);
  }
}

absl::Status ServerFaults::KillNats() {
  const auto nats = FindNats(last_nats_);
  if (!nats.ok()) return nats.status();
  kill(*nats, SIGKILL);
  last_nats_ = *nats;
  return absl::OkStatus();
}

absl::Status ServerFaults::StopServer() {
  if (absl::Status stopped = server_->Stop(patience_); !stopped.ok()) return stopped;
  return server_->Restart();
}

void ServerFaults::FreezeTree(milliseconds time) {
  server_->Suspend(ServerProcess::Scope::kTree);
  std::this_thread::sleep_for(time);
  server_->Resume(ServerProcess::Scope::kTree);
}

void ServerFaults::FreezeServer(milliseconds time) {
  server_->Suspend(ServerProcess::Scope::kProcess);
  std::this_thread::sleep_for(time);
  server_->Resume(ServerProcess::Scope::kProcess);
}

absl::Status ServerFaults::FreezeNats(milliseconds time) {
  if (absl::Status suspended = SuspendNats(); !suspended.ok()) return suspended;
  std::this_thread::sleep_for(time);
  ResumeNats();
  return absl::OkStatus();
}

absl::Status ServerFaults::SuspendNats() {
  const auto nats = FindNats(last_nats_);
  if (!nats.ok()) return nats.status();
  etcdclient::SuspendProcess(*nats);
  suspended_nats_ = *nats;
  return absl::OkStatus();
}

void ServerFaults::ResumeNats() {
  if (suspended_nats_ >= 0) kill(suspended_nats_, SIGCONT);
  suspended_nats_ = -1;
}

}  // namespace jetd::conformance
