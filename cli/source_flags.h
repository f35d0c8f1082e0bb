// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_SOURCE_FLAGS_H_
#define JETD_CLI_SOURCE_FLAGS_H_

#include <string>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "jetstream/nats_endpoint.h"
#include "replication/stream_source.h"

namespace jetd::cli {

// What was typed, or the variable's value; "" if it is not set.
[[nodiscard]] std::string OrVariable(const std::string& given, const char* variable);

// The parts of a list that has commas between them, without empty ones.
[[nodiscard]] std::vector<std::string> SplitCommas(const std::string& text);
// InvalidArgument with the name of `flag` if one of its URLs is none of NATS.
[[nodiscard]] absl::Status CheckNatsUrls(const char* flag, const std::vector<std::string>& urls);

// The flags that say how a nats-server knows a user, and it the server, and in which JetStream
// domain a bucket is: "--nats-creds" and so on, or with another beginning.
class NatsFlags {
 public:
  // `begin` is what each begins with: "--nats-".
  explicit NatsFlags(std::string begin) : begin_(std::move(begin)) {}
  void AddTo(CLI::App* app, const std::string& group);
  // What was typed in the place of what is there: a way to prove who one is in the place of all
  // others. With kYes a JETD_… variable counts where nothing was typed, and of ways to prove that
  // only where none was. InvalidArgument: two ways, or half a pair. FailedPrecondition: a file is
  // not as it should be.
  enum class Variables { kNo, kYes };
  [[nodiscard]] absl::Status Read(Variables variables, jetstream::NatsCredentials* credentials,
                                  std::string* domain) const;
  // As SourceFlags::Typed.
  [[nodiscard]] std::string Typed() const;

 private:
  std::string begin_;
  jetstream::NatsCredentials credentials_;  // the files of it
  std::string domain_;
};

// The flags that say where a bucket is, spelt as jetd's own, for every command that reads one.
class SourceFlags {
 public:
  // `in_place` is the name of the flag that lets a nats-server be started on the folder itself.
  void AddTo(CLI::App* app, const std::string& in_place = "--in-place");
  // Checked, with JETD_… variables for what is not given. InvalidArgument: the command line is
  // wrong. FailedPrecondition: a file that it names is.
  [[nodiscard]] absl::StatusOr<replication::StreamSource> Read() const;
  // Those that were typed, a space before each, as a shell takes them. URLs without their secrets.
  [[nodiscard]] std::string Typed() const;

 private:
  NatsFlags nats_{"--nats-"};
  std::string data_dir_, nats_server_, nats_url_, bucket_, stream_, api_prefix_;
  bool in_place_ = false;
  std::string in_place_flag_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_SOURCE_FLAGS_H_
