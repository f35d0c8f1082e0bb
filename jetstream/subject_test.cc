// SPDX-License-Identifier: Apache-2.0
#include "jetstream/subject.h"

#include <cstdio>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

using Kind = SubjectCodec::Kind;

constexpr std::string_view kPrefix = "$KV.B.";

// --- A naive model: the rules of subject.h word for word, slowly. -----------------------------
std::string Escaped(char c) {
  char text[4];
  std::snprintf(text, sizeof(text), "=%02X", static_cast<unsigned char>(c));
  return text;
}

std::string ModelKey(const std::string& key) {
  const std::string plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/_.";
  std::vector<std::string> pieces;
  for (size_t i = 0; i < key.size(); ++i) {
    const bool edge = i == 0 || i == key.size() - 1;
    const bool bad_dot = key[i] == '.' && (edge || key[i - 1] == '.');
    const bool stands = plain.find(key[i]) != std::string::npos && !bad_dot;
    pieces.push_back(stands ? std::string(1, key[i]) : Escaped(key[i]));
  }
  const auto join = [&] {
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    return all;
  };
  const std::string all = join();
  if (all.substr(0, all.find('.')) == "_jetd") pieces[0] = "=5F";
  return join();
}

// --- What NATS's KV clients ask of a key: ^[-/_=.a-zA-Z0-9]+$, no dot at an end, no empty token.
// --
bool ValidForKv(const std::string& key) {
  const bool allowed = key.find_first_not_of(
                           "-/_=.abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == std::string::npos;
  const bool tokens =
      key.front() != '.' && key.back() != '.' && key.find("..") == std::string::npos;
  return allowed && tokens;
}

void CheckKey(const SubjectCodec& codec, const std::string& key) {
  const std::string subject = codec.EncodeKey(key);
  const std::string expected = std::string(kPrefix) + ModelKey(key);
  if (subject != expected) FAIL() << testing::PrintToString(key) << ": " << subject;
  if (codec.EncodedSize(key) != subject.size()) FAIL() << testing::PrintToString(key);
  const std::string text = subject.substr(kPrefix.size());
  if (!ValidForKv(text)) FAIL() << "not a KV key: " << text;
  if (text == "_jetd" || text.rfind("_jetd.", 0) == 0) FAIL() << "one of ours: " << text;
  const auto decoded = codec.Decode(subject);
  if (!decoded.ok()) FAIL() << decoded.status();
  if (decoded->kind != Kind::kKey || decoded->key != key) FAIL() << testing::PrintToString(key);
}

TEST(SubjectTest, EveryKeyOfOneAndTwoBytes) {
  const SubjectCodec codec("B");
  std::set<std::string> subjects;
  for (int a = 0; a < 256; ++a) {
    const std::string one(1, static_cast<char>(a));
    CheckKey(codec, one);
    subjects.insert(codec.EncodeKey(one));
    for (int b = 0; b < 256; ++b) {
      const std::string two = one + static_cast<char>(b);
      CheckKey(codec, two);
      subjects.insert(codec.EncodeKey(two));
    }
  }
  EXPECT_EQ(subjects.size(), 256U + 256U * 256U);  // no two keys share one
}

void CheckAllOver(const SubjectCodec& codec, const std::string& start, size_t length,
                  std::string_view alphabet) {
  if (!start.empty()) CheckKey(codec, start);
  if (start.size() >= length) return;
  for (const char c : alphabet) CheckAllOver(codec, start + c, length, alphabet);
}

TEST(SubjectTest, EveryShortKeyOverATrickyAlphabet) {
  const SubjectCodec codec("B");
  CheckAllOver(codec, "", 5, std::string_view("a._=/5*\0\xff", 9));
  for (const char* start : {"_jetd", "_jet", "_jetdx", "__jetd", "._jetd", "_jetd."}) {
    CheckAllOver(codec, start, std::string_view(start).size() + 3, "._=/xd> ");
  }
}

TEST(SubjectTest, RandomLongKeys) {
  const SubjectCodec codec("B");
  std::mt19937_64 random(20260101);
  for (int round = 0; round < 2000; ++round) {
    std::string key(1 + random() % (round % 100 == 0 ? 16384 : 300), '\0');
    const bool tricky = random() % 2 == 0;
    for (char& c : key) {
      c = tricky ? "._=/jetdA\x01>*"[random() % 12] : static_cast<char>(random());
    }
    CheckKey(codec, key);
  }
}

TEST(SubjectTest, KeysOfKubernetesStayReadable) {
  const SubjectCodec codec("B");
  EXPECT_EQ(codec.EncodeKey("/registry/pods/default/web"), "$KV.B./registry/pods/default/web");
  EXPECT_EQ(codec.EncodeKey("/registry/clusterroles/system:node"),
            "$KV.B./registry/clusterroles/system=3Anode");
  EXPECT_EQ(codec.EncodeKey("/registry/apps.example.com/x"), "$KV.B./registry/apps.example.com/x");
  EXPECT_EQ(codec.EncodeKey(".a..b"), "$KV.B.=2Ea.=2Eb");
  EXPECT_EQ(codec.EncodeKey("_jetd.x"), "$KV.B.=5Fjetd.x");
  EXPECT_EQ(codec.EncodeKey("_jetd."), "$KV.B._jetd=2E");
}

TEST(SubjectTest, ALongestKeyFits) {
  const SubjectCodec codec("0123456789012345678901234567890123456789");
  EXPECT_LT(codec.EncodedSize(std::string(16384, '*')), 65000U);
}

// Every text of up to four bytes over an alphabet of syntax: what Decode takes, EncodeKey writes.
void CheckSpelling(const SubjectCodec& codec, const std::string& text, size_t length,
                   std::string_view alphabet, int& taken) {
  const auto decoded = codec.Decode(std::string(kPrefix) + text);
  if (decoded.ok() && decoded->kind == Kind::kKey) {
    ++taken;
    ASSERT_EQ(codec.EncodeKey(decoded->key), std::string(kPrefix) + text);
  }
  if (text.size() >= length) return;
  for (const char c : alphabet) CheckSpelling(codec, text + c, length, alphabet, taken);
}

TEST(SubjectTest, NoSecondSpelling) {
  const SubjectCodec codec("B");
  int taken = 0;
  CheckSpelling(codec, "", 6, "=.2EeF5", taken);
  EXPECT_GT(taken, 1000);
  for (const char* text : {"",   "=",    "=2",    "=2e",  "a=41",     "=41",        "a.",
                           ".a", "a..b", "a=2Eb", "=5Fx", "=5Fjetdx", "=5Fjetd=2E", "a b",
                           "a*", ">",    "=GG",   "a=3",  "\xc3\xa9", "=3d",        "=3D=2"}) {
    EXPECT_FALSE(codec.Decode(std::string(kPrefix) + text).ok()) << text;
  }
}

TEST(SubjectTest, OtherBucketsAreRefused) {
  const SubjectCodec codec("B");
  for (const char* subject : {"", "$KV", "$KV.B", "$KV.B.", "$KV.BB.a", "$KV.b.a", "$JS.B.a"}) {
    EXPECT_EQ(codec.Decode(subject).status().code(), absl::StatusCode::kInvalidArgument) << subject;
  }
}

TEST(SubjectTest, OwnRecords) {
  const SubjectCodec codec("B");
  EXPECT_EQ(codec.Decode(codec.TermSubject())->kind, Kind::kTerm);
  EXPECT_EQ(codec.Decode(codec.CompactSubject())->kind, Kind::kCompact);
  EXPECT_EQ(codec.Decode(codec.BarrierSubject())->kind, Kind::kBarrier);
  EXPECT_EQ(codec.Decode(codec.LiveSubject())->kind, Kind::kLive);
  EXPECT_EQ(codec.Decode(codec.AlarmSubject())->kind, Kind::kAlarm);
  for (const char* rest :
       {"", ".", ".Term", ".term.x", ".lease", ".lease.", ".lease.0", ".lease.01", ".lease.A",
        ".lease.1.2", ".lease.11112222333344445", ".auth"}) {
    const auto decoded = codec.Decode(std::string("$KV.B._jetd") + rest);
    ASSERT_TRUE(decoded.ok()) << rest;
    EXPECT_EQ(decoded->kind, Kind::kOther) << rest;
  }
}

TEST(SubjectTest, Leases) {
  const SubjectCodec codec("B");
  EXPECT_EQ(codec.LeaseSubject(LeaseId(0x694d)), "$KV.B._jetd.lease.694d");
  for (const int64_t id : {int64_t{1}, int64_t{0x7fffffff}, std::numeric_limits<int64_t>::max(),
                           int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    const auto decoded = codec.Decode(codec.LeaseSubject(LeaseId(id)));
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->kind, Kind::kLease);
    EXPECT_EQ(decoded->lease, LeaseId(id));
  }
}

}  // namespace
}  // namespace jetd::jetstream
