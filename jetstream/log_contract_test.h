// SPDX-License-Identifier: Apache-2.0
//
// The rules of log.h as one test suite that every Log passes. log_contract_test.cc and
// log_contract_connection_test.cc hold the tests; a test binary takes them as sources (LOG_CONTRACT
// in CMakeLists.txt) beside a file of its own that gives a LogWorld:
//
//   class NatsLogWorld : public LogWorld { … };
//   INSTANTIATE_TEST_SUITE_P(Nats, LogContractTest,
//                            testing::Values(LogWorldFactory{"Nats", [] {
//                              return std::make_unique<NatsLogWorld>(); }}));
#ifndef JETD_JETSTREAM_LOG_CONTRACT_TEST_H_
#define JETD_JETSTREAM_LOG_CONTRACT_TEST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "base/types.h"
#include "gtest/gtest.h"
#include "jetstream/log.h"

namespace jetd::jetstream {

// One stream, empty at first, and logs on it. Made anew for every test. All calls come from the
// test's thread, which is the engine thread of the logs too.
class LogWorld {
 public:
  virtual ~LogWorld() = default;

  // A log on the stream with a connection of its own, not yet open. The world outlives it.
  virtual std::unique_ptr<Log> MakeLog() = 0;

  // Runs the engine until `done()` holds. False if that does not come to pass: a fake has nothing
  // left to do, a real one has waited far longer than a slow machine needs.
  [[nodiscard]] virtual bool RunUntil(const std::function<bool()>& done) = 0;

  // Breaks the connection of `log` as a cut cable or a killed server would, and keeps it broken
  // until RestoreConnection. Other logs may lose theirs too (a killed server). What the stream has
  // stored stays. Does not run the engine.
  virtual void BreakConnection(Log* log) = 0;
  virtual void RestoreConnection(Log* log) = 0;

  // Appends as another program would, without an expectation, and tells where it landed. An empty
  // header writes no `Jetd` line. Only called while nothing is broken. May run the engine.
  virtual StreamSeq AppendForeign(const NewRecord& record) = 0;

  // From now on the stream takes `records` more than it holds now, and then refuses for lack of
  // room (max_msgs with discard new). Only called while nothing is broken. May run the engine.
  virtual void LimitRoom(uint64_t records) = 0;
};

struct LogWorldFactory {
  std::string name;
  std::function<std::unique_ptr<LogWorld>()> make;
  friend std::ostream& operator<<(std::ostream& out, const LogWorldFactory& f) {
    return out << f.name;
  }
};

class LogContractTest : public testing::TestWithParam<LogWorldFactory> {
 protected:
  void SetUp() override { world_ = GetParam().make(); }
  // Logs of a test are locals of it: gone before the world.
  LogWorld& world() { return *world_; }

 private:
  std::unique_ptr<LogWorld> world_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_LOG_CONTRACT_TEST_H_
