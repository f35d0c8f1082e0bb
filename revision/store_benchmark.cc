// SPDX-License-Identifier: Apache-2.0
// What the store's operations cost. Keys as Kubernetes has them, values of 1 KiB:
//
//   build/release/revision/store_benchmark
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "revision/store.h"
#include "revision/value_harness.h"

namespace jetd::revision {
namespace {

constexpr std::string_view kFromKey("\0", 1);

std::string KeyOf(int64_t i) {
  char key[80];
  std::snprintf(key, sizeof(key), "/registry/pods/namespace-%03d/workload-%08x-%06d",
                static_cast<int>(i % 100), static_cast<unsigned>(i * 2654435761U),
                static_cast<int>(i));
  return key;
}

void CommittedPut(Store& store, std::string_view key, std::string_view value) {
  store.Begin();
  store.Put(key, value, LeaseId(), StreamSeq(static_cast<uint64_t>(store.newest().value())));
  store.End();
  store.CommitOldest();
}

// Values beyond 16 MiB in files, or all in memory.
enum Values : int64_t { kInMemory, kInFiles };
constexpr size_t kBudgetBytes = 16UL << 20;

// `keys` keys, the first `overwrites` of them written twice.
struct Filled {
  explicit Filled(int64_t key_count, int64_t overwrites = 0, int64_t values = kInMemory)
      : value(1024, 'v') {
    if (values == kInFiles) {
      store.UseValueFiles(OpenValueFiles({.folder = folder.emplace(ScratchFolder::kOnDisk).path()}),
                          {.budget_bytes = kBudgetBytes});
    }
    for (int64_t i = 0; i < key_count; ++i) keys.push_back(KeyOf(i));
    for (const std::string& key : keys) CommittedPut(store, key, value);
    for (int64_t i = 0; i < overwrites; ++i) {
      CommittedPut(store, keys[static_cast<size_t>(i % key_count)], value);
    }
  }
  std::vector<std::string> keys;
  std::string value;
  std::optional<ScratchFolder> folder;
  Store store;
};

size_t HeapBytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

void BM_Put(benchmark::State& state) {
  Filled filled(state.range(0), 0, state.range(1));
  std::minstd_rand random(1);
  int64_t n = 0;
  for (auto _ : state) {
    CommittedPut(filled.store, filled.keys[random() % filled.keys.size()], filled.value);
    if (++n % 100000 == 0) {
      state.PauseTiming();
      filled.store.Compact(filled.store.committed());
      state.ResumeTiming();
    }
  }
}
BENCHMARK(BM_Put)->Args({1000, kInMemory})->Args({100000, kInMemory})->Args({100000, kInFiles});

void BM_PutAndRollback(benchmark::State& state) {
  Filled filled(100000);
  std::minstd_rand random(1);
  for (auto _ : state) {
    filled.store.Begin();
    filled.store.Put(filled.keys[random() % filled.keys.size()], filled.value, LeaseId(),
                     StreamSeq(1));
    filled.store.End();
    filled.store.Rollback();
  }
}
BENCHMARK(BM_PutAndRollback);

void BM_Get(benchmark::State& state) {
  Filled filled(state.range(0), 0, state.range(1));
  std::minstd_rand random(1);
  for (auto _ : state) {
    const std::string& key = filled.keys[random() % filled.keys.size()];
    benchmark::DoNotOptimize(filled.store.Get(key, Store::View::kCommitted));
  }
}
BENCHMARK(BM_Get)->Args({1000, kInMemory})->Args({100000, kInMemory})->Args({100000, kInFiles});

// Per key of the answer.
void BM_RangeAll(benchmark::State& state) {
  Filled filled(state.range(0), 0, state.range(1));
  for (auto _ : state) {
    auto result =
        filled.store.Range({.keys = {"/registry/", "/registry0"}}, Store::View::kCommitted);
    benchmark::DoNotOptimize(result->kvs.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_RangeAll)
    ->Args({1000, kInMemory})
    ->Args({100000, kInMemory})
    ->Args({100000, kInFiles});

// The pages of a big list, 500 keys of 100,000: etcd's answer has the count of all that follow.
void BM_RangePage(benchmark::State& state) {
  Filled filled(100000, 0, state.range(0));
  std::minstd_rand random(1);
  for (auto _ : state) {
    const std::string& key = filled.keys[random() % filled.keys.size()];
    auto result =
        filled.store.Range({.keys = {key, "/registry0"}, .limit = 500}, Store::View::kCommitted);
    benchmark::DoNotOptimize(result->count);
  }
}
BENCHMARK(BM_RangePage)->Arg(kInMemory)->Arg(kInFiles);

// Per key counted.
void BM_Count(benchmark::State& state) {
  Filled filled(state.range(0));
  for (auto _ : state) {
    auto result =
        filled.store.Range({.keys = {"", kFromKey}, .count_only = true}, Store::View::kCommitted);
    benchmark::DoNotOptimize(result->count);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Count)->Arg(1000)->Arg(100000);

// Per change read.
void BM_History(benchmark::State& state) {
  Filled filled(1000, 9000);
  for (auto _ : state) {
    size_t bytes = 0;
    const auto next = filled.store.History(Revision(2), SIZE_MAX, [&bytes](const Change& change) {
      bytes += change.kv->encoded().size();
    });
    benchmark::DoNotOptimize(next.ok());
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(state.iterations() * 10000);
}
BENCHMARK(BM_History);

// Per superseded version; a million keys are not visited for the sake of 10,000.
void BM_Compact(benchmark::State& state) {
  Filled filled(state.range(0));
  filled.store.Compact(filled.store.committed());
  for (auto _ : state) {
    state.PauseTiming();
    for (size_t i = 0; i < 10000; ++i) CommittedPut(filled.store, filled.keys[i], filled.value);
    state.ResumeTiming();
    benchmark::DoNotOptimize(filled.store.Compact(filled.store.committed()).superseded.data());
  }
  state.SetItemsProcessed(state.iterations() * 10000);
}
BENCHMARK(BM_Compact)->Arg(10000)->Arg(100000);

void BM_HashKv(benchmark::State& state) {
  Filled filled(state.range(0));
  filled.store.Compact(filled.store.committed());
  for (auto _ : state) benchmark::DoNotOptimize(filled.store.HashKv(Revision())->hash);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_HashKv)->Arg(100000);

// 100,000 keys of 1 KiB and 90,000 overwrites: heap taken per version, and how much of it is
// neither key nor value.
void BM_Memory(benchmark::State& state) {
  for (auto _ : state) {
    const size_t before = HeapBytes();
    size_t keys_bytes = 0;
    size_t own_bytes = 0;
    {
      const Filled filled(100000, 90000, state.range(0));
      for (const std::string& key : filled.keys) keys_bytes += key.size();
      // The benchmark's own list of keys, each on the heap.
      own_bytes = filled.keys.capacity() * sizeof(std::string) + filled.keys.size() * 64;
      const size_t taken = HeapBytes() - before - own_bytes;
      state.counters["heap_MB"] = static_cast<double>(taken) / 1e6;
      state.counters["files_MB"] = static_cast<double>(filled.store.stats().file_bytes) / 1e6;
      if (state.range(0) == kInFiles) continue;
      const size_t payload = 190000 * 1024 + keys_bytes * 19 / 10;
      state.counters["overhead_per_version"] = static_cast<double>(taken - payload) / 190000;
    }
  }
}
BENCHMARK(BM_Memory)->Arg(kInMemory)->Arg(kInFiles)->Iterations(1);

}  // namespace
}  // namespace jetd::revision

BENCHMARK_MAIN();
