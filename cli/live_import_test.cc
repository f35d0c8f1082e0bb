// SPDX-License-Identifier: Apache-2.0
//
// jetctl import of stores that run and are written to: of a real etcd, and of a kine with its
// faults.
#include "cli/live_import.h"

#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "cli/command_harness.h"
#include "cli/store_harness.h"
#include "etcdclient/testing/fake_kine.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using etcdclient::FakeKine;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using nlohmann::json;

constexpr int64_t kBump = 50'000;
constexpr char kGoneOn[] = "the old store has gone on to revision";

// Whoever writes until it is told to stop.
class Writer {
 public:
  explicit Writer(std::function<void()> step)
      : thread_([this, step = std::move(step)] {
          while (!stop_) {
            step();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a pace of writing
          }
        }) {}
  ~Writer() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class LiveImportTest : public testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    if (!ServerProcess::Find(ServerKind::kJetd).ok()) GTEST_SKIP() << "JETD_BIN is not set";
  }

  [[nodiscard]] std::vector<std::string> Command(const std::string& endpoint,
                                                 const std::vector<std::string>& more) const {
    std::vector<std::string> command = {"import", Cat("--from-endpoints=", endpoint),
                                        Cat("--to-data-dir=", target_), Cat("--bump=", kBump),
                                        "--output=json"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  [[nodiscard]] static json Told(const Ran& ran) {
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.messages;
    return json::parse(ran.results, nullptr, false);
  }
  // With that process the command runs on its own, to be killed or told.
  [[nodiscard]] static std::vector<std::string> AsProcess(std::vector<std::string> command) {
    const char* const jetctl = std::getenv("JETCTL_BIN");
    JETD_CHECK(jetctl != nullptr) << "JETCTL_BIN is not set";
    command.insert(command.begin(), jetctl);
    return command;
  }

  // The same with its results in a file.
  [[nodiscard]] static std::vector<std::string> AsProcess(const std::vector<std::string>& command,
                                                          const std::string& results) {
    std::vector<std::string> shell = {"/bin/sh", "-c", Cat("exec \"$0\" \"$@\" >", results)};
    const std::vector<std::string> words = AsProcess(command);
    shell.insert(shell.end(), words.begin(), words.end());
    return shell;
  }

  const ScratchFolder folder_{ScratchFolder::kOnDisk};
  const std::string target_ = folder_ / "imported";
};

// Written to while it is read, killed on the way, followed until nothing changes any more.
TEST_F(LiveImportTest, AnEtcdThatRuns) {
  const auto old = StartStore(ServerKind::kEtcd);
  if (old == nullptr) GTEST_SKIP() << "JETD_ETCD is not set";
  const auto client = old->Connect();
  ASSERT_TRUE(client.ok());
  RecordedLife life(client->get(), 4);
  for (int i = 0; i < 500; ++i) life.Step();
  Writer writer([&] { life.Step(); });
  const auto follow = Command(old->endpoint(), {"--follow"});
  {
    Child killed(AsProcess(follow));
    // All keys, and some of what came since.
    while (BytesIn(target_ + "/nats") < 40'000) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a poll of another process
    }
    killed.Signal(SIGKILL);
    EXPECT_EQ(killed.Wait(), -1);
  }
  // It is told of the end: an etcd whose disk stands still for a while is idle too.
  const std::string results = folder_ / "results";
  Child child(AsProcess(follow, results));
  std::this_thread::sleep_for(std::chrono::seconds(2));  // some of it while it follows
  writer.Stop();
  child.Signal(SIGTERM);
  const auto command = Command(old->endpoint(), {"--follow", "--until-idle=1s"});
  json told;
  if (child.Wait() == kExitOk) {
    std::ifstream file(results);
    told = json::parse(file, nullptr, false);
    RecordProperty("changes_followed", told["changes_followed"].dump());
  } else {  // so slow a machine that it had not read all keys
    told = Told(Jetctl(command));
  }
  EXPECT_EQ(told["checked"], true);
  EXPECT_EQ(told["written_anew"], 0) << told;
  EXPECT_GT(told["records_found"].get<int>(), 40) << told;
  const SeenKeys keys = KeysOf(client->get());
  EXPECT_EQ(told["keys"], keys.size());
  EXPECT_EQ(told["leases"], 1);
  EXPECT_EQ(told["cut_over_revision"], RevisionOf(client->get()));
  EXPECT_EQ(told["old_store_revision"], told["cut_over_revision"]);
  EXPECT_TRUE(keys == life.states().rbegin()->second);
  {
    const auto jetd = StartStore(ServerKind::kJetd, target_);
    const auto imported = jetd->Connect();
    EXPECT_TRUE(KeysOf(imported->get()) == keys);
    EXPECT_EQ(RevisionOf(imported->get()), told["revision"].get<int64_t>());
    EXPECT_GT(RevisionOf(imported->get()), RevisionOf(client->get()));
    // Keys are on their lease, whenever they came to it.
    pb::LeaseRevokeRequest revoke;
    revoke.set_id(RecordedLife::kLease);
    EXPECT_TRUE((*imported)->Call(revoke, kPatient).ok());
    size_t without = 0;
    for (const auto& [key, seen] : keys) without += std::get<4>(seen) == 0 ? 1 : 0;
    EXPECT_EQ(KeysOf(imported->get()).size(), without);
  }
  // A jetd has served it: it need not be the same any more.
  const Ran again = Jetctl(command);
  EXPECT_EQ(again.exit_code, kExitFailed);
  EXPECT_NE(again.messages.find("has been written to since"), std::string::npos) << again.messages;
}

// As a user does it: ^C, and one of the leases came and another one went meanwhile.
TEST_F(LiveImportTest, ASignalCutsOver) {
  const auto old = StartStore(ServerKind::kEtcd);
  if (old == nullptr) GTEST_SKIP() << "JETD_ETCD is not set";
  const auto client = old->Connect();
  const auto grant = [&](int64_t id) {
    pb::LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(1'000 + id);
    ASSERT_TRUE((*client)->Call(request, kPatient).ok());
  };
  grant(1);
  grant(2);
  Put(client->get(), "/registry/a", "1", 1);
  Put(client->get(), "/registry/b", "1", 2);
  Put(client->get(), "/other", "1");
  const auto command = Command(old->endpoint(), {"--follow", "--from-prefix=/registry/"});
  Child child(AsProcess(command));
  while (BytesIn(target_ + "/nats") < 1'000) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a poll of another process
  }
  grant(3);
  grant(4);
  Put(client->get(), "/registry/a", "2", 3);
  Put(client->get(), "/other", "2");
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(2);
  ASSERT_TRUE((*client)->Call(revoke, kPatient).ok());
  child.Signal(SIGTERM);
  // Before all keys were read it says that nothing was done; then once more does it.
  if (child.Wait() != kExitOk) {
    const json told = Told(Jetctl(Command(old->endpoint(), {"--from-prefix=/registry/"})));
    EXPECT_EQ(told["keys"], 1);
  }
  SeenKeys wanted = KeysOf(client->get());
  wanted.erase("/other");
  const auto jetd = StartStore(ServerKind::kJetd, target_);
  const auto imported = jetd->Connect();
  EXPECT_TRUE(KeysOf(imported->get()) == wanted);
  for (const int64_t id : {1, 2, 3, 4}) {
    pb::LeaseTimeToLiveRequest lease;
    lease.set_id(id);
    EXPECT_EQ((*imported)->Call(lease, kPatient)->grantedttl(), id == 2 ? 0 : 1'000 + id) << id;
  }
}

TEST_F(LiveImportTest, OneRevision) {
  const auto old = StartStore(ServerKind::kEtcd);
  if (old == nullptr) GTEST_SKIP() << "JETD_ETCD is not set";
  const auto client = old->Connect();
  RecordedLife life(client->get(), 5);
  for (int i = 0; i < 200; ++i) life.Step();
  const auto [until, keys] = *life.states().rbegin();
  const json dry = Told(Jetctl(Command(old->endpoint(), {"--dry-run"})));
  EXPECT_EQ(dry["keys"], keys.size());
  for (int i = 0; i < 50; ++i) life.Step();
  // Nobody is at the first of the endpoints.
  const Ran ran = Jetctl(Command(Cat("http://127.0.0.1:1,", old->endpoint()),
                                 {"--follow", Cat("--until-revision=", until)}));
  EXPECT_EQ(Told(ran)["cut_over_revision"], until);
  EXPECT_NE(ran.messages.find(kGoneOn), std::string::npos) << ran.messages;
  const auto jetd = StartStore(ServerKind::kJetd, target_);
  const auto imported = jetd->Connect();
  EXPECT_TRUE(KeysOf(imported->get()) == keys);
}

// A revision of the past, which later ones do not touch.
TEST_F(LiveImportTest, UpToARevision) {
  const auto old = StartStore(ServerKind::kEtcd);
  if (old == nullptr) GTEST_SKIP() << "JETD_ETCD is not set";
  const auto client = old->Connect();
  RecordedLife life(client->get(), 6);
  for (int i = 0; i < 100; ++i) life.Step();
  const int64_t until = RevisionOf(client->get()) + 200;
  Writer writer([&] { life.Step(); });
  const Ran ran = Jetctl(Command(old->endpoint(), {"--follow", Cat("--until-revision=", until)}));
  writer.Stop();
  const json told = Told(ran);
  EXPECT_EQ(told["cut_over_revision"], until);
  const bool said = ran.messages.find(kGoneOn) != std::string::npos;
  EXPECT_EQ(said, told["old_store_revision"].get<int64_t>() > until) << ran.messages;
  auto state = life.states().upper_bound(until);
  const auto jetd = StartStore(ServerKind::kJetd, target_);
  const auto imported = jetd->Connect();
  EXPECT_TRUE(KeysOf(imported->get()) == std::prev(state)->second);
}

TEST_F(LiveImportTest, AUserWithAPassword) {
  const auto old = StartStore(ServerKind::kEtcd);
  const char* const etcdctl = std::getenv("JETD_ETCDCTL");
  if (old == nullptr || etcdctl == nullptr) GTEST_SKIP() << "JETD_ETCD, JETD_ETCDCTL are not set";
  const auto client = old->Connect();
  Put(client->get(), "/registry/a", "1");
  const auto ctl = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {etcdctl, Cat("--endpoints=", old->endpoint())});
    EXPECT_EQ(Child(words).Wait(), 0) << words.back();
  };
  ctl({"user", "add", "root:secret"});
  ctl({"user", "grant-role", "root", "root"});
  ctl({"auth", "enable"});
  const Ran nobody = Jetctl(Command(old->endpoint(), {}));
  EXPECT_EQ(nobody.exit_code, kExitFailed);
  EXPECT_NE(nobody.messages.find("user name is empty"), std::string::npos) << nobody.messages;
  const Ran wrong = Jetctl(Command(old->endpoint(), {"--from-user=root:wrong"}));
  EXPECT_EQ(wrong.exit_code, kExitFailed);
  EXPECT_NE(wrong.messages.find("authentication failed"), std::string::npos) << wrong.messages;
  const json told = Told(
      Jetctl(Command(old->endpoint(), {"--from-user=root:secret", "--follow", "--until-idle=1s"})));
  EXPECT_EQ(told["keys"], 1);
}

// The move was put off, and the writers have gone on: the same command does not say that all is
// done.
TEST_F(LiveImportTest, AgainItIsComparedWithTheOldStore) {
  FakeKine kine({});
  int64_t imported = 0;
  for (int i = 0; i < 20; ++i) imported = kine.Put(Cat("/registry/", i), "value");
  const auto command = Command(kine.endpoint(), {});
  EXPECT_EQ(Told(Jetctl(command))["was_whole"], false);
  EXPECT_EQ(Told(Jetctl(command))["was_whole"], true);
  const std::vector<std::string> as_table = {"import", command[1], command[2], command[3]};
  const Ran again = Jetctl(as_table);
  EXPECT_NE(again.results.find(Cat(" holds revision ", imported, " of ")), std::string::npos)
      << again.results;
  EXPECT_NE(again.results.find(" already, 20 keys, hash "), std::string::npos) << again.results;
  const auto expect_refused = [&](int64_t newest) {
    const Ran again = Jetctl(command);
    EXPECT_EQ(again.exit_code, kExitFailed);
    EXPECT_EQ(again.results, "");
    const std::string line =
        Cat("its newest key of revision ", imported, ", and not what that holds at revision ",
            newest, "; remove the bucket and import again\n");
    EXPECT_NE(again.messages.find(line), std::string::npos) << again.messages;
  };
  expect_refused(kine.Put("/registry/7", "another"));
  // At the revision that was imported it is the same still.
  const Ran before =
      Jetctl(Command(kine.endpoint(), {"--follow", Cat("--until-revision=", imported)}));
  EXPECT_EQ(Told(before)["was_whole"], true);
  kine.Put("/registry/7", "value");
  expect_refused(kine.Delete("/registry/3"));
}

// ---- kine ---------------------------------------------------------------------------------------

struct KineCase {
  const char* name;
  FakeKine::Faults faults;
  bool anew;  // its watch told something wrong, and so all is written anew
};

void PrintTo(const KineCase& one, std::ostream* out) { *out << one.name; }

class KineImportTest : public LiveImportTest, public testing::WithParamInterface<KineCase> {};

// Whatever its watch tells, the new store is the old one in the end.
TEST_P(KineImportTest, IsNotFooled) {
  FakeKine kine(GetParam().faults);
  std::mt19937_64 random(7);
  const auto any = [&] { return Cat("/registry/things/", random() % 60); };
  const auto step = [&] {
    switch (random() % 8) {
      case 0:
        kine.Delete(any());
        break;
      case 1:
        kine.Skip();
        break;
      case 2:
        kine.Put(any(), "leased", 3'600);
        break;
      default:  // one key is changed far more often than the others
        kine.Put(random() % 3 == 0 ? any() : "/registry/hot", Cat("value ", random() % 1'000));
    }
  };
  for (int i = 0; i < 300; ++i) step();
  kine.Put("/registry/hot", "before");
  Writer writer(step);
  std::atomic<bool> over{false};
  std::thread end([&] {
    while (kine.watches() == 0 && !over) {                         // it reads what there is
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a poll of its watch
    }
    std::this_thread::sleep_for(std::chrono::seconds(3));  // most of it while it follows
    writer.Stop();
    kine.Delete("/registry/things/1");
    kine.Put("/registry/things/2", "last", 3'600);
    // So many that one of them is lost, where some are.
    for (int i = 0; i < 11; ++i) kine.Put(Cat("/registry/last/", i), "value");
    if (GetParam().faults.hides_a_key_once) kine.set_hides_a_key_once();
  });
  const Ran ran = Jetctl(Command(kine.endpoint(), {"--follow", "--until-idle=2s"}));
  over = true;
  end.join();
  const json told = Told(ran);
  EXPECT_EQ(told["checked"], true);
  EXPECT_EQ(told["written_anew"], GetParam().anew ? 1 : 0) << told;
  const auto client = etcdclient::Client::Connect({.endpoint = kine.endpoint()});
  pb::RangeRequest all;
  all.set_key("/");
  all.set_range_end("0");
  const auto wanted = (*client)->Call(all, kPatient);
  ASSERT_TRUE(wanted.ok()) << wanted.status();
  EXPECT_EQ(told["keys"], wanted->kvs_size());
  const auto jetd = StartStore(ServerKind::kJetd, target_);
  const auto imported = jetd->Connect();
  SeenKeys keys = KeysOf(imported->get());
  EXPECT_EQ(keys.size(), static_cast<size_t>(wanted->kvs_size()));
  for (const auto& kv : wanted->kvs()) {
    const auto& [value, create, mod, version, lease] = keys[kv.key()];
    EXPECT_EQ(value, kv.value()) << kv.key();
    EXPECT_EQ(mod, kv.mod_revision()) << kv.key();
    EXPECT_EQ(create, kv.create_revision()) << kv.key();
    EXPECT_EQ(lease, kv.lease()) << kv.key();
    EXPECT_GE(version, 1) << kv.key();
  }
  EXPECT_GT(RevisionOf(imported->get()), wanted->header().revision());
  pb::LeaseTimeToLiveRequest lease;
  lease.set_id(3'600);
  EXPECT_EQ((*imported)->Call(lease, kPatient)->grantedttl(), 3'600);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, KineImportTest,
    testing::Values(KineCase{"none", {}, false},
                    KineCase{"progress_ahead", {.progress_ahead = true}, false},
                    KineCase{"repeats", {.repeat_every = 5, .break_every = 60}, false},
                    KineCase{"siblings", {.sibling_every = 7}, false},
                    KineCase{"loses", {.lose_every = 11}, true},
                    KineCase{"hides_a_key", {.hides_a_key_once = true}, false}),
    [](const auto& info) { return info.param.name; });

// It compacts what was to be followed next.
TEST_F(LiveImportTest, WhatComesNextIsCompacted) {
  FakeKine kine({.break_every = 20});
  for (int i = 0; i < 100; ++i) kine.Put(Cat("/registry/", i), "old");
  Writer writer([&, n = 0]() mutable {
    const int64_t revision = kine.Put(Cat("/registry/", ++n % 100), Cat(n));
    if (n % 50 == 0) kine.Compact(revision);
  });
  std::thread end([&] {
    std::this_thread::sleep_for(std::chrono::seconds(4));  // some compactions
    writer.Stop();
  });
  const Ran ran = Jetctl(Command(kine.endpoint(), {"--follow", "--until-idle=2s"}));
  end.join();
  const json told = Told(ran);
  EXPECT_GE(told["written_anew"], 1) << told;
  EXPECT_NE(ran.messages.find("has compacted what was to be followed"), std::string::npos);
  EXPECT_EQ(told["keys"], 100);
}

}  // namespace
}  // namespace jetd::cli
