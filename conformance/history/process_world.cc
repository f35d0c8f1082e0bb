// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/process_world.h"

#include <thread>
#include <utility>

#include "base/strings.h"
#include "conformance/disarm.h"
#include "conformance/history/stream_truth.h"

namespace jetd::conformance::history {

using etcdclient::ServerProcess;

ProcessWorld::ProcessWorld(Options options)
    : options_(std::move(options)),
      random_(options_.seed),
      plan_(options_.server.kind, options_.seed,
            options_.disk != nullptr ? FaultPlan::Disk::kSmall : FaultPlan::Disk::kAny) {}

absl::Status ProcessWorld::Start() {
  auto server = ServerProcess::Start(options_.server);
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  faults_ = std::make_unique<ServerFaults>(server_.get(), options_.seed, options_.patience);
  return WaitReady();
}

std::vector<std::string> ProcessWorld::endpoints() const { return {server_->endpoint()}; }

std::vector<World::Fault> ProcessWorld::NextFaults(size_t operations) {
  std::vector<Fault> faults;
  for (const FaultPlan::Fault& fault : plan_.Next(options_.faults, operations)) {
    faults.push_back({NameOf(fault.kind), fault.after, [this, fault] {
                        return fault.kind == FaultPlan::Kind::kFillDisk ? FillDisk(fault.time)
                                                                        : Inflict(fault, *faults_);
                      }});
  }
  return faults;
}

absl::Status ProcessWorld::FillDisk(std::chrono::milliseconds time) const {
  if (absl::Status filled = options_.disk->Fill(); !filled.ok()) return filled;
  std::this_thread::sleep_for(time);
  options_.disk->Free();
  Disarm();
  return absl::OkStatus();
}

void ProcessWorld::Disarm() const {
  if (auto client = server_->Connect(); client.ok()) DisarmAlarms(client->get());
}

absl::Status ProcessWorld::CheckRunning() {
  if (server_->running()) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInternal,
                    "the server ended by itself: ", server_->HowItEnded(), "\n",
                    server_->LogTail());
}

absl::Status ProcessWorld::WaitReady() {
  absl::Status ready = server_->WaitReady(options_.patience);
  if (ready.ok() && options_.disk != nullptr) Disarm();
  return ready;
}

absl::StatusOr<std::optional<std::vector<Transaction>>> ProcessWorld::ReadTruth(
    const KeySpace& keys, int64_t first, int64_t last) {
  if (!options_.read_stream) return std::optional<std::vector<Transaction>>();
  // However it ended, what was answered is in the stream.
  if (random_() % 3 == 0) {
    server_->Kill(ServerProcess::Scope::kTree);
  } else if (absl::Status stopped = server_->Stop(options_.patience); !stopped.ok()) {
    return stopped;
  }
  auto stream = ReadStream({.data_dir = server_->data_dir(), .nats_server = options_.nats_server},
                           keys, first, last);
  if (!stream.ok()) return stream.status();
  if (absl::Status started = server_->Restart(); !started.ok()) return started;
  if (absl::Status ready = WaitReady(); !ready.ok()) return ready;
  return std::optional<std::vector<Transaction>>(*std::move(stream));
}

}  // namespace jetd::conformance::history
