// SPDX-License-Identifier: Apache-2.0
#include "jetstream/record.h"

#include <limits>
#include <random>
#include <string>

#include "base/limits.h"
#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

// The largest that has a next one.
constexpr int64_t kMax64 = std::numeric_limits<int64_t>::max() - 1;
constexpr uint64_t kMaxTerm = std::numeric_limits<uint64_t>::max() - 1;

TEST(RecordHeaderTest, TheExample) {
  const RecordHeader header{.revision = Revision(1042),
                            .create_revision = Revision(17),
                            .version = 5,
                            .lease = LeaseId(0),
                            .index = 1,
                            .count = 3,
                            .term = Term(2)};
  EXPECT_EQ(EncodeHeader(header), "1042 17 5 0 1/3 2");
  EXPECT_EQ(*DecodeHeader("1042 17 5 0 1/3 2"), header);
}

TEST(RecordHeaderTest, RoundTripAtTheEndsOfTheRanges) {
  const RecordHeader header{.revision = Revision(kMax64),
                            .create_revision = Revision(kMax64),
                            .version = kMax64,
                            .lease = LeaseId(-1),
                            .index = std::numeric_limits<uint32_t>::max(),
                            .count = std::numeric_limits<uint32_t>::max(),
                            .term = Term(kMaxTerm)};
  EXPECT_EQ(EncodeHeader(header).size(), 119U);
  EXPECT_EQ(*DecodeHeader(EncodeHeader(header)), header);
  for (int which = 0; which < 3; ++which) {
    RecordHeader beyond = header;
    if (which == 0) beyond.revision = beyond.revision.Next();
    if (which == 1) ++beyond.version;
    if (which == 2) beyond.term = beyond.term.Next();
    EXPECT_FALSE(DecodeHeader(EncodeHeader(beyond)).ok()) << EncodeHeader(beyond);
  }
}

TEST(RecordHeaderTest, RandomRoundTrip) {
  std::mt19937_64 random(7);
  const auto number = [&] { return static_cast<int64_t>(random() >> (1 + random() % 63)); };
  for (int i = 0; i < 20000; ++i) {
    RecordHeader header{.revision = Revision(number()),
                        .create_revision = Revision(number()),
                        .version = number(),
                        .lease = LeaseId(static_cast<int64_t>(random() >> (random() % 64))),
                        .index = 1,
                        .count = static_cast<uint32_t>(1 + random() % 1000),
                        .term = Term(random() >> (random() % 64))};
    header.index = static_cast<uint32_t>(1 + random() % header.count);
    const auto decoded = DecodeHeader(EncodeHeader(header));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(*decoded, header);
  }
}

TEST(RecordHeaderTest, OneSpelling) {
  for (const char* line : {"",
                           " ",
                           "1",
                           "1 1 1 0 1/1",
                           "1 1 1 0 1/1 ",
                           "1 1 1 0 1/1 1 ",
                           " 1 1 1 0 1/1 1",
                           "01 1 1 0 1/1 1",
                           "1 1 1 00 1/1 1",
                           "1 1 1 0 01/1 1",
                           "1 1 1 0 1/1 01",
                           "+1 1 1 0 1/1 1",
                           "-1 1 1 0 1/1 1",
                           "1 1 -1 0 1/1 1",
                           "1 1 1 A 1/1 1",
                           "1 1 1 0x1 1/1 1",
                           "1 1 1 -1 1/1 1",
                           "1 1 1 0 0/1 1",
                           "1 1 1 0 2/1 1",
                           "1 1 1 0 0/0 1",
                           "1 1 1 0 1 1",
                           "1 1 1 0 1//1 1",
                           "1  1 1 0 1/1 1",
                           "1\t1 1 0 1/1 1",
                           "1 1 1 0 1/1 1\n",
                           "9223372036854775808 1 1 0 1/1 1",
                           "1 1 1 11112222333344445 1/1 1",
                           "1 1 1 0 1/4294967296 1",
                           "1 1 1 0 1/1 18446744073709551616"}) {
    EXPECT_EQ(DecodeHeader(line).status().code(), absl::StatusCode::kInvalidArgument) << line;
  }
  EXPECT_FALSE(DecodeHeader(std::string(1 << 16, '1')).ok());
  EXPECT_FALSE(DecodeHeader(std::string_view("1 1 1 0 1/1 1\0", 14)).ok());
}

// Any one byte of a header replaced by any other: either refused or it means what it says.
TEST(RecordHeaderTest, EveryChangedByte) {
  const std::string line = "1042 17 5 6a 1/3 2";
  for (size_t at = 0; at < line.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = line;
      changed[at] = static_cast<char>(c);
      const auto decoded = DecodeHeader(changed);
      if (decoded.ok()) {
        ASSERT_EQ(EncodeHeader(*decoded), changed);
      }
    }
  }
}

TermRecord SampleTerm() {
  TermRecord term;
  term.term = Term(2);
  term.incarnation = "00112233445566778899aabbccddeeff";
  term.member_id = 0x8e9e05c52164694dU;
  term.member_name = "m\"1\n";
  term.client_urls = {"http://127.0.0.1:2379", "unix:///run/jetd.sock"};
  term.voids = {{StreamSeq(7), StreamSeq(9)}, {StreamSeq(12), StreamSeq(12)}};
  return term;
}

TEST(TermRecordTest, RoundTrip) {
  const TermRecord term = SampleTerm();
  const auto decoded = DecodeTerm(EncodeTerm(term));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->format, kFormatVersion);
  EXPECT_EQ(decoded->term, term.term);
  EXPECT_EQ(decoded->incarnation, term.incarnation);
  EXPECT_EQ(decoded->member_id, term.member_id);
  EXPECT_EQ(decoded->member_name, term.member_name);
  EXPECT_EQ(decoded->client_urls, term.client_urls);
  EXPECT_EQ(decoded->voids, term.voids);
}

TEST(TermRecordTest, IsJsonForPeople) {
  TermRecord term = SampleTerm();
  term.member_name = "default";
  term.client_urls = {};
  EXPECT_EQ(EncodeTerm(term),
            R"({"client_urls":[],"format":1,"incarnation":"00112233445566778899aabbccddeeff",)"
            R"("member_id":"8e9e05c52164694d","member_name":"default","term":2,)"
            R"("voids":[[7,9],[12,12]]})");
}

TEST(TermRecordTest, ANameThatIsNotUtf8IsReplacedNotThrown) {
  TermRecord term = SampleTerm();
  term.member_name = "a\xff";
  EXPECT_EQ(DecodeTerm(EncodeTerm(term))->member_name, "a\xef\xbf\xbd");
}

TEST(TermRecordTest, ANewerFormatIsRefusedWhateverElseItHolds) {
  EXPECT_EQ(DecodeTerm(R"({"format":2,"everything":"else"})").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(TermRecordTest, AnUnknownFieldOfTheSameFormatIsIgnored) {
  std::string payload = EncodeTerm(SampleTerm());
  payload.insert(1, R"("added":{"later":[1]},)");
  EXPECT_TRUE(DecodeTerm(payload).ok());
}

// Takes a valid payload and replaces one piece of it.
std::string With(std::string payload, std::string_view from, std::string_view to) {
  const size_t at = payload.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return payload.replace(at, from.size(), to);
}

TEST(TermRecordTest, BadPayloads) {
  const std::string good = EncodeTerm(SampleTerm());
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {"\"format\":1", "\"format\":0"},
           {"\"format\":1", "\"format\":-1"},
           {"\"format\":1", "\"format\":1.0"},
           {"\"format\":1", "\"format\":\"1\""},
           {"\"format\":1", "\"format\":18446744073709551615"},
           {"\"term\":2", "\"term\":-2"},
           {"\"term\":2", "\"term\":2e3"},
           {"\"term\":2", "\"term\":18446744073709551616"},
           {"\"term\":2", "\"tern\":2"},
           {"8e9e05c52164694d", "8E"},
           {"8e9e05c52164694d", ""},
           {"8e9e05c52164694d", "08"},
           {"00112233445566778899aabbccddeeff", ""},
           {"[7,9]", "[9,7]"},
           {"[7,9]", "[0,7]"},
           {"[7,9]", "[7]"},
           {"[7,9]", "7"},
           {"[7,9]", "[7,\"9\"]"},
           {"\"unix:///run/jetd.sock\"", "1"},
           {"\"voids\":[", "\"voids\":[["}}) {
    EXPECT_EQ(DecodeTerm(With(good, from, to)).status().code(), absl::StatusCode::kInvalidArgument)
        << to;
  }
  for (const char* payload : {"", "{", "[]", "null", "1", "\"\"", "{}", "{}{}", "\xff"}) {
    EXPECT_FALSE(DecodeTerm(payload).ok()) << payload;
  }
  EXPECT_FALSE(DecodeTerm(std::string(100'000, '[')).ok());
  EXPECT_FALSE(DecodeTerm(good + std::string(limits::kMaxOwnRecordBytes, ' ')).ok());
  EXPECT_FALSE(DecodeTerm(With(good, "0011223344", std::string(5000, 'a'))).ok());
}

TEST(CompactRecordTest, RoundTripAndBadPayloads) {
  const CompactRecord compact{.revision = Revision(kMax64), .bound = StreamSeq(99)};
  EXPECT_EQ(EncodeCompact(compact), R"({"bound":99,"revision":9223372036854775806})");
  const auto decoded = DecodeCompact(EncodeCompact(compact));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->revision, compact.revision);
  EXPECT_EQ(decoded->bound, compact.bound);
  for (const char* payload :
       {"", "{}", R"({"bound":1})", R"({"revision":1})", R"({"bound":-1,"revision":1})",
        R"({"bound":1,"revision":-1})", R"({"bound":1,"revision":9223372036854775808})"}) {
    EXPECT_FALSE(DecodeCompact(payload).ok()) << payload;
  }
}

TEST(LiveRecordTest, RoundTripAndBadPayloads) {
  const LiveRecord record{.range = {StreamSeq(1), StreamSeq(9)},
                          .live = {StreamSeq(2), StreamSeq(4), StreamSeq(5)}};
  EXPECT_EQ(EncodeLive(record), R"({"from":1,"live":"AQEA","to":9})");
  const LiveRecord none{.range = {StreamSeq(7), StreamSeq(7)}, .live = {}};
  LiveRecord far{.range = {StreamSeq(5), StreamSeq(uint64_t{1} << 62)}, .live = {}};
  far.live = {far.range.first, StreamSeq(300), StreamSeq(1'000'000), far.range.last};
  for (const LiveRecord& good : {record, none, far}) {
    const auto decoded = DecodeLive(EncodeLive(good));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->range, good.range);
    EXPECT_EQ(decoded->live, good.live);
  }
  for (const char* payload :
       {"", "{}", R"({"from":1,"to":9})", R"({"from":0,"live":"","to":9})",
        R"({"from":9,"live":"","to":8})", R"({"from":1,"live":"AQEA","to":4})",
        R"({"from":1,"live":"A","to":9})", R"({"from":1,"live":7,"to":9})",
        R"({"from":1,"live":"gA==","to":9})",             // a varint that does not end
        R"({"from":1,"live":"////////////","to":9})",     // one of more than 63 bits
        R"({"from":1,"live":"//////////9/","to":9})"}) {  // one beyond the range
    EXPECT_FALSE(DecodeLive(payload).ok()) << payload;
  }
}

// The largest is within what every reader takes, also when the listed ones lie far apart.
TEST(LiveRecordTest, FullRecordsAreNotTooLarge) {
  LiveRecord record{.range = {StreamSeq(1), StreamSeq(uint64_t{1} << 60)}, .live = {}};
  const uint64_t apart = record.range.last.value() / kMaxLivePerRecord;
  for (size_t i = 1; i <= kMaxLivePerRecord; ++i) record.live.emplace_back(i * apart);
  EXPECT_TRUE(DecodeLive(EncodeLive(record)).ok());
}

TEST(AlarmRecordTest, RoundTripAndBadPayloads) {
  const AlarmRecord record{.alarms = {{AlarmType::kNoSpace, 0x8e9e05c5},
                                      {AlarmType::kCorrupt, 0},
                                      {AlarmType::kMirror, 0x1879a3f0c4d2e600}}};
  EXPECT_EQ(EncodeAlarms(record),
            R"({"alarms":["NOSPACE 8e9e05c5","CORRUPT 0","MIRROR 1879a3f0c4d2e600"]})");
  for (const AlarmRecord& good : {record, AlarmRecord{}}) {
    const auto decoded = DecodeAlarms(EncodeAlarms(good));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->alarms, good.alarms);
  }
  // Of a jetd that knows more.
  const auto newer = DecodeAlarms(R"({"alarms":["FROST 1","CORRUPT 2"],"since":3})");
  ASSERT_TRUE(newer.ok()) << newer.status();
  EXPECT_EQ(newer->alarms, (std::vector<Alarm>{{AlarmType::kCorrupt, 2}}));
  for (const char* payload :
       {"", "{}", R"({"alarms":1})", R"({"alarms":[1]})", R"({"alarms":["NOSPACE"]})",
        R"({"alarms":["NOSPACE 08"]})", R"({"alarms":["NOSPACE X"]})",
        R"({"alarms":["NOSPACE 10000000000000000"]})"}) {
    EXPECT_FALSE(DecodeAlarms(payload).ok()) << payload;
  }
}

TEST(LeaseRecordTest, RoundTripAndBadPayloads) {
  const LeaseRecord lease{.ttl_s = limits::kMaxLeaseTtlSeconds, .granted_ms = 1'700'000'000'123};
  EXPECT_EQ(EncodeLease(lease), R"({"granted_ms":1700000000123,"ttl":9000000000})");
  const auto decoded = DecodeLease(EncodeLease(lease));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->ttl_s, lease.ttl_s);
  EXPECT_EQ(decoded->granted_ms, lease.granted_ms);
  for (const char* payload :
       {"", "{}", R"({"ttl":0,"granted_ms":1})", R"({"ttl":9000000001,"granted_ms":1})",
        R"({"ttl":60})", R"({"ttl":60,"granted_ms":-1})"}) {
    EXPECT_FALSE(DecodeLease(payload).ok()) << payload;
  }
}

}  // namespace
}  // namespace jetd::jetstream
