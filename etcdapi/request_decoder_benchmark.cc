// SPDX-License-Identifier: Apache-2.0
// What it costs to read kube-apiserver's update, a transaction with a value of 1 KiB, and its get.
#include <string>

#include "base/check.h"
#include "base/etcdpb/rpc.pb.h"
#include "benchmark/benchmark.h"
#include "etcdapi/answer.h"
#include "etcdapi/request_decoder.h"

namespace jetd::etcdapi {
namespace {

constexpr char kKey[] = "/registry/pods/namespace-042/workload-6fa0e5b2-00000042";

template <typename Request>
void Decode(benchmark::State& state, const Request& request) {
  const rpc::Message bytes = EncodeMessage(request);
  Request message;
  for (auto _ : state) {
    JETD_CHECK(ParseRequest(bytes, &message).ok());
    benchmark::DoNotOptimize(message);
  }
}

void BM_DecodeUpdate(benchmark::State& state) {
  etcdserverpb::TxnRequest txn;
  auto& compare = *txn.add_compare();
  compare.set_target(etcdserverpb::Compare::MOD);
  compare.set_key(kKey);
  compare.set_mod_revision(123456);
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(kKey);
  put.set_value(std::string(1024, 'v'));
  txn.add_failure()->mutable_request_range()->set_key(kKey);
  Decode(state, txn);
}
BENCHMARK(BM_DecodeUpdate);

void BM_DecodeGet(benchmark::State& state) {
  etcdserverpb::RangeRequest get;
  get.set_key(kKey);
  Decode(state, get);
}
BENCHMARK(BM_DecodeGet);

}  // namespace
}  // namespace jetd::etcdapi

BENCHMARK_MAIN();
