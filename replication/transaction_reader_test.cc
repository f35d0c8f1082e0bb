// SPDX-License-Identifier: Apache-2.0
#include "replication/transaction_reader.h"

#include <optional>
#include <string>
#include <vector>

#include "base/fake_executor.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "jetstream/record.h"
#include "jetstream/silent_observer.h"
#include "replication/transaction_text.h"

namespace jetd::replication {
namespace {

class TransactionReaderTest : public ::testing::Test {
 protected:
  void Append(const std::string& subject, int64_t revision, uint32_t i, uint32_t n,
              const std::string& payload, bool is_delete = false, uint64_t term = 1) {
    jetstream::RecordHeader header{.revision = Revision(revision), .index = i, .count = n};
    header.term = Term(term);
    if (!is_delete) {
      header.create_revision = Revision(revision);
      header.version = 1;
    }
    stream_.AppendForeign({.subject = subject,
                           .header = jetstream::EncodeHeader(header),
                           .is_delete = is_delete,
                           .payload = payload});
  }
  void Put(const std::string& key, int64_t revision, uint32_t i = 1, uint32_t n = 1) {
    Append(codec_.EncodeKey(key), revision, i, n, "v");
  }
  void Delete(const std::string& key, int64_t revision, uint32_t i = 1, uint32_t n = 1) {
    Append(codec_.EncodeKey(key), revision, i, n, "", /*is_delete=*/true);
  }
  void TermAt(uint64_t term, int64_t revision, std::vector<jetstream::SeqRange> voids = {}) {
    jetstream::TermRecord record;
    record.term = Term(term);
    record.incarnation = "00112233445566778899aabbccddeeff";
    record.voids = std::move(voids);
    Append(codec_.TermSubject(), revision, 1, 1, EncodeTerm(record), /*is_delete=*/false, term);
  }

  // All transactions as text without their times, one a line, then how it ended.
  std::string Read() {
    jetstream::MemoryLog log(&exec_, &stream_, {});
    jetstream::SilentObserver observer;
    log.Open(&observer, [](const absl::Status&) {});
    exec_.RunDeferred();
    TransactionReader reader(&log, &codec_);
    std::string text;
    std::string end = "did not end";
    reader.Run(
        [&](const StreamTransaction& transaction) {
          std::string line = ToText(transaction, ShowValues::kNo);
          const size_t at = line.find(" at ");
          line.erase(at, line.find(':') - at);
          text += line + "\n";
        },
        [&](const absl::StatusOr<TransactionReader::Result>& result) {
          end = result.ok() ? "revision " + std::to_string(result->revision.value())
                            : std::string(result.status().message());
        });
    exec_.Advance(std::chrono::seconds(1));
    log.Close();
    return text + end;
  }

  FakeExecutor exec_;
  jetstream::MemoryStream stream_;
  jetstream::SubjectCodec codec_{"B"};
};

TEST_F(TransactionReaderTest, KeepsRecordsOfATransactionTogether) {
  Put("a", 2);
  Put("b", 3, 1, 2);
  Delete("a", 3, 2, 2);
  Put("c", 4);
  EXPECT_EQ(Read(),
            "revision 2 term 1: put a (version 1, created 2) 1 bytes\n"
            "revision 3 term 1: put b (version 1, created 3) 1 bytes; delete a\n"
            "revision 4 term 1: put c (version 1, created 4) 1 bytes\n"
            "revision 4");
}

TEST_F(TransactionReaderTest, MarksWhatIsVoid) {
  Put("a", 2);
  Put("g/0", 3, 1, 3);
  Put("g/1", 3, 2, 3);
  TermAt(2, 2, {{StreamSeq(2), StreamSeq(3)}});
  const std::string text = Read();
  EXPECT_NE(text.find("revision 3 term 1 void: put g/0 (version 1, created 3) 1 bytes; "
                      "put g/1 (version 1, created 3) 1 bytes\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("revision 2 term 2: term {"), std::string::npos) << text;
}

TEST_F(TransactionReaderTest, LeavesOutWhatIsUndecided) {
  Put("a", 2);
  Put("g/0", 3, 1, 2);
  EXPECT_EQ(Read(), "revision 2 term 1: put a (version 1, created 2) 1 bytes\nrevision 2");
}

TEST_F(TransactionReaderTest, AHoleIsAnError) {
  Put("a", 2);
  Put("b", 4);
  EXPECT_NE(Read().find("revision 4 follows 2"), std::string::npos);
}

TEST_F(TransactionReaderTest, WritesJson) {
  StreamTransaction transaction{.revision = Revision(7), .term = Term(2), .time_ns = 5};
  transaction.ops.push_back({.seq = StreamSeq(9),
                             .kind = StreamTransaction::Kind::kPut,
                             .key = "a\xff",
                             .payload = "hello",
                             .create_revision = Revision(3),
                             .version = 4,
                             .lease = LeaseId(255)});
  EXPECT_EQ(ToJson(transaction, ShowValues::kYes),
            R"({"ops":[{"create_revision":3,"key":"Yf8=","lease":"ff","name":"a)"
            "\xef\xbf\xbd"
            R"(","op":"put","seq":9,"value":"aGVsbG8=","value_bytes":5,"version":4}],)"
            R"("revision":7,"term":2,"time_ns":5,"valid":true})");
  EXPECT_EQ(
      ToText(transaction, ShowValues::kYes),
      "revision 7 term 2 at 0.000000005: put a\\xff (version 4, created 3, lease ff) 5 bytes: "
      "hello");
}

}  // namespace
}  // namespace jetd::replication
