// SPDX-License-Identifier: Apache-2.0
//
// For tests: a bucket in one of two JetStream domains, written by hand, and mirrors in the other.
#ifndef JETD_REPLICATION_MIRRORED_BUCKET_H_
#define JETD_REPLICATION_MIRRORED_BUCKET_H_

#include <memory>
#include <string>

#include "base/log.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/api_session.h"
#include "jetstream/nats_test_domains.h"
#include "replication/mirror_fixture.h"
#include "replication/mirrors.h"
#include "replication/stream_source.h"

namespace jetd::replication {

// Skips where there is no nats-server. The bucket has ten keys, /k0 to /k9, and is in the hub.
class MirroredBucketTest : public ::testing::Test {
 protected:
  static constexpr char kStream[] = "KV_b";

  void SetUp() override {
    log::Init({.level = log::Level::kError});
    domains_ = jetstream::NatsTestDomains::Start();
    if (domains_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    api_ = jetstream::ApiSession::Open({.urls = {domains_->hub().url()}}).value();
    MakeStream();
    writer_ = std::make_unique<HandWriter>(domains_->hub().url());
    writer_->Lead("00112233445566778899aabbccddeeff");
    for (int i = 0; i < 10; ++i) writer_->Put(Cat("/k", i), "v");
    writer_->Flush();
    mirrors_ = Mirrors::Open(Hub()).value();
  }
  // Before anything is written; otherwise it is made as a jetd makes it.
  virtual void MakeStream() {}

  [[nodiscard]] StreamSource Hub() const {
    return {.bucket = kMirrorBucket, .nats_urls = {domains_->hub().url()}};
  }
  [[nodiscard]] StreamSource Leaf() const {
    return {.bucket = kMirrorBucket, .nats_urls = {domains_->leaf().url()}};
  }
  // Asked by way of the hub. An error if it has none.
  absl::StatusOr<nlohmann::json> Ask(const std::string& domain, const std::string& what,
                                     const nlohmann::json& request = nullptr) {
    return api_->Ask(domain, Cat(what, ".", kStream), request);
  }
  // The mirror's stream is as long as what was written.
  [[nodiscard]] bool WaitForAll() {
    return WaitUntil([this] {
      const auto facts = mirrors_->LookAlone("dr");
      return facts.ok() && facts->stream.state.last.value() == writer_->last();
    });
  }
  void AddMirror() {
    const absl::Status added = mirrors_->Add({.domain = "dr"});
    ASSERT_TRUE(added.ok()) << added;
    ASSERT_TRUE(WaitForAll());
  }
  [[nodiscard]] bool Sealed(const std::string& domain) {
    return Ask(domain, "STREAM.INFO").value().at("config").value("sealed", false);
  }

  std::unique_ptr<jetstream::NatsTestDomains> domains_;
  std::unique_ptr<HandWriter> writer_;
  std::unique_ptr<jetstream::ApiSession> api_;  // on the hub
  std::unique_ptr<Mirrors> mirrors_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_MIRRORED_BUCKET_H_
