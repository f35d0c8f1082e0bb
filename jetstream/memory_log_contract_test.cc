// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <random>

#include "base/fake_executor.h"
#include "jetstream/log_contract_test.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"

namespace jetd::jetstream {
namespace {

// With a seed, everything takes a random while and what is in flight at a break meets a random
// fate. Late records are not landed: the contract speaks of one writer after a break.
class MemoryLogWorld : public LogWorld {
 public:
  explicit MemoryLogWorld(uint64_t seed) : random_(seed) {
    if (seed == 0) return;
    const auto delay = [this] { return std::chrono::microseconds(random_() % 1000); };
    options_.faults.request_delay = delay;
    options_.faults.answer_delay = delay;
    options_.faults.api_delay = delay;
    options_.faults.sync_delay = delay;
    options_.faults.fate = [this](StreamSeq) {
      return random_() % 2 == 0 ? AppendFate::kLands : AppendFate::kNever;
    };
    options_.read_batch = 7;
  }

  std::unique_ptr<Log> MakeLog() override {
    return std::make_unique<MemoryLog>(&exec_, &stream_, options_);
  }
  bool RunUntil(const std::function<bool()>& done) override {
    for (int i = 0; i < 1'000'000 && !done(); ++i) {
      if (exec_.idle() && exec_.timers() == 0) return done();
      exec_.Advance(std::chrono::microseconds(50));
    }
    return done();
  }
  void BreakConnection(Log* log) override { static_cast<MemoryLog*>(log)->Disconnect(); }
  void RestoreConnection(Log* log) override { static_cast<MemoryLog*>(log)->Reconnect(); }
  StreamSeq AppendForeign(const NewRecord& record) override {
    return stream_.AppendForeign(record);
  }
  void LimitRoom(uint64_t records) override {
    stream_.set_max_messages(stream_.State().messages + records);
  }

 private:
  std::mt19937_64 random_;
  MemoryLog::Options options_;
  FakeExecutor exec_;
  MemoryStream stream_;
};

LogWorldFactory Factory(std::string name, uint64_t seed) {
  return {std::move(name), [seed] { return std::make_unique<MemoryLogWorld>(seed); }};
}

INSTANTIATE_TEST_SUITE_P(Memory, LogContractTest,
                         testing::Values(Factory("Quiet", 0), Factory("Seed1", 1),
                                         Factory("Seed2", 2), Factory("Seed3", 3)),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace jetd::jetstream
