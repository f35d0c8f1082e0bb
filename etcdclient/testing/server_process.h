// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDCLIENT_TESTING_SERVER_PROCESS_H_
#define JETD_ETCDCLIENT_TESTING_SERVER_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "etcdclient/client.h"

namespace jetd::etcdclient {

// SIGSTOP to a process, and waits until all its threads have stopped. Any thread.
void SuspendProcess(pid_t pid);

// ServerProcess runs etcd or jetd for a test: with etcd's flags, on a free port of the loopback,
// its data in a folder of its own. Its output goes to `log` in that folder.
//
//   auto server = ServerProcess::Start({.program = *ServerProcess::Find(ServerKind::kJetd)});
//   (*server)->WaitReady(std::chrono::seconds(30));
//   (*server)->Kill(ServerProcess::Scope::kProcess);  // SIGKILL; its children are on their own
//   (*server)->Restart();                             // same data, same address
//
// The destructor kills the server with all its descendants and removes the folder, unless it was
// given or is to be kept. The kernel kills the server too when the thread that started it ends, so
// start servers on a thread that lives long enough.
//
// Thread rules: one thread at a time.
enum class ServerKind { kEtcd, kJetd };

class ServerProcess {
 public:
  enum class DataDir { kRemove, kKeep };
  struct Options {
    ServerKind kind = ServerKind::kJetd;
    std::string program{};
    // More flags, after those that this class sets.
    std::vector<std::string> flags{};
    // "NAME=value", on top of this process's own environment.
    std::vector<std::string> environment{};
    // Empty: a new folder under `temp_dir`. A given folder is never removed.
    std::string data_dir{};
    // Empty: $TMPDIR, or /tmp. A memory file system saves the fsyncs of both programs.
    std::string temp_dir{};
    DataDir keep = DataDir::kRemove;
    // Where the program's output goes; empty: `log` beside the data.
    std::string log_path{};
  };
  // kTree: the process and all its descendants, for example jetd's nats-server.
  enum class Scope { kProcess, kTree };

  // The program of this kind from the environment: JETD_ETCD, JETD_BIN. NotFound if it is not set
  // or not there; tests then skip.
  [[nodiscard]] static absl::StatusOr<std::string> Find(ServerKind kind);

  // Starts the program and does not wait for it.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(Options options);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Until a linearizable Range is answered. FailedPrecondition with the end of the log if the
  // process ended, DeadlineExceeded likewise.
  [[nodiscard]] absl::Status WaitReady(std::chrono::milliseconds timeout);

  // SIGKILL, and waits until the process is gone.
  void Kill(Scope scope);
  // SIGTERM, and waits for the end. DeadlineExceeded if it does not come; the process goes on.
  // Internal, with the end of the log, if jetd ended with anything but exit code 0, as it also does
  // by what a sanitizer finds at the end. (etcd ends itself by the signal it got.)
  [[nodiscard]] absl::Status Stop(std::chrono::milliseconds timeout);
  void Suspend(Scope scope);  // as SuspendProcess
  void Resume(Scope scope);   // SIGCONT
  // Kill if it still runs, then start on the same data and address. `more_flags` for this run only.
  [[nodiscard]] absl::Status Restart(const std::vector<std::string>& more_flags = {});

  [[nodiscard]] bool running();
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Children, their children, and so on; those that were reparented are not found.
  [[nodiscard]] std::vector<pid_t> Descendants() const;
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  [[nodiscard]] const std::string& data_dir() const { return data_dir_; }
  [[nodiscard]] std::string log_path() const {
    return options_.log_path.empty() ? data_dir_ + ".log" : options_.log_path;
  }
  // "signal 9", "exit code 3"; "" while it runs.
  [[nodiscard]] std::string HowItEnded();
  // The last bytes that the program wrote.
  [[nodiscard]] std::string LogTail(size_t bytes = 2000) const;
  [[nodiscard]] absl::StatusOr<std::unique_ptr<Client>> Connect() const {
    return Client::Connect({.endpoint = endpoint_});
  }

 private:
  explicit ServerProcess(Options options);
  [[nodiscard]] std::vector<std::string> Arguments() const;
  [[nodiscard]] absl::Status Spawn(const std::vector<std::string>& more_flags);
  void Reap(int options);

  const Options options_;
  std::string root_;  // of data and log, made by this class; empty if the folder was given
  std::string data_dir_;
  std::string endpoint_;
  std::string peer_endpoint_;
  pid_t pid_ = -1;  // -1: not running
  int exit_status_ = 0;
};

}  // namespace jetd::etcdclient

#endif  // JETD_ETCDCLIENT_TESTING_SERVER_PROCESS_H_
