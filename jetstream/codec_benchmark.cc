// SPDX-License-Identifier: Apache-2.0
// What it costs to spell a record: its subject and its header line, there and back.
#include <string>

#include "base/check.h"
#include "benchmark/benchmark.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

// range(0) of 0: a key that KV takes as it is; 1: bytes that must be escaped.
std::string KeyOf(int64_t escaped) {
  return escaped == 0 ? "/registry/pods/namespace-042/workload-6fa0e5b2-00000042"
                      : "/registry/pods/name space*/work>load.\x01\x02.00000042";
}

void BM_SubjectEncode(benchmark::State& state) {
  const SubjectCodec codec("etcd");
  const std::string key = KeyOf(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(codec.EncodeKey(key));
}
BENCHMARK(BM_SubjectEncode)->ArgName("escaped")->Arg(0)->Arg(1);

void BM_SubjectDecode(benchmark::State& state) {
  const SubjectCodec codec("etcd");
  const std::string subject = codec.EncodeKey(KeyOf(state.range(0)));
  for (auto _ : state) {
    const auto decoded = codec.Decode(subject);
    JETD_CHECK(decoded.ok()) << decoded.status();
    benchmark::DoNotOptimize(decoded->key.data());
  }
}
BENCHMARK(BM_SubjectDecode)->ArgName("escaped")->Arg(0)->Arg(1);

RecordHeader Header() {
  return {.revision = Revision(1'234'567),
          .create_revision = Revision(17),
          .version = 42,
          .lease = LeaseId(0x694d8b1c2f3a4e5d),
          .index = 1,
          .count = 1,
          .term = Term(3)};
}

void BM_HeaderEncode(benchmark::State& state) {
  const RecordHeader header = Header();
  for (auto _ : state) benchmark::DoNotOptimize(EncodeHeader(header));
}
BENCHMARK(BM_HeaderEncode);

void BM_HeaderDecode(benchmark::State& state) {
  const std::string line = EncodeHeader(Header());
  for (auto _ : state) {
    const auto header = DecodeHeader(line);
    JETD_CHECK(header.ok()) << header.status();
    benchmark::DoNotOptimize(header->revision.value());
  }
}
BENCHMARK(BM_HeaderDecode);

}  // namespace
}  // namespace jetd::jetstream

BENCHMARK_MAIN();
