// SPDX-License-Identifier: Apache-2.0
//
// For tests: a store that is served, as its client has written it down.
#ifndef JETD_CLI_STORE_HARNESS_H_
#define JETD_CLI_STORE_HARNESS_H_

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gtest/gtest.h"

namespace jetd::cli {

namespace pb = etcdclient::pb;

// So long that only what hangs runs out of it: a disk that stands still for ten seconds does not.
inline constexpr etcdclient::CallOptions kPatient{.timeout = std::chrono::seconds(90)};

// Value, create and mod revision, version, lease.
using SeenKey = std::tuple<std::string, int64_t, int64_t, int64_t, int64_t>;
using SeenKeys = std::map<std::string, SeenKey>;

inline SeenKeys KeysOf(etcdclient::Client* client, int64_t revision = 0) {
  pb::RangeRequest all;
  all.set_key(std::string("\0", 1));
  all.set_range_end(std::string("\0", 1));
  all.set_revision(revision);
  const auto answer = client->Call(all, kPatient);
  JETD_CHECK(answer.ok()) << answer.status();
  SeenKeys keys;
  for (const auto& kv : answer->kvs()) {
    keys[kv.key()] = {kv.value(), kv.create_revision(), kv.mod_revision(), kv.version(),
                      kv.lease()};
  }
  return keys;
}

inline int64_t RevisionOf(etcdclient::Client* client) {
  pb::RangeRequest one;
  one.set_key("/");
  const auto answer = client->Call(one, kPatient);
  JETD_CHECK(answer.ok()) << answer.status();
  return answer->header().revision();
}

inline int64_t Put(etcdclient::Client* client, const std::string& key, const std::string& value,
                   int64_t lease = 0) {
  pb::PutRequest put;
  put.set_key(key);
  put.set_value(value);
  put.set_lease(lease);
  const auto answer = client->Call(put, kPatient);
  JETD_CHECK(answer.ok()) << answer.status();
  return answer->header().revision();
}

inline int64_t DeletePrefix(etcdclient::Client* client, const std::string& prefix) {
  pb::DeleteRangeRequest request;
  request.set_key(prefix);
  std::string end = prefix;
  ++end.back();
  request.set_range_end(end);
  const auto answer = client->Call(request, kPatient);
  JETD_CHECK(answer.ok()) << answer.status();
  return answer->header().revision();
}

// Writes at random and keeps its own record of every revision.
class RecordedLife {
 public:
  RecordedLife(etcdclient::Client* client, uint64_t seed) : client_(client), random_(seed) {
    pb::LeaseGrantRequest grant;
    grant.set_id(kLease);
    grant.set_ttl(3'600);
    JETD_CHECK(client_->Call(grant, kPatient).ok());
    states_[1] = {};
  }
  static constexpr int64_t kLease = 4'711;

  void Step() {
    pb::TxnRequest txn;
    std::map<std::string, int> used;
    const auto any = [this] { return Cat("/registry/things/", random_() % 40, ".\xff"); };
    for (uint64_t n = 1 + random_() % 3; n > 0; --n) {
      const std::string key = any();
      if (used[key]++ > 0) continue;
      if (random_() % 4 == 0) {
        txn.add_success()->mutable_request_delete_range()->set_key(key);
        now_.erase(key);
        continue;
      }
      pb::PutRequest* const put = txn.add_success()->mutable_request_put();
      put->set_key(key);
      put->set_value(std::string(random_() % 300, static_cast<char>('a' + random_() % 26)));
      put->set_lease(random_() % 5 == 0 ? kLease : 0);
      puts_.push_back(*put);
    }
    const auto answer = client_->Call(txn, kPatient);
    JETD_CHECK(answer.ok()) << answer.status();
    const int64_t revision = answer->header().revision();
    for (const pb::PutRequest& put : std::exchange(puts_, {})) {
      auto& [value, create, mod, version, lease] = now_[put.key()];
      value = put.value();
      if (version++ == 0) create = revision;
      mod = revision;
      lease = put.lease();
    }
    states_[revision] = now_;
  }
  // What there was at each revision.
  [[nodiscard]] const std::map<int64_t, SeenKeys>& states() const { return states_; }

 private:
  etcdclient::Client* const client_;
  std::mt19937_64 random_;
  SeenKeys now_;
  std::vector<pb::PutRequest> puts_;
  std::map<int64_t, SeenKeys> states_;
};

// A program that is started and may be killed; its output goes nowhere.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    std::vector<char*> pointers;
    pointers.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_ = fork();
    JETD_CHECK(pid_ >= 0) << "fork";
    if (pid_ == 0) {
      execv(pointers[0], pointers.data());
      _exit(127);
    }
  }
  ~Child() { (void)Wait(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Signal(int number) const {
    if (pid_ > 0) kill(pid_, number);
  }
  // -1: by a signal.
  int Wait() {
    if (pid_ <= 0) return status_;
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = -1;
  int status_ = -1;
};

// Of all files in a folder; 0 if there is none.
inline uint64_t BytesIn(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(folder, error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    const uint64_t size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

inline std::unique_ptr<etcdclient::ServerProcess> StartStore(etcdclient::ServerKind kind,
                                                             const std::string& data_dir = {}) {
  const auto program = etcdclient::ServerProcess::Find(kind);
  if (!program.ok()) return nullptr;
  auto server =
      etcdclient::ServerProcess::Start({.kind = kind, .program = *program, .data_dir = data_dir});
  JETD_CHECK(server.ok()) << server.status();
  const absl::Status ready = (*server)->WaitReady(std::chrono::seconds(60));
  JETD_CHECK(ready.ok()) << ready << (*server)->LogTail();
  return *std::move(server);
}

// With a jetd of its own and a client of it; skipped without JETD_BIN.
class ServedStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("JETD_DATA_DIR");
    unsetenv("JETD_NATS_URL");
    log::Init({.level = log::Level::kError});
    server_ = StartStore(etcdclient::ServerKind::kJetd);
    if (server_ == nullptr) GTEST_SKIP() << "JETD_BIN names no jetd";
    auto client = server_->Connect();
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }
  [[nodiscard]] std::string Source() const { return Cat("--data-dir=", server_->data_dir()); }
  [[nodiscard]] std::string Endpoints() const { return Cat("--endpoints=", server_->endpoint()); }

  std::unique_ptr<etcdclient::ServerProcess> server_;
  std::unique_ptr<etcdclient::Client> client_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_STORE_HARNESS_H_
