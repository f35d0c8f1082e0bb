// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_PROCESS_WORLD_H_
#define JETD_CONFORMANCE_HISTORY_PROCESS_WORLD_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "conformance/history/fault_plan.h"
#include "conformance/history/world.h"
#include "conformance/server_faults.h"
#include "conformance/small_disk.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance::history {

// One server: jetd with a nats-server of its own, or etcd. Both programs are killed, frozen and
// restarted, and their disk is full, which jetd must get over by itself once there is room and the
// alarm that it has raised is disarmed.
class ProcessWorld : public World {
 public:
  struct Options {
    etcdclient::ServerProcess::Options server;
    size_t faults = 0;  // in each window
    uint64_t seed = 1;
    // Of a stopped jetd: what is in the stream is the truth. Otherwise there is none.
    bool read_stream = true;
    std::string nats_server{};  // the program, for that
    // Where the server's data lies (then server.temp_dir is its folder), and what is full now and
    // then; null: on any disk. Outlives the world.
    SmallDisk* disk = nullptr;
    // A server that answers nothing for so long hangs.
    std::chrono::seconds patience{60};
  };

  explicit ProcessWorld(Options options);

  [[nodiscard]] absl::Status Start() override;
  [[nodiscard]] std::vector<std::string> endpoints() const override;
  [[nodiscard]] std::vector<Fault> NextFaults(size_t operations) override;
  [[nodiscard]] absl::Status CheckRunning() override;
  [[nodiscard]] absl::Status WaitReady() override;
  [[nodiscard]] absl::StatusOr<std::optional<std::vector<Transaction>>> ReadTruth(
      const KeySpace& keys, int64_t first, int64_t last) override;
  [[nodiscard]] std::string LogTail() const override { return server_->LogTail(); }

  [[nodiscard]] const std::string& data_dir() const { return server_->data_dir(); }

 private:
  [[nodiscard]] absl::Status FillDisk(std::chrono::milliseconds time) const;
  void Disarm() const;

  const Options options_;
  std::mt19937_64 random_;
  FaultPlan plan_;
  std::unique_ptr<etcdclient::ServerProcess> server_;
  std::unique_ptr<ServerFaults> faults_;
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_PROCESS_WORLD_H_
