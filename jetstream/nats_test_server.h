// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_TEST_SERVER_H_
#define JETD_JETSTREAM_NATS_TEST_SERVER_H_

#include <netinet/in.h>
#include <sys/types.h>

#include <memory>
#include <string>

namespace jetd::jetstream {

[[nodiscard]] sockaddr_in LoopbackAddress(int port);

// A nats-server with JetStream for tests: on a free port of 127.0.0.1, its files in a new folder,
// both gone with the object. Not thread-safe.
class NatsTestServer {
 public:
  // The program that the environment variable names (JETD_NATS_SERVER, …); null if it is unset or
  // empty, so that the test can skip.
  // `config` is added to the configuration, `jetstream` to its block of that name (of which the
  // last one counts, with its folder).
  static std::unique_ptr<NatsTestServer> StartFrom(const char* variable,
                                                   const std::string& config = "",
                                                   const std::string& jetstream = "");

  ~NatsTestServer();
  NatsTestServer(const NatsTestServer&) = delete;
  NatsTestServer& operator=(const NatsTestServer&) = delete;

  // The same after a restart.
  [[nodiscard]] std::string url() const;
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::string log_path() const { return folder_ + "/nats.log"; }
  // False once it was killed, stopped, or has ended by itself.
  [[nodiscard]] bool running();
  // As `kill -9` does it. Waits until the process is gone.
  void Kill();
  // The same in order, by SIGTERM.
  void Stop();
  // Another configuration in the place of the one that was added at the start, for the server that
  // runs.
  void Reload(const std::string& config);
  // Tells it to end its connections in its own time and then itself (lame duck mode).
  void LameDuck();
  // Stops it from running and lets it run on: to its clients it is silent meanwhile.
  void Freeze();
  void Thaw();
  // Starts it again on the same files and port. REQUIRES: killed.
  void Restart();

 private:
  NatsTestServer(std::string program, const std::string& config, std::string jetstream);
  void WriteConfig(const std::string& config) const;
  void Start();
  void End(int signal);

  const std::string program_;
  const std::string jetstream_;
  std::string folder_;
  int port_ = -1;
  pid_t pid_ = -1;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_TEST_SERVER_H_
