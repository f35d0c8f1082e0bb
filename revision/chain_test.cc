// SPDX-License-Identifier: Apache-2.0
#include "revision/chain.h"

#include <memory>
#include <string>
#include <vector>

#include "base/fake_executor.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using jetstream::Record;

// A log that only notes what is sent.
class NotingLog : public MemoryLog {
 public:
  using MemoryLog::MemoryLog;
  void Append(StreamSeq predicted, const jetstream::NewRecord& record) override {
    sent.emplace_back(predicted.value(), std::string(record.payload));
  }
  std::vector<std::pair<uint64_t, std::string>> sent;
};

class ChainTest : public ::testing::Test {
 protected:
  const PlannedRecord* Make(std::string payload) {
    auto record = std::make_unique<PlannedRecord>();
    record->subject = "$KV.B.k";
    record->header = "h";
    record->payload = std::move(payload);
    records_.push_back(std::move(record));
    return records_.back().get();
  }
  static Record Found(uint64_t seq, std::string_view payload) {
    Record record;
    record.seq = StreamSeq(seq);
    record.subject = "$KV.B.k";
    record.header = "h";
    record.payload = payload;
    return record;
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  NotingLog log_{&exec_, &stream_};
  Chain chain_{&log_};
  std::vector<std::unique_ptr<PlannedRecord>> records_;
};

using Sent = std::vector<std::pair<uint64_t, std::string>>;

TEST_F(ChainTest, PredictsSequencesAndSendsEachOnce) {
  chain_.Reset(StreamSeq(10));
  EXPECT_EQ(chain_.next(), StreamSeq(11));
  chain_.Push(Make("a"));
  chain_.Push(Make("b"));
  chain_.SendMore();
  chain_.SendMore();
  EXPECT_EQ(log_.sent, (Sent{{11, "a"}, {12, "b"}}));
  EXPECT_TRUE(chain_.OnAppended(StreamSeq(11)));
  EXPECT_EQ(chain_.landed(), StreamSeq(11));
  EXPECT_EQ(chain_.unanswered(), 1U);
  EXPECT_EQ(chain_.next(), StreamSeq(13));
}

TEST_F(ChainTest, WindowBoundsWhatIsInFlight) {
  chain_.Reset(StreamSeq(0));
  for (size_t i = 0; i < limits::kMaxInFlightRecords + 5; ++i) chain_.Push(Make("x"));
  chain_.SendMore();
  EXPECT_EQ(log_.sent.size(), limits::kMaxInFlightRecords);
  EXPECT_TRUE(chain_.OnAppended(StreamSeq(1)));
  chain_.SendMore();
  EXPECT_EQ(log_.sent.size(), limits::kMaxInFlightRecords + 1);
}

TEST_F(ChainTest, ARecordLargerThanTheWindowGoesAlone) {
  chain_.Reset(StreamSeq(0));
  chain_.Push(Make(std::string(limits::kMaxInFlightBytes + 1, 'x')));
  chain_.Push(Make("y"));
  chain_.SendMore();
  EXPECT_EQ(log_.sent.size(), 1U);
  EXPECT_TRUE(chain_.OnAppended(StreamSeq(1)));
  chain_.SendMore();
  EXPECT_EQ(log_.sent.size(), 2U);
}

TEST_F(ChainTest, AfterALostConnectionOnlyWhatIsMissingIsSentAgain) {
  chain_.Reset(StreamSeq(0));
  chain_.Push(Make("a"));
  chain_.Push(Make("b"));
  chain_.Push(Make("c"));
  chain_.SendMore();
  chain_.OnDisconnected();
  EXPECT_TRUE(chain_.OnFound(Found(1, "a")));
  EXPECT_FALSE(chain_.OnFound(Found(2, "somebody else's")));
  EXPECT_FALSE(chain_.OnFound(Found(3, "c"))) << "its place is 3, but 2 is not settled";
  chain_.Rewind();
  log_.sent.clear();
  chain_.SendMore();
  EXPECT_EQ(log_.sent, (Sent{{2, "b"}, {3, "c"}}));
  EXPECT_TRUE(chain_.OnAppended(StreamSeq(2)));
}

TEST_F(ChainTest, AnAnswerToAnEarlierSendChangesNothing) {
  chain_.Reset(StreamSeq(0));
  chain_.Push(Make("a"));
  chain_.SendMore();
  chain_.OnDisconnected();
  EXPECT_TRUE(chain_.OnFound(Found(1, "a")));
  EXPECT_FALSE(chain_.OnAppended(StreamSeq(1)));
  EXPECT_EQ(chain_.landed(), StreamSeq(1));
}

TEST_F(ChainTest, RecordsNeverSentAreFoundToo) {
  // The window held it back, yet a leader before us (the same bytes) had put it there: impossible
  // by the header's term, but the chain must count right.
  chain_.Reset(StreamSeq(4));
  chain_.Push(Make("a"));
  EXPECT_TRUE(chain_.OnFound(Found(5, "a")));
  EXPECT_EQ(chain_.landed(), StreamSeq(5));
  EXPECT_EQ(chain_.sent(), StreamSeq(5));
}

}  // namespace
}  // namespace jetd::revision
