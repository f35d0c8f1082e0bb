// SPDX-License-Identifier: Apache-2.0
#include "replication/stream_dump.h"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
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

namespace jetd::replication {
namespace {

using jetstream::EmbeddedServer;
using jetstream::NatsLog;
using jetstream::NatsLogOptions;
using jetstream::NatsTestServer;

constexpr char kBucket[] = "b";

// Makes the bucket, with a put of "k" in it.
class Filler : public jetstream::SilentObserver {
 public:
  explicit Filler(jetstream::NatsEndpointFn endpoint) : log_(&loop_, Options(std::move(endpoint))) {
    loop_.Post(
        [this] { log_.Open(this, [](const absl::Status& why) { JETD_CHECK(false) << why; }); });
    loop_.Run();
    log_.Close();
  }
  void OnConnected(const jetstream::LogInfo& info) override {
    jetstream::RecordHeader header{.revision = Revision(2), .create_revision = Revision(2)};
    header.version = 1;
    header.term = Term(1);
    const std::string subject = info.subject_prefix + "k";
    const std::string line = jetstream::EncodeHeader(header);
    log_.Append(StreamSeq(1), {.subject = subject, .header = line, .payload = "value"});
  }
  void OnAppended(StreamSeq /*seq*/) override { loop_.Stop(); }

 private:
  static NatsLogOptions Options(jetstream::NatsEndpointFn endpoint) {
    NatsLogOptions options;
    options.endpoint = std::move(endpoint);
    options.stream.bucket = kBucket;
    return options;
  }

  Loop loop_;
  NatsLog log_;
};

class StreamDumpTest : public testing::Test {
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

  // Keys that were put, or the error.
  static std::string Dump(StreamSource source) {
    source.bucket = kBucket;
    std::string keys;
    const auto result = DumpStream(source, [&](const StreamTransaction& transaction) {
      for (const StreamTransaction::Op& op : transaction.ops) CatTo(keys, op.key, " ");
    });
    return result.ok() ? Cat(keys, "up to ", result->revision.value())
                       : std::string(MessageOf(result.status()));
  }

  std::string program_;
  const ScratchFolder scratch_{ScratchFolder::kOnDisk};
  const std::string& folder_ = scratch_.path();
};

TEST_F(StreamDumpTest, ReadsFromAServerThatRuns) {
  const auto server = NatsTestServer::StartFrom("JETD_NATS_SERVER");
  const StreamSource source{.nats_urls = {server->url()}};
  // It does not make what it is to read.
  EXPECT_EQ(Dump(source), "stream KV_b is not there");
  EXPECT_EQ(Dump(source), "stream KV_b is not there");
  Filler filler(jetstream::RotateEndpoints({server->url()}, {}));
  EXPECT_EQ(Dump(source), "k up to 2");
}

TEST_F(StreamDumpTest, ReadsFromTheFolderOfAJetdThatDoesNotRun) {
  const StreamSource source{.data_dir = folder_, .nats_server = program_};
  {
    const auto server = StartEmbedded();
    Filler filler([&server] { return server->endpoint(); });
  }
  EXPECT_EQ(Dump(source), "k up to 2");
  EXPECT_EQ(Dump(source), "k up to 2");
}

TEST_F(StreamDumpTest, MakesNoStore) {
  const std::string none = folder_ + "/none";
  EXPECT_EQ(Dump({.data_dir = none, .nats_server = program_}),
            none + " is no data folder of jetd: it holds no folder \"nats\"");
  EXPECT_FALSE(std::filesystem::exists(none));
}

TEST_F(StreamDumpTest, WantsOneSource) {
  EXPECT_NE(Dump({}).find("either"), std::string::npos);
  EXPECT_NE(Dump({.data_dir = folder_, .nats_urls = {"nats://127.0.0.1:1"}}).find("either"),
            std::string::npos);
}

}  // namespace
}  // namespace jetd::replication
