// SPDX-License-Identifier: Apache-2.0
//
// What the hub costs per event and watcher, without encoding and transport. `items` are events
// delivered.
#include <malloc.h>

#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "benchmark/benchmark.h"
#include "watch/feed.h"
#include "watch/watch_harness.h"

namespace jetd::watch {
namespace {

// A client that reads everything at once and keeps nothing.
class Drain : public WatchHub::Sink {
 public:
  explicit Drain(Harness* harness) : stream(harness->hub->OpenStream(this)) {}
  void Deliver(Response response) override {
    bytes_ += response.size_bytes();
    events += response.events.size();
  }
  void Write() { stream->Written(std::exchange(bytes_, 0)); }

  size_t events = 0;
  std::unique_ptr<WatchHub::Stream> stream;

 private:
  size_t bytes_ = 0;
};

// range(0) watchers of one prefix, each on a stream of its own; range(1) commits in a round.
void BM_SameRange(benchmark::State& state) {
  Harness harness;
  std::vector<std::unique_ptr<Drain>> clients;
  for (int i = 0; i < state.range(0); ++i) {
    clients.push_back(std::make_unique<Drain>(&harness));
    clients.back()->stream->Create(
        {.key = "/registry/pods/", .range_end = "/registry/pods0", .prev_kv = true});
  }
  harness.Put("/registry/pods/default/web", std::string(1'000, 'v'));
  const auto changes = harness.Txn([&] {
    harness.store.Put("/registry/pods/default/web", std::string(1'000, 'w'), LeaseId{}, {});
  });
  harness.Settle();
  for (auto& client : clients) client->Write();
  for (auto _ : state) {
    for (int i = 0; i < state.range(1); ++i) {
      harness.hub->OnCommit(harness.store.committed(), changes);
    }
    harness.executor.Advance(Feed::kPause);
    for (auto& client : clients) client->Write();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * state.range(1));
}
BENCHMARK(BM_SameRange)->Args({1, 1})->Args({100, 1})->Args({100, 10})->Args({5'000, 1});

// range(0) watchers, each of a prefix of its own, of which one matches.
void BM_OneOfMany(benchmark::State& state) {
  Harness harness;
  Drain client(&harness);
  for (int i = 0; i < state.range(0); ++i) {
    const std::string prefix = Cat("/registry/kind", i);
    client.stream->Create({.key = prefix + "/", .range_end = prefix + "0"});
  }
  const auto changes = harness.Txn([&] {
    harness.store.Put("/registry/kind77/default/web", std::string(1'000, 'w'), LeaseId{}, {});
  });
  harness.Settle();
  client.Write();
  for (auto _ : state) {
    harness.hub->OnCommit(harness.store.committed(), changes);
    harness.executor.RunDeferred();
    client.Write();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_OneOfMany)->Arg(100)->Arg(10'000);

// range(0) watchers read 10,000 revisions of history.
void BM_CatchUp(benchmark::State& state) {
  constexpr int kRevisions = 10'000;
  Harness harness;
  for (int i = 0; i < kRevisions; ++i) harness.Put(Cat("/k/", i % 1'000), std::string(100, 'v'));
  for (auto _ : state) {
    std::vector<std::unique_ptr<Drain>> clients;
    for (int i = 0; i < state.range(0); ++i) {
      clients.push_back(std::make_unique<Drain>(&harness));
      clients.back()->stream->Create(
          {.key = "/k/", .range_end = "/k0", .start_revision = Revision{2}});
    }
    while (harness.hub->stats().unsynced > 0) {
      harness.Settle();
      for (auto& client : clients) client->Write();
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * kRevisions);
}
BENCHMARK(BM_CatchUp)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);

// Memory of range(0) watches on each of range(1) streams; every watch has a range of its own.
void BM_Open(benchmark::State& state) {
  Harness harness;
  double bytes = 0;
  for (auto _ : state) {
    const size_t before = mallinfo2().uordblks;
    std::vector<std::unique_ptr<Drain>> clients;
    for (int s = 0; s < state.range(1); ++s) {
      clients.push_back(std::make_unique<Drain>(&harness));
      for (int i = 0; i < state.range(0); ++i) {
        clients.back()->stream->Create({.key = Cat("/registry/", s, "/kind", i)});
      }
    }
    bytes = static_cast<double>(mallinfo2().uordblks - before);
  }
  const int64_t watches = state.range(0) * state.range(1);
  state.SetItemsProcessed(state.iterations() * watches);
  state.counters["bytes_a_watch"] = bytes / static_cast<double>(watches);
}
BENCHMARK(BM_Open)->Args({5'000, 1})->Args({10, 500})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace jetd::watch

BENCHMARK_MAIN();
