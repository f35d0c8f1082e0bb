// SPDX-License-Identifier: Apache-2.0
//
// For tests: a store of one format version as files of text, which every later version must read.
//
//   fixtures/format-1/stream.txt        the records, as check_harness.h writes them
//                     checkpoint.hex    what a clean stop left in values/, each file as hex
//                     00000001.values.hex
//                     expect.txt        the store that they are: revisions, keys, leases, HashKV
//
// Life() writes a store by the version of this tree, by the same steps every time, so that what it
// writes is compared with the fixture of that version: a change of any format fails the test, and
// wants a higher version with fixtures of its own.
#ifndef JETD_REPLICATION_FIXTURE_H_
#define JETD_REPLICATION_FIXTURE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/check.h"
#include "base/fake_executor.h"
#include "base/strings.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "replication/check_harness.h"
#include "revision/committer.h"
#include "revision/store.h"
#include "revision/value_harness.h"

namespace jetd::replication {

// Files by name.
using Files = std::map<std::string, std::string>;

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// 32 bytes a line.
inline std::string HexLines(const std::string& bytes) {
  constexpr size_t kPerLine = 32;
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += kPerLine) {
    CatTo(text, HexOf(bytes.substr(at, kPerLine)), "\n");
  }
  return text;
}
inline std::string BytesOf(std::string hex) {
  std::erase(hex, '\n');
  return absl::HexStringToBytes(hex);
}

// Every value in a file.
inline void UseFixtureFiles(revision::Store* store, const std::string& folder) {
  store->UseValueFiles(revision::OpenValueFiles({.folder = folder, .keep = true}),
                       {.budget_bytes = 0, .min_value_bytes = 1});
}

// All that a client could see of it.
inline std::string StateOf(const revision::Store& store) {
  const auto hash = store.HashKv(Revision());
  JETD_CHECK(hash.ok()) << hash.status();
  std::string text = Cat("revision ", store.committed().value(), "\ncompacted ",
                         store.compacted().value(), "\nhash ", hash->hash, "\n");
  // What is alive at the compact revision, and every change since.
  const auto add = [&text, &store](const revision::KvRef& found) {
    const revision::KvRef kv = store.Load(found);
    CatTo(text, absl::CHexEscape(std::string(kv->key())), " @", kv->mod_revision().value(), ".",
          kv->mod().sub);
    if (kv->tombstone()) {
      text += " deleted\n";
      return true;
    }
    CatTo(text, " created ", kv->create_revision().value(), " version ", kv->version(), " lease ",
          kv->lease().value(), " seq ", kv->seq().value(), ": ",
          absl::CHexEscape(std::string(kv->value())), "\n");
    return true;
  };
  const Revision from = std::max(store.compacted(), Revision(1));
  store.Scan({.key = {}, .end = std::string_view("\0", 1)}, from, add);
  const auto history = store.History(from.Next(), SIZE_MAX,
                                     [&add](const revision::Change& change) { add(change.kv); });
  JETD_CHECK(history.ok()) << history.status();
  for (const revision::Store::LeaseInfo& lease : store.Leases()) {
    CatTo(text, "lease ", lease.id.value(), " ttl ", lease.ttl_s, ":");
    for (const std::string& key : store.LeaseKeys(lease.id)) CatTo(text, " ", key);
    text += "\n";
  }
  return text;
}

// A member with a name, that does one thing after the other.
class FixtureMember {
 public:
  FixtureMember(FakeExecutor* exec, jetstream::MemoryStream* stream, const std::string& name,
                const std::string& folder)
      : exec_(exec), log_(exec, stream, Exclusive()) {
    UseFixtureFiles(&store_, folder);
    revision::Committer::Options options;
    options.member_id = 0x8e9e05c5;
    options.member_name = name;
    options.client_urls = {"http://127.0.0.1:2379"};
    options.incarnation = name + "-0123456789abcdef";
    options.checkpoint_path = folder + "/checkpoint";
    options.min_markers_for_list = 2;
    committer_.emplace(exec, &log_, &store_, options);
    committer_->Start([](const absl::Status& why) { JETD_CHECK(false) << why; });
    Settle();
    JETD_CHECK(committer_->leading()) << committer_->waiting_for();
  }
  ~FixtureMember() {
    committer_->Stop();
    Settle();
    committer_.reset();
    Settle();
  }
  FixtureMember(const FixtureMember&) = delete;
  FixtureMember& operator=(const FixtureMember&) = delete;

  void Do(const revision::Op& op) {
    bool done = false;
    committer_->Apply(&op, 100, [&done](const absl::StatusOr<revision::OpResult>& result) {
      JETD_CHECK(result.ok()) << result.status();
      done = true;
    });
    Settle();
    JETD_CHECK(done) << "no answer";
  }
  void Put(std::string_view key, std::string_view value, int64_t lease = 0) {
    Do({revision::PutOp{.key = key, .value = value, .lease = LeaseId(lease)}});
  }
  void Delete(std::string_view key, std::string_view end = {}) {
    Do({revision::DeleteOp{.keys = {key, end}}});
  }
  void Grant(int64_t id, int64_t ttl_s) {
    committer_->GrantLease(LeaseId(id), ttl_s, [](const auto& a) { JETD_CHECK(a.ok()); });
    Settle();
  }
  void Revoke(int64_t id) {
    committer_->RevokeLease(LeaseId(id), [](const auto& a) { JETD_CHECK(a.ok()); });
    Settle();
  }
  void Compact(int64_t at) {
    committer_->Compact(Revision(at), revision::Committer::Wait::kLogical,
                        [](const auto& a) { JETD_CHECK(a.ok()); });
    Settle();
  }
  // As a signal makes it.
  void EndCleanly() {
    committer_->Stop();
    const absl::Status saved = committer_->SaveCheckpoint();
    JETD_CHECK(saved.ok()) << saved;
  }
  [[nodiscard]] const revision::Store& store() const { return store_; }

 private:
  static jetstream::MemoryLog::Options Exclusive() {
    jetstream::MemoryLog::Options options;
    options.exclusive = true;
    return options;
  }
  void Settle() { exec_->Advance(std::chrono::seconds(2)); }

  FakeExecutor* const exec_;
  jetstream::MemoryLog log_;
  revision::Store store_;
  std::optional<revision::Committer> committer_;
};

// A store with all that a format has: keys of odd bytes, transactions, leases, a void, a
// compaction, a list of what lives, a checkpoint with values in files.
inline Files Life() {
  FakeExecutor exec;
  jetstream::MemoryStream stream;
  const ScratchFolder folder;
  {
    FixtureMember first(&exec, &stream, "first", folder.path());
    first.Put("/registry/pods/default/web", "one");
    first.Put("/registry/pods/default/web", "two");
    first.Put(std::string("odd \0=.._jetd\xff", 14), "of all bytes");
    first.Grant(0x7f01, 60);
    first.Grant(-2, 9'000);
    first.Put("leased", "until its lease ends", 0x7f01);
    first.Put("kept", "by the other lease", -2);
    revision::TxnOp txn;
    txn.success.push_back({revision::PutOp{.key = "txn/a", .value = "1"}});
    txn.success.push_back({revision::PutOp{.key = "txn/b", .value = ""}});
    txn.success.push_back({revision::DeleteOp{.keys = {"leased", {}}}});
    first.Do({txn});
    first.Put("leased", "again", 0x7f01);
    for (const char* key : {"gone/1", "gone/2", "gone/3"}) first.Put(key, "soon gone");
    first.Delete("gone/", "gone0");
    first.Revoke(0x7f01);
  }
  // Its last transaction is cut short.
  const jetstream::RecordHeader cut{.revision = Revision(14),
                                    .create_revision = Revision(14),
                                    .version = 1,
                                    .index = 1,
                                    .count = 2,
                                    .term = Term(1)};
  stream.AppendForeign(
      {.subject = "$KV.B.never", .header = EncodeHeader(cut), .payload = "was answered"});
  FixtureMember second(&exec, &stream, "second", folder.path());
  second.Put("/registry/pods/default/web", "three");
  second.Compact(13);
  second.Put("after", "the compaction");
  second.Delete("txn/a");
  second.EndCleanly();
  Files files{{"stream.txt", LinesOf(stream)}, {"expect.txt", StateOf(second.store())}};
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    const std::string name = entry.path().filename();
    if (name == "checkpoint" || entry.path().extension() == ".values") {
      files[name + ".hex"] = HexLines(ReadFile(entry.path()));
    }
  }
  return files;
}

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_FIXTURE_H_
