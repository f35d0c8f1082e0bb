// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_EMBEDDED_SERVER_H_
#define JETD_JETSTREAM_EMBEDDED_SERVER_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "jetstream/nats_endpoint.h"

namespace jetd::jetstream {

// A nats-server with JetStream as a child of this process, for nobody else: on loopback, on a port
// that it picks itself, with a random user and password. It is started again when it dies (the port
// may then differ), and it is gone when this process is, however that ends.
//
// The folder, made with mode 0700:
//   <data_dir>/lock                 flock; held by this process and by the child, so that two
//                                   servers never share a store, even if one outlives its jetd
//   <data_dir>/nats/jetstream/…     the store
//   <data_dir>/private/nats.conf    0600, holds the password; …/nats-server.log and .err beside it
//   <data_dir>/private/nats.url     0600, while it listens: its URL with user and password
//
// How it is made sure that the child ends: a thread of this object forks it and never ends before
// it. The child asks the kernel for SIGKILL at the death of its parent *thread*, which thus is the
// death of the process, and then looks whether its parent is still there: if it died between fork
// and the asking, the child ends itself before it becomes a nats-server. No state in which this
// process can be killed is left out, and whoever called Start may end at any time.
//
// Any thread may call everything.
class EmbeddedServer {
 public:
  // 2.<this> is the oldest nats-server that will do.
  static constexpr int kMinMinorVersion = 15;

  struct Options {
    std::string program;   // path of nats-server
    std::string data_dir;  // made if it is not there, with its parents
    // Go's soft limit for the child's memory (GOMEMLIMIT): its block caches stay below it.
    uint64_t memory_limit_bytes = 1ULL << 30;
    std::chrono::milliseconds lock_patience{5'000};
    std::chrono::milliseconds min_restart_pause{100};
    std::chrono::milliseconds max_restart_pause{5'000};
    // A child that ends so often before one was ever ready is not started again: the program or
    // the store is of no use.
    int max_early_ends = 5;
    // For an orderly end of the child; then it is killed.
    std::chrono::milliseconds stop_patience{10'000};
  };

  // Takes the lock, writes the configuration and begins to start the child; does not wait until it
  // is ready. FailedPrecondition with one line for people: the program or folder is not usable, or
  // another jetd has it.
  static absl::StatusOr<std::unique_ptr<EmbeddedServer>> Start(Options options);
  // Ends the child and waits for that.
  ~EmbeddedServer();
  EmbeddedServer(const EmbeddedServer&) = delete;
  EmbeddedServer& operator=(const EmbeddedServer&) = delete;

  // Where the child listens now. Unavailable while it starts, FailedPrecondition once it is not
  // started again, with how it ended and the last it said, or that it is too old: one that ends
  // early is asked for its version. For NatsLogOptions::endpoint.
  [[nodiscard]] absl::StatusOr<NatsEndpoint> endpoint() const;
  // The folder of a bucket's stream: see GroupSync.
  [[nodiscard]] std::string StreamFolder(const std::string& bucket) const;
  // How many more bytes a stream that takes `stream_bytes` may get: what the disk has, and what the
  // child was told at its start that it may use. Asks the kernel, waits for nothing.
  [[nodiscard]] uint64_t RoomFor(uint64_t stream_bytes) const;
  // Of the child, -1 if there is none now. For tests and messages.
  [[nodiscard]] pid_t pid() const;

 private:
  explicit EmbeddedServer(Options options);
  absl::Status Prepare();
  absl::Status TakeLock();
  absl::Status WriteConfig();
  void Keep();
  void GiveUp(const std::string& text);
  [[nodiscard]] std::string EndedTooOften(const std::string& end) const;
  [[nodiscard]] std::string WhatItSaid() const;
  [[nodiscard]] std::string AskVersion();
  void RemoveOldPorts() const;
  [[nodiscard]] pid_t Fork(std::vector<std::string> arguments);
  // Waits for the child's end, or for Stop; true: it ended.
  bool WaitForEnd(int pid_fd, int timeout_ms);
  void ServeOnce(pid_t child, int pid_fd);
  void LookForPort(pid_t child);
  void TellUrl(const std::string& url) const;
  void EndChild(pid_t child, int pid_fd);
  [[nodiscard]] std::string Private(const std::string& name) const;

  const Options options_;
  std::string user_, password_;  // constant after Start, as is:
  uint64_t may_grow_to_ = 0;     // max_file_store
  int lock_fd_ = -1;
  int stop_fd_ = -1;  // an eventfd, readable once the destructor has begun

  // The keeper's: how long the child's error file and log were before it was forked.
  uint64_t err_bytes_ = 0;
  uint64_t log_bytes_ = 0;

  mutable Mutex mutex_;
  std::string url_ ABSL_GUARDED_BY(mutex_);
  absl::Status given_up_ ABSL_GUARDED_BY(mutex_);
  pid_t pid_ ABSL_GUARDED_BY(mutex_) = -1;

  std::thread keeper_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_EMBEDDED_SERVER_H_
