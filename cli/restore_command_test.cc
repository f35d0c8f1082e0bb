// SPDX-License-Identifier: Apache-2.0
//
// jetctl restore with a real jetd: moments of a random life compared with the client's own record
// of it, kills on the way, one namespace in place before a watcher.
#include "cli/restore_command.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "cli/command_harness.h"
#include "cli/store_harness.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using etcdclient::Client;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;

constexpr int64_t kBump = 5'000;

int NumberFrom(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

TEST(RestoreCommandTest, Mistakes) {
  unsetenv("JETD_DATA_DIR");
  unsetenv("JETD_NATS_URL");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{},
       "which moment? Give one of --to-time, --to-revision, --before-change and --before-deletion"},
      {{"--before-deletion=/a", "--before-change=/a"},
       "which moment? Give one of --to-time, --to-revision, --before-change and --before-deletion"},
      {{"--to-revision=2", "--in-place"},
       "--in-place goes through the jetd that serves the store; give its --endpoints"},
      {{"--to-revision=2", "--in-place", "--endpoints=http://a", "--to-bucket=b"},
       "--in-place writes to --endpoints, and the --to- flags name a new bucket; give one of them"},
      {{"--to-revision=2", "--endpoints=http://a"}, "--endpoints is for --in-place"},
      {{"--to-revision=2", "--from-another-store"}, "--from-another-store is for --in-place"},
      {{"--to-revision=2", "--bump=0"},
       "--bump: \"0\" is no whole number from 1 on; see jetctl restore --help"},
      {{"--to-revision=2", "--output=yaml"}, "--output: \"yaml\" is neither table nor json"},
      {{"--to-time=17", "--data-dir=/a"},
       "--to-time: \"17\" is no time; give one (2026-11-20T15:10:00Z), or how long ago (10m, "
       "1h30m)"},
      {{"--to-revision=2", "--nats-url=nats://127.0.0.1:1"},
       "where to? Give --to-bucket, or --to-data-dir, a new folder for a jetd with a nats-server "
       "of "
       "its own"},
      {{"--to-revision=2", "--nats-url=nats://127.0.0.1:1", "--to-bucket=etcd"},
       "--to-bucket is the bucket that is read; name another one"},
      {{"--to-revision=2", "--data-dir=/a", "--to-bucket=b"},
       "where is the NATS server of --to-bucket? Give --to-nats-url, or --to-data-dir instead"},
  };
  for (const auto& [flags, line] : cases) {
    std::vector<std::string> arguments = {"restore"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Ran ran = Jetctl(arguments);
    EXPECT_EQ(ran.exit_code, kExitUsage) << line;
    EXPECT_EQ(ran.messages, Cat("jetctl restore: ", line, "\n"));
    EXPECT_EQ(ran.results, "");
  }
}

class RestoreTest : public ServedStoreTest {
 protected:
  const ScratchFolder folder_{ScratchFolder::kOnDisk};
};

TEST_F(RestoreTest, RandomPointsAreWhatTheClientWroteDown) {
  RecordedLife life(client_.get(), 1);
  for (int i = 0; i < 300; ++i) life.Step();
  const int64_t newest = life.states().rbegin()->first;
  std::mt19937_64 random(2);
  const int points = NumberFrom("JETD_RESTORE_POINTS", 4);
  for (int i = 0; i < points; ++i) {
    auto point = life.states().begin();
    std::advance(point, static_cast<int64_t>(random() % life.states().size()));
    SCOPED_TRACE(Cat("revision ", point->first));
    const std::string target = folder_ / Cat("r", i);
    const std::vector<std::string> command = {"restore",
                                              Source(),
                                              Cat("--to-revision=", point->first),
                                              Cat("--to-data-dir=", target),
                                              Cat("--bump=", kBump),
                                              "--output=json"};
    const Ran ran = Jetctl(command);
    ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
    const auto json = nlohmann::json::parse(ran.results, nullptr, false);
    ASSERT_TRUE(json.is_object()) << ran.results;
    EXPECT_EQ(json["keys"], point->second.size());
    EXPECT_EQ(json["checked"], true);
    EXPECT_EQ(json["revision"], newest + kBump);
    // Again: it is there already.
    const Ran again = Jetctl(command);
    ASSERT_EQ(again.exit_code, kExitOk) << again.messages;
    EXPECT_EQ(nlohmann::json::parse(again.results, nullptr, false)["was_whole"], true);

    const auto restored = StartStore(ServerKind::kJetd, target);
    const auto client = restored->Connect();
    ASSERT_TRUE(client.ok());
    EXPECT_EQ(KeysOf(client->get()), point->second);
    EXPECT_EQ(RevisionOf(client->get()), newest + kBump);
    // Clients of the old store list anew.
    pb::RangeRequest old;
    old.set_key("a");
    old.set_revision(newest);
    EXPECT_EQ((*client)->Call(old, kPatient).status().message(),
              "etcdserver: mvcc: required revision has been compacted");
    pb::LeaseTimeToLiveRequest lease;
    lease.set_id(RecordedLife::kLease);
    EXPECT_EQ((*client)->Call(lease, kPatient)->grantedttl(), 3'600);
    EXPECT_EQ(Put(client->get(), "/registry/new", "value"), newest + kBump + 1);
  }
}

TEST_F(RestoreTest, BeforeAChangeAndPrefixes) {
  Put(client_.get(), "/a/1", "one");
  Put(client_.get(), "/b/1", "one");
  const int64_t good = Put(client_.get(), "/a/2", "two");
  Put(client_.get(), "/a/1", "a mistake");
  const std::string target = folder_ / "r";
  const Ran dry = Jetctl({"restore", Source(), "--before-change=/a/1", "--prefix=/a/",
                          Cat("--to-data-dir=", target), "--dry-run", "--output=json"});
  ASSERT_EQ(dry.exit_code, kExitOk) << dry.messages;
  EXPECT_EQ(nlohmann::json::parse(dry.results, nullptr, false)["keys"], 2);
  // A prefix that nothing has is a mistake, and no bucket is made of it.
  const Ran typo = Jetctl(
      {"restore", Source(), "--before-change=/a/1", "--prefix=/z/", Cat("--to-data-dir=", target)});
  EXPECT_EQ(typo.exit_code, kExitFailed);
  EXPECT_NE(typo.messages.find("has no keys with prefix /z/; nothing was done"), std::string::npos)
      << typo.messages;
  EXPECT_FALSE(std::filesystem::exists(target));
  const Ran ran = Jetctl(
      {"restore", Source(), "--before-change=/a/1", "--prefix=/a/", Cat("--to-data-dir=", target)});
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
  EXPECT_NE(ran.results.find(Cat("restored revision ", good, " of bucket etcd")), std::string::npos)
      << ran.results;
  const auto restored = StartStore(ServerKind::kJetd, target);
  const auto client = restored->Connect();
  SeenKeys keys = KeysOf(client->get());
  ASSERT_EQ(keys.size(), 2U);
  // A dry run says that the place is taken.
  const Ran taken = Jetctl(
      {"restore", Source(), "--before-change=/a/1", Cat("--to-data-dir=", target), "--dry-run"});
  EXPECT_EQ(taken.exit_code, kExitOk);
  EXPECT_NE(taken.messages.find(Cat(target, " holds a store already")), std::string::npos)
      << taken.messages;
  EXPECT_EQ(std::get<0>(keys["/a/1"]), "one");
}

// Killed at some moments; what is there is refused by jetd, and the same command goes on.
TEST_F(RestoreTest, KilledOnTheWay) {
  const char* const jetctl = std::getenv("JETCTL_BIN");
  if (jetctl == nullptr) GTEST_SKIP() << "JETCTL_BIN names no jetctl";
  const int keys = NumberFrom("JETD_RESTORE_KEYS", 20'000);
  const std::string value(1'024, 'v');
  for (int i = 0; i < keys;) {
    pb::TxnRequest txn;
    for (int n = 0; n < 100 && i < keys; ++n, ++i) {
      pb::PutRequest* const put = txn.add_success()->mutable_request_put();
      put->set_key(Cat("/registry/pods/default/pod-", i));
      put->set_value(value);
    }
    ASSERT_TRUE(client_->Call(txn, kPatient).ok());
  }
  const int64_t newest = RevisionOf(client_.get());
  const std::string target = folder_ / "r";
  const std::vector<std::string> flags = {"restore", Source(), Cat("--to-revision=", newest),
                                          Cat("--to-data-dir=", target), "--output=json"};
  std::vector<std::string> command = {jetctl};
  command.insert(command.end(), flags.begin(), flags.end());
  int refused = 0;
  for (int milliseconds = 150; milliseconds < 5'000; milliseconds += milliseconds / 2) {
    Child child(command);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));  // anywhere on its way
    child.Signal(SIGKILL);
    if (child.Wait() == 0) break;
    const auto program = ServerProcess::Find(ServerKind::kJetd);
    if (!std::filesystem::exists(target + "/nats")) continue;
    const auto server = ServerProcess::Start({.program = *program, .data_dir = target});
    ASSERT_TRUE(server.ok()) << server.status();
    // It ends; or there is no stream yet, and it makes an empty one: then begin anew.
    const absl::Status ready = (*server)->WaitReady(std::chrono::seconds(60));
    if (ready.ok()) {
      const auto client = (*server)->Connect();
      // Or all was done but for the check.
      const SeenKeys found = KeysOf(client->get());
      EXPECT_TRUE(found.empty() || found == KeysOf(client_.get())) << found.size();
      (*server)->Kill(ServerProcess::Scope::kTree);
      std::filesystem::remove_all(target);
      continue;
    }
    EXPECT_NE((*server)->LogTail().find("not whole"), std::string::npos) << (*server)->LogTail();
    ++refused;
  }
  const Ran ran = Jetctl(flags);
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
  RecordProperty("refused", refused);
  const auto restored = StartStore(ServerKind::kJetd, target);
  const auto client = restored->Connect();
  EXPECT_TRUE(KeysOf(client->get()) == KeysOf(client_.get()));
  // And once without a kill, for its figures (--gtest_output).
  const Ran whole = Jetctl({"restore", Source(), Cat("--to-revision=", newest),
                            Cat("--to-data-dir=", folder_ / "whole"), "--output=json"});
  ASSERT_EQ(whole.exit_code, kExitOk) << whole.messages;
  const auto told = nlohmann::json::parse(whole.results, nullptr, false);
  EXPECT_EQ(told["records_found"], 0);
  RecordProperty("restored_keys", keys);
  RecordProperty("restored_in", told["seconds"].dump());
}

// Events as "key=value" and "key deleted", by revision and key.
std::vector<std::string> EventsSince(Client* client, int64_t revision, int64_t last) {
  std::vector<std::string> events;
  const auto watch = client->OpenWatch();
  pb::WatchRequest request;
  auto* const create = request.mutable_create_request();
  create->set_key(std::string("\0", 1));
  create->set_range_end(std::string("\0", 1));
  create->set_start_revision(revision);
  watch->Send(request);
  int64_t seen = 0;
  while (seen < last) {
    const auto response = watch->Next(kPatient.timeout);
    JETD_CHECK(response.ok()) << response.status();
    for (const auto& event : response->events()) {
      // Each key has a revision of its own.
      JETD_CHECK(event.kv().mod_revision() > seen) << event.kv().key();
      seen = event.kv().mod_revision();
      events.push_back(event.type() == mvccpb::Event::DELETE
                           ? Cat(event.kv().key(), " deleted")
                           : Cat(event.kv().key(), "=", event.kv().value()));
    }
  }
  return events;
}

TEST_F(RestoreTest, ANamespaceInPlaceAndItsUndoing) {
  Client* const client = client_.get();
  Put(client, "/registry/namespaces/web", "ns");
  for (int i = 0; i < 20; ++i) {
    Put(client, Cat("/registry/pods/web/p", i), Cat("pod ", i));
    Put(client, Cat("/registry/pods/other/p", i), Cat("pod ", i));
  }
  const int64_t good = Put(client, "/registry/services/specs/web/s", "service");
  DeletePrefix(client, "/registry/pods/web/");
  DeletePrefix(client, "/registry/namespaces/web");
  Put(client, "/registry/services/specs/web/s", "changed");
  Put(client, "/registry/pods/web/new", "new");
  Put(client, "/registry/pods/other/p1", "changed");
  const SeenKeys broken = KeysOf(client);
  const int64_t before = RevisionOf(client);

  std::vector<std::string> command = {"restore",      Source(),    Cat("--to-revision=", good),
                                      "--in-place",   Endpoints(), "--namespace=web",
                                      "--output=json"};
  const auto with = [&command](const std::string& flag) {
    std::vector<std::string> more = command;
    more.push_back(flag);
    return more;
  };
  const Ran dry = Jetctl(with("--dry-run"));
  ASSERT_EQ(dry.exit_code, kExitOk) << dry.messages;
  const auto plan = nlohmann::json::parse(dry.results, nullptr, false);
  EXPECT_EQ(plan["add"], 21);
  EXPECT_EQ(plan["change"], 1);
  EXPECT_EQ(plan["delete"], 1);
  EXPECT_EQ(RevisionOf(client), before);
  // Nobody is there to be asked.
  if (isatty(STDIN_FILENO) == 0) {
    const Ran refused = Jetctl(command);
    EXPECT_EQ(refused.exit_code, kExitFailed);
    EXPECT_NE(refused.messages.find("Give --yes"), std::string::npos) << refused.messages;
    EXPECT_EQ(RevisionOf(client), before);
  }
  const Ran ran = Jetctl(with("--yes"));
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
  const int64_t after = RevisionOf(client);
  EXPECT_EQ(after, before + 23);
  // Watchers see the difference and nothing else. A server may take calls that are under way
  // together in any order.
  std::multiset<std::string> expected = {"/registry/namespaces/web=ns",
                                         "/registry/pods/web/new deleted",
                                         "/registry/services/specs/web/s=service"};
  for (int i = 0; i < 20; ++i) expected.insert(Cat("/registry/pods/web/p", i, "=pod ", i));
  const std::vector<std::string> events = EventsSince(client, before + 1, after);
  EXPECT_EQ(std::multiset<std::string>(events.begin(), events.end()), expected);
  SeenKeys now = KeysOf(client);
  EXPECT_EQ(std::get<0>(now["/registry/pods/other/p1"]), "changed");
  // Once more there is nothing to do.
  const Ran again = Jetctl(with("--yes"));
  EXPECT_EQ(again.exit_code, kExitOk) << again.messages;
  EXPECT_EQ(RevisionOf(client), after);

  // What it said undoes it.
  const std::string undo = nlohmann::json::parse(ran.results, nullptr, false)["undo"];
  std::vector<std::string> words;
  for (size_t begin = 0; begin < undo.size();) {
    const size_t end = std::min(undo.find(' ', begin), undo.size());
    words.push_back(undo.substr(begin, end - begin));
    begin = end + 1;
  }
  ASSERT_EQ(words.front(), "jetctl");
  words.erase(words.begin());
  words.push_back("--yes");
  const Ran undone = Jetctl(words);
  ASSERT_EQ(undone.exit_code, kExitOk) << undone.messages << undo;
  now = KeysOf(client);
  ASSERT_EQ(now.size(), broken.size());
  for (const auto& [key, seen] : broken) EXPECT_EQ(std::get<0>(now[key]), std::get<0>(seen)) << key;
}

// Keys that change while they are restored are looked at again, and leases that are gone stay so.
TEST_F(RestoreTest, InPlaceWhileOthersWrite) {
  Client* const client = client_.get();
  constexpr int kKeys = 300;
  for (const int64_t id : {1, 2}) {
    pb::LeaseGrantRequest grant;
    grant.set_id(id);
    grant.set_ttl(3'600);
    ASSERT_TRUE(client->Call(grant, kPatient).ok());
  }
  for (int i = 0; i < kKeys; ++i) Put(client, Cat("/k/", i), Cat("good ", i), i % 3);
  const int64_t good = RevisionOf(client);
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(1);
  ASSERT_TRUE(client->Call(revoke, kPatient).ok());
  for (int i = 0; i < kKeys; ++i) Put(client, Cat("/k/", i), "bad");
  std::atomic<bool> stop{false};
  std::thread other([&] {
    const auto mine = server_->Connect();
    for (int i = 0; !stop; ++i) Put(mine->get(), Cat("/k/", i % kKeys), "of another");
  });
  const Ran ran = Jetctl({"restore", Source(), Cat("--to-revision=", good), "--in-place",
                          Endpoints(), "--prefix=/k/", "--yes", "--output=json"});
  stop = true;
  other.join();
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
  const auto told = nlohmann::json::parse(ran.results, nullptr, false);
  EXPECT_EQ(told["written"].get<int>() + told["found_as_wanted"].get<int>(), kKeys);
  EXPECT_EQ(told["without_lease"], kKeys / 3);
  // The other has stopped: now it is quiet, and the rest is as it was.
  const Ran quiet = Jetctl({"restore", Source(), Cat("--to-revision=", good), "--in-place",
                            Endpoints(), "--prefix=/k/", "--yes"});
  ASSERT_EQ(quiet.exit_code, kExitOk) << quiet.messages;
  SeenKeys now = KeysOf(client);
  for (int i = 0; i < kKeys; ++i) {
    const auto& [value, create, mod, version, lease] = now[Cat("/k/", i)];
    EXPECT_EQ(value, Cat("good ", i));
    EXPECT_EQ(lease, i % 3 == 2 ? 2 : 0);
  }
}

}  // namespace
}  // namespace jetd::cli
