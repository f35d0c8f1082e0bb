// SPDX-License-Identifier: Apache-2.0
// What kine with NATS got wrong when it was measured, each as a test that jetd passes. A real etcd
// passes them too, which shows that the tests ask for what etcd does.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/strings.h"
#include "conformance/range_end.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

using etcdclient::CallOptions;
using etcdclient::Client;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using etcdclient::WatchStream;
using std::chrono::milliseconds;
using testing::ElementsAre;
namespace pb = etcdclient::pb;

// Far longer than anything takes on a slow machine: where it runs out, something hangs.
constexpr milliseconds kPatience{60'000};
constexpr CallOptions kPatient{.timeout = kPatience,
                               .unreachable = CallOptions::Unreachable::kWait};

class KineBugsTest : public testing::TestWithParam<ServerKind> {
 protected:
  void SetUp() override {
    const auto program = ServerProcess::Find(GetParam());
    if (!program.ok()) GTEST_SKIP() << program.status();
    auto server = ServerProcess::Start({.kind = GetParam(), .program = *program});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    const absl::Status ready = server_->WaitReady(kPatience);
    ASSERT_TRUE(ready.ok()) << ready;
    client_ = Connect();
  }
  void TearDown() override {
    if (HasFailure() && server_ != nullptr) std::cerr << server_->LogTail() << "\n";
  }

  std::unique_ptr<Client> Connect() {
    auto client = server_->Connect();
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? *std::move(client) : nullptr;
  }

  // The revision of the put.
  int64_t Put(const std::string& key, const std::string& value, int64_t lease = 0) {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lease(lease);
    const auto response = client_->Call(request, kPatient);
    EXPECT_TRUE(response.ok()) << key << ": " << response.status();
    return response.ok() ? response->header().revision() : 0;
  }

  // The same while nats-server starts, for which jetd lets nobody wait for long.
  int64_t PutInTime(const std::string& key, const std::string& value) {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    pb::RangeRequest range;
    range.set_key(key);
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
      const auto response = client_->Call(request, kPatient);
      if (response.ok()) return response->header().revision();
      absl::StatusOr<pb::RangeResponse> read;
      do read = client_->Call(range, kPatient);
      while (absl::IsUnavailable(read.status()) && std::chrono::steady_clock::now() < end);
      // It may have happened.
      if (read.ok() && read->kvs_size() == 1 && read->kvs(0).value() == value) {
        return read->kvs(0).mod_revision();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a poll of another process
    }
    ADD_FAILURE() << key << ": it is not taken";
    return 0;
  }

  pb::RangeResponse Range(const std::string& key, const std::string& end = "",
                          int64_t revision = 0) {
    pb::RangeRequest request;
    request.set_key(key);
    request.set_range_end(end);
    request.set_revision(revision);
    const auto response = client_->Call(request, kPatient);
    EXPECT_TRUE(response.ok()) << key << ": " << response.status();
    return response.ok() ? *response : pb::RangeResponse();
  }

  std::unique_ptr<WatchStream> Watch(const std::string& key, const std::string& end = "",
                                     int64_t start_revision = 0) {
    auto stream = client_->OpenWatch();
    pb::WatchRequest request;
    request.mutable_create_request()->set_key(key);
    request.mutable_create_request()->set_range_end(end);
    request.mutable_create_request()->set_start_revision(start_revision);
    stream->Send(std::move(request));
    const auto created = stream->Next(kPatience);
    EXPECT_TRUE(created.ok() && created->created()) << created.status();
    return stream;
  }

  // Events as "key@revision", deletes with a "-" before them, until one of `revision` came.
  std::vector<std::string> EventsUntil(WatchStream& stream, int64_t revision) {
    std::vector<std::string> events;
    while (true) {
      const auto response = stream.Next(kPatience);
      if (!response.ok() || response->canceled()) {
        ADD_FAILURE() << "the watch ended: " << response.status();
        return events;
      }
      for (const auto& event : response->events()) {
        const bool gone = event.type() == mvccpb::Event::DELETE;
        events.push_back(Cat(gone ? "-" : "", event.kv().key(), "@", event.kv().mod_revision()));
        if (event.kv().mod_revision() >= revision) return events;
      }
    }
  }

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Client> client_;
};

void AddCompare(pb::TxnRequest& txn, const std::string& key, int64_t version) {
  pb::Compare& compare = *txn.add_compare();
  compare.set_target(pb::Compare::VERSION);
  compare.set_result(pb::Compare::EQUAL);
  compare.set_key(key);
  compare.set_version(version);
}
void AddPut(pb::TxnRequest& txn, const std::string& key, const std::string& value) {
  pb::PutRequest& put = *txn.add_success()->mutable_request_put();
  put.set_key(key);
  put.set_value(value);
}

// kine knew three shapes of transaction, those of kube-apiserver.
TEST_P(KineBugsTest, TransactionsOfAnyShape) {
  const int64_t before = Put("a", "0");
  // No compare, three kinds of operation in one.
  pb::TxnRequest txn;
  AddPut(txn, "b", "1");
  AddPut(txn, "c", "1");
  txn.add_success()->mutable_request_range()->set_key("b");
  txn.add_success()->mutable_request_delete_range()->set_key("a");
  auto done = client_->Call(txn, kPatient);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_TRUE(done->succeeded());
  EXPECT_EQ(done->header().revision(), before + 1);
  ASSERT_EQ(done->responses_size(), 4);
  EXPECT_EQ(done->responses(2).response_range().kvs(0).value(), "1");
  EXPECT_EQ(done->responses(3).response_delete_range().deleted(), 1);
  // Several compares of several targets, over a range too; a nested transaction; an else branch.
  txn.Clear();
  AddCompare(txn, "b", 1);
  pb::Compare& value = *txn.add_compare();
  value.set_target(pb::Compare::VALUE);
  value.set_result(pb::Compare::NOT_EQUAL);
  value.set_key("c");
  value.set_value("2");
  pb::Compare& created = *txn.add_compare();
  created.set_target(pb::Compare::CREATE);
  created.set_result(pb::Compare::GREATER);
  created.set_key("b");
  created.set_range_end("d");
  created.set_create_revision(before);
  pb::TxnRequest& nested = *txn.add_success()->mutable_request_txn();
  AddCompare(nested, "a", 0);
  AddPut(nested, "d", "nested");
  nested.add_failure()->mutable_request_range()->set_key("never");
  txn.add_failure()->mutable_request_range()->set_key("a");
  done = client_->Call(txn, kPatient);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_TRUE(done->succeeded());
  EXPECT_TRUE(done->responses(0).response_txn().succeeded());
  EXPECT_EQ(Range("d").kvs(0).value(), "nested");
  // A branch with nothing in it.
  txn.Clear();
  AddCompare(txn, "b", 7);
  AddPut(txn, "b", "never");
  done = client_->Call(txn, kPatient);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_FALSE(done->succeeded());
  EXPECT_EQ(done->responses_size(), 0);
  EXPECT_EQ(done->header().revision(), before + 2);
}

// kine kept ten versions of a key and answered nothing, without an error, for older ones.
TEST_P(KineBugsTest, HistoryBeyondTenVersions) {
  std::vector<int64_t> revisions;
  for (int i = 0; i < 40; ++i) revisions.push_back(Put("hot", Cat(i)));
  for (int i = 0; i < 40; ++i) {
    const pb::RangeResponse then = Range("hot", "", revisions[static_cast<size_t>(i)]);
    ASSERT_EQ(then.kvs_size(), 1) << i;
    EXPECT_EQ(then.kvs(0).value(), Cat(i));
    EXPECT_EQ(then.kvs(0).version(), i + 1);
    EXPECT_EQ(then.kvs(0).mod_revision(), revisions[static_cast<size_t>(i)]);
  }
  const auto stream = Watch("hot", "", revisions[0]);
  EXPECT_EQ(EventsUntil(*stream, revisions.back()).size(), 40U);
}

// kine lost a key from a list while it was being written.
TEST_P(KineBugsTest, AHotKeyIsInEveryList) {
  for (int i = 0; i < 50; ++i) Put(Cat("/list/", 100 + i), "x");
  Put("/list/hot", "0");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    const auto client = Connect();
    pb::PutRequest request;
    request.set_key("/list/hot");
    for (int i = 1; !stop; ++i) {
      request.set_value(Cat(i));
      EXPECT_TRUE(client->Call(request, kPatient).ok());
    }
  });
  int64_t newest = 0;
  for (int i = 0; i < 300; ++i) {
    const pb::RangeResponse list = Range("/list/", PrefixEnd("/list/"));
    ASSERT_EQ(list.kvs_size(), 51) << "list " << i;
    EXPECT_EQ(list.count(), 51);
    const auto& hot = list.kvs(50);
    EXPECT_EQ(hot.key(), "/list/hot");
    EXPECT_GE(hot.mod_revision(), newest);
    newest = hot.mod_revision();
  }
  stop = true;
  writer.join();
}

// kine declared progress for revisions whose events it had not sent.
TEST_P(KineBugsTest, ProgressIsNeverAheadOfEvents) {
  const auto stream = Watch("/p/", PrefixEnd("/p/"));
  constexpr int kWrites = 1000;
  std::atomic<int64_t> last{0};
  std::thread writer([&] {
    const auto client = Connect();
    pb::PutRequest request;
    request.set_key("/p/a");
    int64_t revision = 0;
    for (int i = 0; i < kWrites; ++i) {
      request.set_value(Cat(i));
      const auto response = client->Call(request, kPatient);
      EXPECT_TRUE(response.ok()) << response.status();
      if (response.ok()) revision = response->header().revision();
    }
    last = revision;
  });
  int64_t complete = 0;
  int64_t newest = 0;
  int events = 0;
  int answers = 0;
  while (last == 0 || newest < last) {
    pb::WatchRequest progress;
    progress.mutable_progress_request();
    stream->Send(std::move(progress));
    const auto response = stream->Next(kPatience);
    ASSERT_TRUE(response.ok()) << response.status();
    if (response->events().empty()) {
      ++answers;
      complete = std::max(complete, response->header().revision());
    }
    for (const auto& event : response->events()) {
      EXPECT_GT(event.kv().mod_revision(), complete);
      EXPECT_GT(event.kv().mod_revision(), newest);
      newest = event.kv().mod_revision();
      ++events;
    }
  }
  writer.join();
  EXPECT_EQ(events, kWrites);
  EXPECT_GT(answers, 0);
}

// kine took a watch of one key for one of a prefix.
TEST_P(KineBugsTest, AWatchOfOneKeyDeliversNoSiblings) {
  const auto stream = Watch("/w/b");
  const int64_t first = Put("/w/b", "1");
  Put("/w/bc", "sibling");
  Put("/w/b/c", "child");
  Put("/w/a", "before");
  Put("/w/", "parent");
  Put(std::string("/w/b\0", 5), "next");
  const int64_t last = Put("/w/b", "2");
  EXPECT_THAT(EventsUntil(*stream, last), ElementsAre(Cat("/w/b@", first), Cat("/w/b@", last)));
}

std::vector<pid_t> NatsServersOf(const ServerProcess& server) {
  std::vector<pid_t> found;
  for (const pid_t pid : server.Descendants()) {
    std::ifstream in(Cat("/proc/", pid, "/comm"));
    std::string name;
    std::getline(in, name);
    if (name == "nats-server") found.push_back(pid);
  }
  return found;
}

// kine delivered events again when its consumers were made anew.
TEST_P(KineBugsTest, NoEventTwiceAfterARestartOfNats) {
  if (GetParam() == ServerKind::kEtcd) GTEST_SKIP() << "etcd has no nats-server";
  const auto stream = Watch("/n/", PrefixEnd("/n/"));
  std::vector<std::string> expected;
  const auto put = [&] {
    expected.push_back(Cat("/n/a@", PutInTime("/n/a", Cat(expected.size()))));
  };
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) put();
    const std::vector<pid_t> nats = NatsServersOf(*server_);
    ASSERT_EQ(nats.size(), 1U);
    kill(nats[0], SIGKILL);
    for (int i = 0; i < 20; ++i) put();  // the first of them wait for the new one
  }
  EXPECT_EQ(EventsUntil(*stream, Range("/n/a").kvs(0).mod_revision()), expected);
}

// kine accepted it, and every read after that failed.
TEST_P(KineBugsTest, CompactingAFutureRevisionIsRefused) {
  const int64_t now = Put("a", "1");
  pb::CompactionRequest compact;
  for (const int64_t revision : {now + 1, now + 1000, INT64_MAX}) {
    compact.set_revision(revision);
    const absl::Status status = client_->Call(compact, kPatient).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(MessageOf(status), "etcdserver: mvcc: required revision is a future revision");
  }
  EXPECT_EQ(Range("a").kvs(0).value(), "1");
  EXPECT_EQ(Put("a", "2"), now + 1);
  compact.set_revision(now + 1);
  EXPECT_TRUE(client_->Call(compact, kPatient).ok());
  EXPECT_EQ(Range("a").kvs(0).value(), "2");
  EXPECT_EQ(Put("a", "3"), now + 2);
}

// kine forgot its leases when it was started anew: keys with one stayed for ever.
TEST_P(KineBugsTest, LeasesExpireAfterARestart) {
  Put("/l/plain", "1");
  pb::LeaseGrantRequest grant;
  grant.set_ttl(2);
  absl::StatusOr<pb::LeaseGrantResponse> lease;
  pb::PutRequest leased;
  leased.set_key("/l/leased");
  leased.set_value("1");
  absl::StatusOr<pb::PutResponse> taken;
  do {  // anew where it runs out before it is needed
    lease = client_->Call(grant, kPatient);
    ASSERT_TRUE(lease.ok()) << lease.status();
    leased.set_lease(lease->id());
    taken = client_->Call(leased, kPatient);
  } while (absl::IsNotFound(taken.status()));
  ASSERT_TRUE(taken.ok()) << taken.status();
  const int64_t put = taken->header().revision();
  server_->Kill(ServerProcess::Scope::kProcess);
  ASSERT_TRUE(server_->Restart().ok());
  ASSERT_TRUE(server_->WaitReady(kPatience).ok());
  const auto stream = Watch("/l/", PrefixEnd("/l/"), put + 1);
  EXPECT_THAT(EventsUntil(*stream, put + 1), ElementsAre(Cat("-/l/leased@", put + 1)));
  pb::LeaseTimeToLiveRequest request;
  request.set_id(lease->id());
  const auto left = client_->Call(request, kPatient);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->ttl(), -1);
  EXPECT_EQ(Range("/l/", PrefixEnd("/l/")).kvs_size(), 1);
}

// kine refused them: base64 in JSON under NATS's 1 MB.
TEST_P(KineBugsTest, ValuesUpToTheRequestLimit) {
  constexpr size_t kLimit = 1536 * 1024;
  std::map<std::string, std::string> values;
  for (const size_t size :
       {size_t{750 * 1024}, size_t{800 * 1024}, size_t{1024 * 1024}, kLimit - 1024}) {
    std::string value(size, '\0');
    for (size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 31 + i / 256);
    values[Cat("/v/", size)] = std::move(value);
  }
  const int64_t start = Put("/v", "before") + 1;
  int64_t last = 0;
  for (const auto& [key, value] : values) last = Put(key, value);
  for (const auto& [key, value] : values) {
    const pb::RangeResponse answer = Range(key);
    ASSERT_EQ(answer.kvs_size(), 1) << key;
    EXPECT_TRUE(answer.kvs(0).value() == value) << key;
  }
  EXPECT_EQ(Range("/v/", PrefixEnd("/v/")).kvs_size(), 4);
  const auto stream = Watch("/v/", PrefixEnd("/v/"), start);
  EXPECT_EQ(EventsUntil(*stream, last).size(), 4U);
  ASSERT_TRUE(server_->Stop(kPatience).ok());
  ASSERT_TRUE(server_->Restart().ok());
  for (const auto& [key, value] : values) {
    EXPECT_TRUE(Range(key).kvs(0).value() == value) << key;
  }
  pb::PutRequest beyond;
  beyond.set_key("beyond");
  beyond.set_value(std::string(kLimit + 1, 'x'));
  EXPECT_EQ(MessageOf(client_->Call(beyond, kPatient).status()),
            "etcdserver: request is too large");
}

// kine wrote the key once more before it deleted it.
TEST_P(KineBugsTest, ADeleteCostsOneRevision) {
  const int64_t put = Put("/d/a", "1");
  const auto stream = Watch("/d/", PrefixEnd("/d/"), put);
  pb::DeleteRangeRequest request;
  request.set_key("/d/a");
  request.set_prev_kv(true);
  auto deleted = client_->Call(request, kPatient);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->header().revision(), put + 1);
  EXPECT_EQ(deleted->deleted(), 1);
  EXPECT_EQ(deleted->prev_kvs(0).mod_revision(), put);
  deleted = client_->Call(request, kPatient);  // nothing is there: no revision at all
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->header().revision(), put + 1);
  EXPECT_EQ(deleted->deleted(), 0);
  const int64_t again = Put("/d/a", "2");
  EXPECT_EQ(again, put + 2);
  EXPECT_EQ(Range("/d/a").kvs(0).create_revision(), again);
  EXPECT_THAT(EventsUntil(*stream, again),
              ElementsAre(Cat("/d/a@", put), Cat("-/d/a@", put + 1), Cat("/d/a@", again)));
}

// Between two kines on one NATS, 134 of 1,500 reads were stale. Here two connections.
TEST_P(KineBugsTest, AReadSeesWhatWasAnsweredBefore) {
  const auto other = Connect();
  pb::RangeRequest request;
  request.set_key("counter");
  for (int i = 0; i < 1500; ++i) {
    const int64_t written = Put("counter", Cat(i));
    const auto read = other->Call(request, kPatient);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->kvs(0).value(), Cat(i));
    ASSERT_GE(read->header().revision(), written);
  }
}

INSTANTIATE_TEST_SUITE_P(On, KineBugsTest, testing::Values(ServerKind::kEtcd, ServerKind::kJetd),
                         [](const auto& info) {
                           return info.param == ServerKind::kEtcd ? "Etcd" : "Jetd";
                         });

}  // namespace
}  // namespace jetd::conformance
