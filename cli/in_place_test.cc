// SPDX-License-Identifier: Apache-2.0
//
// Restores into a store that is served, given twice, killed, mistaken, and asked about.
#include "cli/in_place.h"

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "cli/change_writer.h"
#include "cli/command_harness.h"
#include "cli/store_harness.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "revision/kv.h"

namespace jetd::cli {
namespace {

using etcdclient::Client;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using replication::BucketState;
using replication::KeySelection;

constexpr char kNamespace[] = "/registry/namespaces/web";
constexpr char kActive[] = R"({"kind":"Namespace","metadata":{"name":"web"}})";
constexpr char kTerminating[] =
    R"({"kind":"Namespace","metadata":{"name":"web","deletionTimestamp":"2026-11-20T15:10:00Z"}})";

std::map<std::string, std::string> ValuesOf(Client* client) {
  std::map<std::string, std::string> values;
  for (const auto& [key, seen] : KeysOf(client)) values[key] = std::get<0>(seen);
  return values;
}

// A command that was printed, without the program's name. No word of these has a space.
std::vector<std::string> WordsOf(const std::string& command) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < command.size();) {
    const size_t end = std::min(command.find(' ', begin), command.size());
    words.push_back(command.substr(begin, end - begin));
    begin = end + 1;
  }
  EXPECT_EQ(words.front(), "jetctl");
  words.erase(words.begin());
  return words;
}

class InPlaceTest : public ServedStoreTest {
 protected:
  [[nodiscard]] std::vector<std::string> Restore(const std::vector<std::string>& flags) const {
    std::vector<std::string> command = {"restore", Source(), "--in-place", Endpoints()};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }
  // As a kube-apiserver deletes a namespace. Gives what there was before.
  std::map<std::string, std::string> DeleteNamespace() {
    Put(client_.get(), kNamespace, kActive);
    Put(client_.get(), "/registry/pods/other/p", "pod");
    for (int i = 0; i < 5; ++i) Put(client_.get(), Cat("/registry/pods/web/p", i), Cat("pod ", i));
    auto before = ValuesOf(client_.get());
    Put(client_.get(), kNamespace, kTerminating);
    DeletePrefix(client_.get(), "/registry/pods/web/");
    Put(client_.get(), kNamespace, Cat(kTerminating, " "));
    DeletePrefix(client_.get(), kNamespace);
    return before;
  }
  static nlohmann::json JsonOf(const Ran& ran) {
    auto json = nlohmann::json::parse(ran.results, nullptr, false);
    EXPECT_TRUE(json.is_object()) << ran.results << ran.messages;
    return json;
  }
};

TEST_F(InPlaceTest, ANamespaceThatKubernetesHasDeleted) {
  const auto before = DeleteNamespace();
  const Ran dry = Jetctl(Restore(
      {Cat("--before-deletion=", kNamespace), "--namespace=web", "--dry-run", "--output=json"}));
  ASSERT_EQ(dry.exit_code, kExitOk) << dry.messages;
  EXPECT_EQ(JsonOf(dry)["add"], 6);
  std::vector<std::string> command = WordsOf(JsonOf(dry)["command"]);
  command.emplace_back("--yes");
  const Ran ran = Jetctl(command);
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
  EXPECT_EQ(ValuesOf(client_.get()), before);
  // Before its newest change it was an empty namespace that is being deleted.
  const Ran change = Jetctl({"get", Cat("--data-dir=", server_->data_dir()),
                             Cat("--at=before-deletion:", kNamespace),
                             "--prefix=/registry/pods/web/", "--keys-only", "--output=json"});
  EXPECT_EQ(JsonOf(change)["count"], 5) << change.messages;
}

// The newest change of the key is the restore's own, once that has begun.
TEST_F(InPlaceTest, AMomentThatMovesIsNamedByItsRevision) {
  const auto before = DeleteNamespace();
  for (const std::string& flag :
       {Cat("--before-deletion=", kNamespace), Cat("--before-change=", kNamespace),
        std::string("--to-time=1us")}) {
    const int64_t revision = RevisionOf(client_.get());
    const Ran refused = Jetctl(Restore({flag, "--namespace=web", "--yes"}));
    if (flag.starts_with("--to-time")) {
      // All is as it was then.
      EXPECT_EQ(refused.exit_code, kExitOk) << refused.messages;
    } else {
      EXPECT_EQ(refused.exit_code, kExitFailed) << flag;
      EXPECT_NE(refused.messages.find("names another moment once this has begun. Give "
                                      "--to-revision="),
                std::string::npos)
          << refused.messages;
      EXPECT_NE(refused.results.find(" --to-revision="), std::string::npos) << refused.results;
    }
    EXPECT_EQ(RevisionOf(client_.get()), revision) << flag;
  }
  const Ran dry = Jetctl(Restore(
      {Cat("--before-deletion=", kNamespace), "--namespace=web", "--dry-run", "--output=json"}));
  std::vector<std::string> command = WordsOf(JsonOf(dry)["command"]);
  command.emplace_back("--yes");
  for (int round = 0; round < 2; ++round) {
    const Ran ran = Jetctl(command);
    ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
    EXPECT_EQ(ValuesOf(client_.get()), before) << round;
  }
}

TEST_F(InPlaceTest, KilledOnTheWayTheCommandThatItNamedGoesOn) {
  const char* const jetctl = std::getenv("JETCTL_BIN");
  if (jetctl == nullptr) GTEST_SKIP() << "JETCTL_BIN names no jetctl";
  const std::string value(1'024, 'v');
  for (int i = 0; i < 5'000;) {
    pb::TxnRequest txn;
    for (int n = 0; n < 100; ++n, ++i) {
      pb::PutRequest* const put = txn.add_success()->mutable_request_put();
      put->set_key(Cat("/registry/pods/web/p", i));
      put->set_value(value);
    }
    ASSERT_TRUE(client_->Call(txn, kPatient).ok());
  }
  const auto before = ValuesOf(client_.get());
  const int64_t after = DeletePrefix(client_.get(), "/registry/pods/web/");
  const Ran dry =
      Jetctl(Restore({"--before-change=/registry/pods/web/p0", "--dry-run", "--output=json"}));
  std::vector<std::string> command = WordsOf(JsonOf(dry)["command"]);
  command.emplace_back("--yes");
  std::vector<std::string> child_command = command;
  child_command.insert(child_command.begin(), jetctl);
  Child child(child_command);
  // Some are written, and as a rule not all.
  while (RevisionOf(client_.get()) < after + 10) {
  }
  child.Signal(SIGKILL);
  RecordProperty("exit_code", child.Wait());
  RecordProperty("keys_there", static_cast<int>(ValuesOf(client_.get()).size()));
  const Ran ran = Jetctl(command);
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
  EXPECT_TRUE(ValuesOf(client_.get()) == before);
}

TEST_F(InPlaceTest, TheKeysOfAnotherStoreAreNotReplacedByMistake) {
  Put(client_.get(), "/a", "of the source");
  const auto other = StartStore(ServerKind::kJetd);
  const auto others = other->Connect();
  ASSERT_TRUE(others.ok());
  for (const char* key : {"/a", "/b", "/c"}) Put(others->get(), key, "of another");
  const auto before = ValuesOf(others->get());
  const std::vector<std::string> command = {"restore", Cat("--data-dir=", server_->data_dir()),
                                            "--in-place", Cat("--endpoints=", other->endpoint()),
                                            "--to-revision=2"};
  std::vector<std::string> mistaken = command;
  mistaken.emplace_back("--yes");
  const Ran refused = Jetctl(mistaken);
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_NE(refused.messages.find("serves another store than the one that is read"),
            std::string::npos)
      << refused.messages;
  EXPECT_EQ(ValuesOf(others->get()), before);

  std::vector<std::string> meant = mistaken;
  meant.insert(meant.end(), {"--from-another-store", "--output=json"});
  const Ran ran = Jetctl(meant);
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.messages;
  EXPECT_EQ(ValuesOf(others->get()), ValuesOf(client_.get()));
  EXPECT_EQ(JsonOf(ran)["undo"], "");
}

// Whoever answers next at an address, or at the next one, may be another store.
TEST_F(InPlaceTest, AStoreThatTookItsPlaceIsNotReadOn) {
  const auto other = StartStore(ServerKind::kJetd);
  LiveStore::Options options;
  options.endpoints = {server_->endpoint(), other->endpoint()};
  const auto store = LiveStore::Connect(options);
  ASSERT_TRUE(store.ok()) << store.status();
  Put(client_.get(), "/a", "here");
  const auto others = other->Connect();
  ASSERT_TRUE(others.ok());
  Put(others->get(), "/a", "there");
  server_->Kill(ServerProcess::Scope::kTree);
  LiveStore::ReadOptions read;
  read.ranges = {(*store)->everything()};
  read.at = Revision(2);
  const auto keys = (*store)->ReadKeys(read);
  EXPECT_TRUE(absl::IsFailedPrecondition(keys.status())) << keys.status();
  EXPECT_NE(std::string(MessageOf(keys.status())).find("serves another store"), std::string::npos);
  EXPECT_TRUE(absl::IsFailedPrecondition((*store)->CurrentRevision().status()));
}

TEST_F(InPlaceTest, AStoreThatTookItsPlaceIsNotWrittenOn) {
  const int64_t newest = Put(client_.get(), "/a", "of another");
  const std::vector<replication::KeyChange> changes = {
      {.key = "/a",
       .wanted = revision::KvBlock::Make({.key = "/a",
                                          .value = "of the source",
                                          .mod = {Revision(newest), 0},
                                          .create_revision = Revision(newest),
                                          .version = 1}),
       .lease = {},
       .now = Revision(newest - 1)}};
  LiveStore::Options options;
  options.endpoints = {server_->endpoint()};
  const auto store = LiveStore::Connect(options);
  ASSERT_TRUE(store.ok()) << store.status();
  ChangeTally tally;
  const absl::Status written =
      WriteChanges(client_.get(), changes, {.cluster_id = (*store)->cluster_id() + 1}, &tally);
  EXPECT_TRUE(absl::IsFailedPrecondition(written)) << written;
  EXPECT_EQ(ValuesOf(client_.get())["/a"], "of another");
  EXPECT_EQ(tally.written + tally.again, 0U);
  // The one that is meant: what was changed since is looked at again.
  ASSERT_TRUE(
      WriteChanges(client_.get(), changes, {.cluster_id = (*store)->cluster_id()}, &tally).ok());
  EXPECT_EQ(ValuesOf(client_.get())["/a"], "of the source");
}

// All that is under way fails at once; it is paused for once, and sent again.
TEST_F(InPlaceTest, AStoreThatIsAwayForAMomentIsWaitedFor) {
  std::vector<replication::KeyChange> changes;
  for (int i = 0; i < 500; ++i) {
    const std::string key = Cat("/registry/pods/web/p", i);
    changes.push_back({.key = key,
                       .wanted = revision::KvBlock::Make({.key = key,
                                                          .value = "v",
                                                          .mod = {Revision(2), 0},
                                                          .create_revision = Revision(2),
                                                          .version = 1}),
                       .lease = {},
                       .now = Revision(0)});
  }
  bool killed = false;
  int pauses = 0, troubles = 0;
  ChangeOptions options;
  options.progress = [&](const ChangeTally& done) {
    troubles += static_cast<int>(!done.trouble.empty());
    if (killed || done.written < 100) return;
    killed = true;
    server_->Kill(ServerProcess::Scope::kTree);
  };
  options.pause = [&] {
    if (++pauses > 1) return;
    ASSERT_TRUE(server_->Restart().ok());
    ASSERT_TRUE(server_->WaitReady(kPatient.timeout).ok());
  };
  ChangeTally tally;
  const absl::Status written = WriteChanges(client_.get(), changes, options, &tally);
  ASSERT_TRUE(written.ok()) << written;
  EXPECT_EQ(ValuesOf(client_.get()).size(), changes.size());
  EXPECT_EQ(tally.written + tally.found, changes.size());
  EXPECT_GE(troubles, 1);
  // Not one for each of the calls that were under way.
  EXPECT_LE(pauses, 4);
  EXPECT_EQ(tally.trouble, "");
}

TEST_F(InPlaceTest, KeysThatNeverWereAreNothingToDo) {
  Put(client_.get(), "/registry/pods/web/p", "pod");
  const Ran typo = Jetctl(Restore({"--to-revision=1", "--namespace=wbe", "--yes"}));
  EXPECT_EQ(typo.exit_code, kExitOk) << typo.messages;
  EXPECT_NE(typo.results.find("nothing to do: no such key was there, and none is now"),
            std::string::npos)
      << typo.results;
  const Ran same = Jetctl(Restore({"--to-revision=2", "--namespace=web", "--yes"}));
  EXPECT_EQ(same.exit_code, kExitOk) << same.messages;
  EXPECT_NE(same.results.find("nothing to do: all is as it was"), std::string::npos)
      << same.results;
}

// Who is asked may take his time, and others write meanwhile.
TEST_F(InPlaceTest, APlanThatIsNoLongerTrueIsAskedForAgain) {
  Put(client_.get(), "/a", "good");
  BucketState wanted;
  wanted.revision = Revision(RevisionOf(client_.get()));
  wanted.keys = {revision::KvBlock::Make({.key = "/a",
                                          .value = "good",
                                          .mod = {wanted.revision, 0},
                                          .create_revision = wanted.revision,
                                          .version = 1})};
  Put(client_.get(), "/a", "bad");
  const auto selection = KeySelection::Make({}, {});
  ASSERT_TRUE(selection.ok());
  std::FILE* const file = std::tmpfile();
  JETD_CHECK(file != nullptr) << "no temporary file";
  int64_t newest = 0;
  {
    Output output(file, file);
    InPlaceOptions options;
    options.moment = "then";
    options.revision = wanted.revision;
    options.selection = &*selection;
    options.store.endpoints = {server_->endpoint()};
    options.cluster_id = (*LiveStore::Connect(options.store))->cluster_id();
    options.command = "jetctl restore";
    int asked = 0;
    options.ask = [&](const std::string& question) {
      EXPECT_EQ(question,
                Cat(asked == 0 ? "1 key of " : "2 keys of ", server_->endpoint(), " will change"));
      if (++asked == 1) newest = Put(client_.get(), "/b", "of another");
      return std::string("yes");
    };
    const auto ended = RestoreInPlace(&output, options, wanted);
    ASSERT_TRUE(ended.ok()) << ended.status();
    EXPECT_EQ(asked, 2);
  }
  EXPECT_EQ(ValuesOf(client_.get()), (std::map<std::string, std::string>{{"/a", "good"}}));
  const std::string said = ReadAll(file);
  std::fclose(file);
  // What undoes it takes nothing back that was there when it was agreed to.
  EXPECT_NE(said.find(Cat("with all that others write to these keys behind revision ", newest)),
            std::string::npos)
      << said;
  EXPECT_NE(said.find(Cat("jetctl restore --to-revision=", newest)), std::string::npos) << said;
}

}  // namespace
}  // namespace jetd::cli
