// SPDX-License-Identifier: Apache-2.0
#include "tenant/static_server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/pem_files.h"
#include "base/strings.h"
#include "jetstream/bucket_access.h"
#include "tenant/atomic_file.h"

namespace jetd::tenant {
namespace {

constexpr char kHead[] =
    "# Written by `jetctl tenant`: what is changed here by hand is lost. It belongs into the\n"
    "# accounts of nats-server's configuration, by a path that is relative to it:\n"
    "#   accounts {\n"
    "#     include \"jetd/tenants.conf\"\n"
    "#   }\n";
constexpr size_t kMaxOutputBytes = 64UL << 10;
constexpr std::string_view kProgramName = "nats-server";

template <typename... Pieces>
absl::Status Failed(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

void AppendList(std::string& text, const char* name, const std::vector<std::string>& subjects) {
  CatTo(text, "      ", name, ": { allow: [\n");
  for (const std::string& subject : subjects) CatTo(text, "        \"", subject, "\"\n");
  CatTo(text, "      ] }\n");
}

// A program's exit code and what it wrote.
struct Ended {
  int exit_code = -1;
  std::string output;
};

absl::StatusOr<Ended> RunProgram(std::vector<std::string> words) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Failed("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  Ended ended;
  std::array<char, 4096> buffer{};
  for (ssize_t got = 1; error == 0 && got != 0;) {
    got = read(ends[0], buffer.data(), buffer.size());
    if (got < 0 && errno != EINTR) break;
    if (got > 0 && ended.output.size() < kMaxOutputBytes) {
      ended.output.append(buffer.data(), static_cast<size_t>(got));
    }
  }
  close(ends[0]);
  if (error != 0) {
    return Failed("cannot run ", words[0], ": ", std::string_view(std::strerror(error)));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
  return ended;
}

// The last line that is not empty.
std::string LastLineOf(const std::string& text) {
  const size_t end = text.find_last_not_of(" \r\n");
  if (end == std::string::npos) return "it says nothing";
  const size_t begin = text.rfind('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

}  // namespace

std::string AccountsText(const Roster& roster) {
  std::string text = kHead;
  for (const auto& [name, tenant] : roster.tenants) {
    const AccountLimits& limits = tenant.limits;
    CatTo(text, "\"", name, "\": {\n  jetstream: { max_memory: 0, max_file: ", limits.storage_bytes,
          ", max_streams: ", limits.streams, ", max_consumers: ", limits.consumers,
          " }\n  users: [ {\n    nkey: ", tenant.user, "\n    permissions: {\n");
    const jetstream::Permissions permissions = jetstream::PermissionsOf(tenant.bucket);
    AppendList(text, "publish", permissions.publish);
    AppendList(text, "subscribe", permissions.subscribe);
    CatTo(text, "    }\n  } ]\n}\n");
  }
  return text;
}

absl::Status CheckAccounts(const std::string& nats_server, const std::string& folder,
                           const std::string& accounts_text) {
  const std::string accounts = folder + "/check-tenants.conf";
  const std::string whole = folder + "/check-nats.conf";
  absl::Status status = WriteFileAtomically(accounts, accounts_text, kSecretFile);
  if (status.ok()) {
    status = WriteFileAtomically(whole, "accounts {\n  include \"check-tenants.conf\"\n}\n",
                                 kSecretFile);
  }
  if (status.ok()) {
    const auto ended = RunProgram({nats_server, "-t", "-c", whole});
    if (!ended.ok()) {
      status = ended.status();
    } else if (ended->exit_code != 0) {
      status = Failed("nothing was changed: ", nats_server,
                      " -t does not take the accounts: ", LastLineOf(ended->output));
    }
  }
  status.Update(RemoveFile(accounts));
  status.Update(RemoveFile(whole));
  return status;
}

absl::Status TellToReload(const std::string& pid_file) {
  const auto text = ReadWholeFile(pid_file);
  if (!text.ok()) return text.status();
  pid_t pid = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), pid);
  if (parsed.ec != std::errc() || pid <= 1) return Failed(pid_file, " holds no process id");
  std::ifstream file(Cat("/proc/", pid, "/comm"));
  std::string name;
  if (!std::getline(file, name)) {
    return Failed("no process ", pid, " runs, which ", pid_file, " names");
  }
  // Another process may have got the number of one that is long gone; the signal would end it.
  if (name != kProgramName) {
    return Failed("process ", pid, ", which ", pid_file, " names, is no nats-server but ", name);
  }
  if (kill(pid, SIGHUP) != 0) {
    return Failed("cannot signal process ", pid, ": ", std::string_view(std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace jetd::tenant
