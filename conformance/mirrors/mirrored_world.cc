// SPDX-License-Identifier: Apache-2.0
#include "conformance/mirrors/mirrored_world.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "replication/mirrors.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerProcess;
using jetstream::NatsTestDomains;
using replication::Mirrors;
using Fit = jetstream::MirrorState::Fit;

constexpr char kBucket[] = "etcd";
constexpr std::chrono::seconds kStart{60};
// nats-server may take a minute to attach a mirror again.
constexpr std::chrono::minutes kCopied{4};

std::string LastLine(const std::string& path) {
  std::ifstream file(path);
  std::string line, last;
  while (std::getline(file, line)) last = line;
  return last;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MirroredWorld>> MirroredWorld::Start(const std::string& program,
                                                                    Disk disk) {
  std::unique_ptr<MirroredWorld> world(new MirroredWorld);
  world->program_ = program;
  world->domains_ = NatsTestDomains::Start([&world](int port) {
    world->link_ = Relay::Start(port).value();
    return world->link_->port();
  });
  if (world->domains_ == nullptr) {
    return absl::NotFoundError("JETD_NATS_SERVER names no nats-server");
  }
  if (disk == Disk::kForgetful) {
    if (absl::Status mounted = world->MountDisk(); !mounted.ok()) return mounted;
  }
  auto jetd = world->Serve(kBucket);
  if (!jetd.ok()) return jetd.status();
  world->jetd_ = *std::move(jetd);
  const auto mirrors = Mirrors::Open(world->Origin());
  if (!mirrors.ok()) return mirrors.status();
  if (absl::Status added = (*mirrors)->Add({.domain = NatsTestDomains::kLeaf}); !added.ok()) {
    return added;
  }
  return world;
}

MirroredWorld::~MirroredWorld() {
  if (disk_ == nullptr) return;
  domains_->leaf().Kill();
  disk_ = nullptr;
}

absl::Status MirroredWorld::MountDisk() {
  const std::string folder = domains_->leaf().folder() + "/js";
  domains_->leaf().Kill();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  auto mount = power::Mount::Make({.folder = folder});
  if (!mount.ok()) return mount.status();
  disk_ = *std::move(mount);
  domains_->leaf().Restart();
  domains_->AwaitLeaf();
  return absl::OkStatus();
}

absl::Status MirroredWorld::CutPowerOfMirror(uint64_t seed) {
  disk_->Freeze();
  // It ends once its last calls are let go, of which nothing comes to the disk any more.
  std::thread end([this] { domains_->leaf().Kill(); });
  disk_->Release();
  end.join();
  if (absl::Status cut = disk_->Cut(seed); !cut.ok()) return cut;
  domains_->leaf().Restart();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ServerProcess>> MirroredWorld::Serve(
    const std::string& bucket) const {
  auto jetd = ServerProcess::Start(
      {.program = program_,
       .flags = {Cat("--nats-url=", domains_->hub().url()), Cat("--bucket=", bucket)}});
  if (!jetd.ok()) return jetd.status();
  if (absl::Status ready = (*jetd)->WaitReady(kStart); !ready.ok()) return ready;
  return jetd;
}

absl::Status MirroredWorld::RestartJetd() {
  jetd_->Kill(ServerProcess::Scope::kTree);
  if (absl::Status started = jetd_->Restart(); !started.ok()) return started;
  return jetd_->WaitReady(kStart);
}

replication::StreamSource MirroredWorld::Origin() const {
  return {.bucket = kBucket, .nats_urls = {domains_->hub().url()}};
}

replication::StreamSource MirroredWorld::Mirror() const {
  return {
      .bucket = kBucket, .nats_urls = {domains_->leaf().url()}, .domain = NatsTestDomains::kLeaf};
}

absl::Status MirroredWorld::WaitCopied() const {
  const auto mirrors = Mirrors::Open(Origin());
  if (!mirrors.ok()) return mirrors.status();
  const auto end = std::chrono::steady_clock::now() + kCopied;
  std::string last = "nothing heard of it";
  for (;;) {
    const auto reports = (*mirrors)->Look();
    if (reports.ok() && reports->size() == 1) {
      const auto& state = reports->front().state;
      if (state.fit == Fit::kFits && state.reached == state.last) return absl::OkStatus();
      last = Cat("it is at sequence ", state.reached.value(), " of ", state.last.value(), " ",
                 state.what);
    }
    if (std::chrono::steady_clock::now() > end) {
      return absl::DeadlineExceededError(
          Cat("the mirror does not catch up: ", last,
              domains_->leaf().running() ? "" : "; its nats-server has ended: ",
              domains_->leaf().running() ? "" : LastLine(domains_->leaf().log_path())));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace jetd::conformance
