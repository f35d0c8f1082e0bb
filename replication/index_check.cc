// SPDX-License-Identifier: Apache-2.0
#include "replication/index_check.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "revision/invariants.h"

namespace jetd::replication {
namespace {

using revision::KvRef;
using revision::Store;

constexpr std::string_view kToTheEnd("\0", 1);

void Wrong(CheckReport* report, std::string what) {
  report->Add({.damage = Damage::kIndex, .what = std::move(what)});
}

void WrongKey(CheckReport* report, const KvRef& kv, std::string what) {
  report->Add({.damage = Damage::kIndex,
               .seq = kv->seq(),
               .key = std::string(kv->key()),
               .revision = kv->mod_revision(),
               .what = std::move(what)});
}

std::vector<LeaseId> LeasesOf(const Store& store) {
  std::vector<LeaseId> ids;
  for (const Store::LeaseInfo& lease : store.Leases()) ids.push_back(lease.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

void CompareKeys(const StreamChecker& checker, const Store& store, CheckReport* report) {
  uint64_t keys = 0;
  store.Scan({.key = {}, .end = kToTheEnd}, report->revision, [&](const KvRef& kv) {
    ++keys;
    const KeyHistory::Version* known = checker.keys().Find(kv->key());
    if (known == nullptr || known->deleted()) {
      WrongKey(report, kv, "the store has it, the stream says that it is gone");
    } else if (known->mod != kv->mod_revision() || known->seq != kv->seq() ||
               known->create != kv->create_revision() || known->version != kv->version() ||
               known->lease != kv->lease()) {
      WrongKey(report, kv,
               Cat("the store has it of sequence ", kv->seq().value(), ", the stream of ",
                   known->seq.value(), ", revision ", known->mod.value()));
    }
    return true;
  });
  if (keys != checker.keys().live()) {
    Wrong(report, Cat("the store has ", keys, " keys, the stream ", checker.keys().live()));
  }
}

}  // namespace

void CompareWithStore(const StreamChecker& checker, Leases leases, const Store& store,
                      CheckReport* report) {
  // A compaction that is void for what lies before it vouches for revisions all the same, and then
  // they are without changes.
  if (absl::Status status = revision::CheckInvariants(store); !status.ok() && !checker.cut()) {
    Wrong(report, std::string(MessageOf(status)));
  }
  if (store.committed() < report->revision) {
    Wrong(report, Cat("the store is at revision ", store.committed().value(), ", the stream at ",
                      report->revision.value()));
    return;
  }
  const std::vector<LeaseId> ids = LeasesOf(store);
  if (checker.cut()) {
    // What the checker knows goes beyond what counts.
    report->keys = store.stats().keys;
    report->leases = ids.size();
  } else {
    CompareKeys(checker, store, report);
    if (leases == Leases::kSame && ids != checker.Leases()) {
      Wrong(report, Cat("the store has ", ids.size(), " leases, the stream others, ",
                        checker.Leases().size()));
    }
  }
  if (const auto hash = store.HashKv(report->revision); hash.ok()) {
    report->replayed = true;
    report->hash = hash->hash;
  }
  report->compared.emplace_back("the store that a replay builds");
}

void CompareStores(const Store& of_stream, const Store& of_checkpoint, CheckReport* report) {
  const auto hash = of_stream.HashKv(of_stream.committed());
  const auto other = of_checkpoint.HashKv(of_checkpoint.committed());
  if (of_stream.committed() != of_checkpoint.committed() ||
      of_stream.compacted() != of_checkpoint.compacted()) {
    Wrong(report, Cat("the checkpoint leads to revision ", of_checkpoint.committed().value(),
                      ", compacted ", of_checkpoint.compacted().value(), "; the stream to ",
                      of_stream.committed().value(), ", ", of_stream.compacted().value()));
  } else if (!hash.ok() || !other.ok() || hash->hash != other->hash) {
    Wrong(report, "the checkpoint in values/ holds other keys or values than the stream");
  } else if (LeasesOf(of_stream) != LeasesOf(of_checkpoint)) {
    Wrong(report, "the checkpoint in values/ holds other leases than the stream");
  } else {
    report->compared.emplace_back("the checkpoint in values/");
  }
}

}  // namespace jetd::replication
