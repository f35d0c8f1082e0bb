// SPDX-License-Identifier: Apache-2.0
// What it costs to judge kube-apiserver's transactions and apply them, without records or network.
#include <string>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "benchmark/benchmark.h"
#include "jetstream/subject.h"
#include "revision/evaluate.h"
#include "revision/store.h"

namespace jetd::revision {
namespace {

constexpr int kKeys = 1000;
constexpr int kWritesBetweenCompactions = 50'000;

std::string KeyOf(int i) { return Cat("/registry/pods/namespace-042/workload-6fa0e5b2-", i); }

// If the key is at `revision`, put; else get.
Op UpdateOp(const std::string& key, Revision revision, const std::string& value) {
  TxnOp txn;
  txn.compares.push_back({.target = Compare::Target::kMod,
                          .result = Compare::Result::kEqual,
                          .keys = {key, ""},
                          .number = revision.value()});
  txn.success.push_back({PutOp{.key = key, .value = value}});
  txn.failure.push_back({RangeOp{.keys = {key, ""}}});
  return {std::move(txn)};
}

class Judge {
 public:
  Judge() {
    for (int i = 0; i < kKeys; ++i) Apply({PutOp{.key = KeyOf(i), .value = value}});
  }
  // Whether the transaction's compare held.
  bool Apply(const Op& op) {
    store.Begin();
    const auto result = EvaluateWrite(op, limits_, StreamSeq(++seq_), &store);
    JETD_CHECK(result.ok()) << result.status();
    if (store.End()) store.CommitOldest();
    const auto* txn = std::get_if<TxnResult>(&result->v);
    return txn == nullptr || txn->succeeded;
  }

  const std::string value = std::string(1024, 'v');
  Store store;

 private:
  const jetstream::SubjectCodec codec_{"etcd"};
  const RecordLimits limits_{
      .codec = &codec_, .max_subject_bytes = 65'000, .max_payload_bytes = 8'000'000};
  uint64_t seq_ = 0;
};

void BM_Update(benchmark::State& state) {
  Judge judge;
  int n = 0;
  for (auto _ : state) {
    const std::string key = KeyOf(n % kKeys);
    const KvRef kv = judge.store.Get(key, Store::View::kCommitted);
    JETD_CHECK(judge.Apply(UpdateOp(key, kv->mod_revision(), judge.value))) << key;
    if (++n % kWritesBetweenCompactions == 0) {
      state.PauseTiming();
      judge.store.Compact(judge.store.committed());
      state.ResumeTiming();
    }
  }
}
BENCHMARK(BM_Update);

// The compare fails: a read.
void BM_Conflict(benchmark::State& state) {
  Judge judge;
  const std::string key = KeyOf(7);
  const Op op = UpdateOp(key, Revision(1), judge.value);
  for (auto _ : state) JETD_CHECK(!judge.Apply(op)) << key;
}
BENCHMARK(BM_Conflict);

}  // namespace
}  // namespace jetd::revision

BENCHMARK_MAIN();
