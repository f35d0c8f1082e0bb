// SPDX-License-Identifier: Apache-2.0
#include "tenant/static_server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "base/pem_files.h"
#include "base/strings.h"
#include "jetstream/bucket_access.h"
#include "tenant/atomic_file.h"

namespace jetd::tenant {
namespace {

using std::chrono::steady_clock;

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

// Takes what the program writes until it has closed its end, for as long as there is time.
void ReadOutput(int fd, steady_clock::time_point deadline, std::string* output) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) return;
    pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, static_cast<int>(left.count())) <= 0) continue;
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got == 0 || (got < 0 && errno != EINTR)) return;
    if (got > 0 && output->size() < kMaxOutputBytes) {
      output->append(buffer.data(), static_cast<size_t>(got));
    }
  }
}

// Ends it if there is no time left. True: it has ended by itself.
bool WaitFor(pid_t pid, steady_clock::time_point deadline, int* status) {
  while (waitpid(pid, status, WNOHANG) == 0) {
    if (steady_clock::now() >= deadline) {
      kill(pid, SIGKILL);
      while (waitpid(pid, status, 0) < 0 && errno == EINTR) {
      }
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

absl::StatusOr<Ended> RunProgram(std::vector<std::string> words,
                                 std::chrono::milliseconds patience) {
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
  if (error != 0) {
    close(ends[0]);
    return Failed("cannot run ", words[0], ": ", std::string_view(std::strerror(error)));
  }
  const auto deadline = steady_clock::now() + patience;
  Ended ended;
  ReadOutput(ends[0], deadline, &ended.output);
  close(ends[0]);
  int status = 0;
  if (!WaitFor(pid, deadline, &status)) {
    return Failed(words[0], " was not through after ", patience.count(), " ms");
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
    if (tenant.going) continue;
    const AccountLimits& limits = tenant.limits;
    CatTo(text, "\"", name, "\": {\n  jetstream: { max_memory: 0, max_file: ", limits.storage_bytes,
          ", max_streams: ", limits.streams, ", max_consumers: ", limits.consumers,
          " }\n  users: [ ");
    const jetstream::Permissions permissions = jetstream::PermissionsOf(tenant.bucket);
    for (const std::string& user : {tenant.user, tenant.next_user}) {
      if (user.empty()) continue;
      CatTo(text, user == tenant.user ? "{" : ", {", "\n    nkey: ", user,
            "\n    permissions: {\n");
      AppendList(text, "publish", permissions.publish);
      AppendList(text, "subscribe", permissions.subscribe);
      text += "    }\n  } ";
    }
    text += "]\n}\n";
  }
  return text;
}

absl::Status CheckAccounts(const std::string& nats_server, const std::string& folder,
                           const std::string& accounts_text, std::chrono::milliseconds patience) {
  const std::string accounts = folder + "/check-tenants.conf";
  const std::string whole = folder + "/check-nats.conf";
  absl::Status status = WriteFileAtomically(accounts, accounts_text, kSecretFile);
  if (status.ok()) {
    status = WriteFileAtomically(whole, "accounts {\n  include \"check-tenants.conf\"\n}\n",
                                 kSecretFile);
  }
  if (status.ok()) {
    const auto ended = RunProgram({nats_server, "-t", "-c", whole}, patience);
    if (!ended.ok()) {
      status = Failed("nothing was changed: ", MessageOf(ended.status()));
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
