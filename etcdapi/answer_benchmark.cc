// SPDX-License-Identifier: Apache-2.0
// What it costs to splice answers together from the bytes that the store holds: a get, a page of a
// list (`items` are keys), and a watch response (`items` are events). Values are 1 KiB.
#include <cstdint>
#include <string>

#include "base/strings.h"
#include "benchmark/benchmark.h"
#include "etcdapi/answer.h"
#include "revision/store.h"

namespace jetd::etcdapi {
namespace {

constexpr HeaderIds kIds{.cluster_id = 0x1234567890abcdef, .member_id = 0xfedcba0987654321};

revision::RangeResult Page(int64_t keys) {
  revision::Store store;
  const std::string value(1024, 'v');
  for (int64_t i = 0; i < keys; ++i) {
    store.Begin();
    store.Put(Cat("/registry/pods/namespace-042/workload-", i), value, LeaseId(),
              StreamSeq(static_cast<uint64_t>(i + 1)));
    store.End();
    store.CommitOldest();
  }
  return *store.Range({.keys = {"/registry/", "/registry0"}}, revision::Store::View::kCommitted);
}

void BM_EncodeRange(benchmark::State& state) {
  const revision::RangeResult page = Page(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(EncodeRange(kIds, page).size());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_EncodeRange)->Arg(1)->Arg(500);

void BM_EncodeWatch(benchmark::State& state) {
  watch::Response response;
  for (const revision::KvRef& kv : Page(state.range(0)).kvs) {
    response.events.push_back({.kv = kv, .prev = {}});
  }
  for (auto _ : state) benchmark::DoNotOptimize(EncodeWatch(kIds, response).size());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_EncodeWatch)->Arg(1)->Arg(8)->Arg(64);

}  // namespace
}  // namespace jetd::etcdapi

BENCHMARK_MAIN();
