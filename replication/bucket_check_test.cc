// SPDX-License-Identifier: Apache-2.0
//
// Checks of buckets on a real nats-server: one that runs, the folder of a jetd that runs, and of
// one that is stopped; with a byte of a file changed.
#include "replication/bucket_check.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/loop.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "gtest/gtest.h"
#include "jetstream/embedded_server.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/record.h"
#include "jetstream/silent_observer.h"
#include "jetstream/subject.h"

namespace jetd::replication {
namespace {

namespace fs = std::filesystem;
using jetstream::EmbeddedServer;
using jetstream::NatsLog;
using jetstream::NatsTestServer;

constexpr char kBucket[] = "b";
constexpr int kKeys = 20;
// Found in a block file by its text.
std::string ValueOf(int i) { return Cat("<the value of key ", i, ">"); }

// Makes the bucket, with a term record and kKeys puts in it.
class Filler : public jetstream::SilentObserver {
 public:
  explicit Filler(jetstream::NatsEndpointFn endpoint)
      : log_(&loop_, {.endpoint = std::move(endpoint), .stream = {.bucket = kBucket}}) {
    loop_.Post(
        [this] { log_.Open(this, [](const absl::Status& why) { JETD_CHECK(false) << why; }); });
    loop_.Run();
    log_.Close();
  }
  void OnConnected(const jetstream::LogInfo& /*info*/) override {
    jetstream::TermRecord term;
    term.term = Term(1);
    term.incarnation = "00112233445566778899aabbccddeeff";
    Append(1, codec_.TermSubject(), {.revision = Revision(1), .term = Term(1)}, EncodeTerm(term));
    for (int i = 0; i < kKeys; ++i) {
      const Revision revision(2 + i);
      Append(2 + i, codec_.EncodeKey(Cat("k", i)),
             {.revision = revision, .create_revision = revision, .version = 1, .term = Term(1)},
             ValueOf(i));
    }
  }
  void OnAppended(StreamSeq seq) override {
    if (seq == StreamSeq(kKeys + 1)) loop_.Stop();
  }

 private:
  void Append(int seq, const std::string& subject, const jetstream::RecordHeader& header,
              const std::string& payload) {
    const std::string line = EncodeHeader(header);
    log_.Append(StreamSeq(static_cast<uint64_t>(seq)),
                {.subject = subject, .header = line, .payload = payload});
  }

  Loop loop_;
  const jetstream::SubjectCodec codec_{kBucket};
  NatsLog log_;
};

class BucketCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* program = std::getenv("JETD_NATS_SERVER"); program != nullptr) {
      program_ = program;
    }
    if (program_.empty()) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }
  [[nodiscard]] std::unique_ptr<EmbeddedServer> StartEmbedded() const {
    auto server = EmbeddedServer::Start({.program = program_, .data_dir = folder_});
    JETD_CHECK(server.ok()) << server.status();
    return *std::move(server);
  }
  void FillFolder() const {
    const auto server = StartEmbedded();
    const Filler filler([&server] { return server->endpoint(); });
  }
  [[nodiscard]] StreamSource Folder(
      StreamSource::Stopped stopped = StreamSource::Stopped::kCopy) const {
    return {.bucket = kBucket, .data_dir = folder_, .nats_server = program_, .stopped = stopped};
  }
  static std::unique_ptr<BucketCheck> Check(const StreamSource& source) {
    auto check = BucketCheck::Run({.source = source});
    EXPECT_TRUE(check.ok()) << check.status();
    JETD_CHECK(check.ok()) << check.status();
    return *std::move(check);
  }
  // Every file below nats/, with what is in it.
  [[nodiscard]] std::map<std::string, std::string> Files() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/nats")) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      files[entry.path()] = std::string(std::istreambuf_iterator<char>(file), {});
    }
    return files;
  }

  std::string program_;
  const ScratchFolder scratch_{ScratchFolder::kOnDisk};
  const std::string& folder_ = scratch_.path();
};

TEST_F(BucketCheckTest, AServerThatRuns) {
  const auto server = NatsTestServer::StartFrom("JETD_NATS_SERVER");
  const Filler filler(jetstream::RotateEndpoints({server->url()}, {}));
  const auto check = Check({.bucket = kBucket, .nats_urls = {server->url()}});
  EXPECT_EQ(check->report().damages(), 0U) << ToText(check->report());
  EXPECT_EQ(check->report().keys, static_cast<uint64_t>(kKeys));
  EXPECT_EQ(check->report().revision, Revision(kKeys + 1));
  const auto hash = check->HashAt(Revision(kKeys + 1), Revision(0));
  ASSERT_TRUE(hash.ok()) << hash.status();
  EXPECT_EQ(*hash, check->report().hash);
  EXPECT_TRUE(check->HashAt(Revision(kKeys + 1), Revision(5)).ok());
}

TEST_F(BucketCheckTest, TheFolderOfAJetdThatIsStoppedStaysAsItIs) {
  FillFolder();
  const auto before = Files();
  ASSERT_FALSE(before.empty());
  {
    const auto check = Check(Folder());
    EXPECT_EQ(check->report().damages(), 0U) << ToText(check->report());
    EXPECT_EQ(check->report().keys, static_cast<uint64_t>(kKeys));
    EXPECT_EQ(check->name(), Cat("a copy of ", folder_));
  }
  EXPECT_EQ(Files(), before);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("check-")) << entry.path();
  }
}

TEST_F(BucketCheckTest, WhatAKilledCheckLeftThereGoes) {
  FillFolder();
  fs::create_directories(folder_ + "/check-abcdef/nats");
  std::ofstream(folder_ + "/check-abcdef/jetctl-check").close();
  const auto check = Check(Folder());
  EXPECT_FALSE(fs::exists(folder_ + "/check-abcdef"));
}

TEST_F(BucketCheckTest, WhatAnotherCheckUsesAndWhatIsNoCopyStays) {
  FillFolder();
  fs::create_directories(folder_ + "/check-backup/nats");
  const auto first = Check(Folder());
  const auto second = Check(Folder());
  int there = 0;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    there += entry.path().filename().string().starts_with("check-") ? 1 : 0;
  }
  EXPECT_EQ(there, 3);
  EXPECT_TRUE(fs::exists(folder_ + "/check-backup/nats"));
}

TEST_F(BucketCheckTest, TheFolderOfAJetdThatRuns) {
  FillFolder();
  const auto server = StartEmbedded();
  const auto check = Check(Folder());
  EXPECT_EQ(check->report().damages(), 0U) << ToText(check->report());
  EXPECT_EQ(check->name(), Cat("the jetd that runs on ", folder_));
}

TEST_F(BucketCheckTest, InPlace) {
  FillFolder();
  const auto check = Check(Folder(StreamSource::Stopped::kInPlace));
  EXPECT_EQ(check->report().damages(), 0U) << ToText(check->report());
  EXPECT_EQ(check->name(), folder_);
}

// nats-server's own check sum makes a record of it that cannot be read.
TEST_F(BucketCheckTest, AByteOfABlockFile) {
  FillFolder();
  const std::string block = Cat(folder_, "/nats/jetstream/$G/streams/KV_", kBucket, "/msgs/1.blk");
  const auto files = Files();
  ASSERT_TRUE(files.contains(block));
  std::string bytes = files.at(block);
  const size_t at = bytes.find(ValueOf(7));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 5] = '!';
  std::ofstream(block, std::ios::binary) << bytes;
  StreamSource source = Folder();
  // Nobody proves that it was not a power cut, so say that there was none.
  source.exclusive = StreamSource::Exclusive::kNo;
  const auto check = Check(source);
  EXPECT_GT(check->report().damages(), 0U) << ToText(check->report());
  EXPECT_NE(ToText(check->report()).find("revision 9"), std::string::npos)
      << ToText(check->report());
}

TEST_F(BucketCheckTest, SaysWhatIsWrong) {
  const auto no_folder = BucketCheck::Run({.source = {.data_dir = folder_ + "/none"}});
  EXPECT_EQ(MessageOf(no_folder.status()),
            folder_ + "/none is no data folder of jetd: it holds no folder \"nats\"");
  FillFolder();
  StreamSource source = Folder();
  source.nats_server.clear();
  EXPECT_NE(MessageOf(BucketCheck::Run({.source = source}).status()).find("give --nats-server"),
            std::string_view::npos);
  source = Folder();
  source.bucket = "other";
  EXPECT_EQ(MessageOf(BucketCheck::Run({.source = source}).status()),
            "stream KV_other is not there");
}

}  // namespace
}  // namespace jetd::replication
