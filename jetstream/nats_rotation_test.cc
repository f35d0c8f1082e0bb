// SPDX-License-Identifier: Apache-2.0
//
// Secrets that change while a log is connected: the server ends the connection of the old one, and
// the next connection shows what the file holds by then.
#include <fstream>
#include <memory>
#include <string>

#include "base/loop_runner.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/silent_observer.h"
#include "jetstream/testing/user_jwt.h"

namespace jetd::jetstream {
namespace {

class NatsRotationTest : public testing::Test, public SilentObserver, protected LoopRunner {
 protected:
  bool StartWith(const std::string& config) {
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER", config);
    return server_ != nullptr;
  }
  void Open(NatsCredentials credentials) {
    NatsLogOptions options;
    options.stream.bucket = "b";
    options.endpoint = RotateEndpoints({server_->url()}, std::move(credentials));
    options.min_backoff = std::chrono::milliseconds(1);
    log_ = std::make_unique<NatsLog>(&loop_, std::move(options));
    log_->Open(this, [](const absl::Status& why) { FAIL() << why; });
  }
  std::string Write(const std::string& name, const std::string& text) {
    std::string path = Cat(server_->folder(), "/", name);
    std::ofstream(path) << text;
    return path;
  }
  void OnConnected(const LogInfo& /*info*/) override { ++connections_; }

  std::unique_ptr<NatsTestServer> server_;
  int connections_ = 0;
  std::unique_ptr<NatsLog> log_;
};

TEST_F(NatsRotationTest, Token) {
  if (!StartWith("authorization { token: one }\n")) GTEST_SKIP() << "no JETD_NATS_SERVER";
  Open({.token_file = Write("token", "one\n")});
  ASSERT_TRUE(RunUntil([&] { return connections_ == 1; }));
  (void)Write("token", " two\n");
  server_->Reload("authorization { token: two }\n");
  ASSERT_TRUE(RunUntil([&] { return connections_ == 2; }));
}

TEST_F(NatsRotationTest, Nkey) {
  const NkeyPair one = NkeyPair::Generate(NkeyKind::kUser);
  const NkeyPair two = NkeyPair::Generate(NkeyKind::kUser);
  const auto config = [](const NkeyPair& pair) {
    return Cat("authorization { users: [ { nkey: ", pair.public_key(), " } ] }\n");
  };
  if (!StartWith(config(one))) GTEST_SKIP() << "no JETD_NATS_SERVER";
  Open({.nkey_seed_file = Write("seed", one.Seed() + "\n")});
  ASSERT_TRUE(RunUntil([&] { return connections_ == 1; }));
  (void)Write("seed", two.Seed() + "\n");
  server_->Reload(config(two));
  ASSERT_TRUE(RunUntil([&] { return connections_ == 2; }));
}

// An operator's server: accounts and users are what its keys have signed.
TEST_F(NatsRotationTest, Creds) {
  const NkeyPair op = NkeyPair::Generate(NkeyKind::kOperator);
  const NkeyPair system = NkeyPair::Generate(NkeyKind::kAccount);
  const NkeyPair account = NkeyPair::Generate(NkeyKind::kAccount);
  // Made once, since they hold the second in which they are made: a server does not take another
  // operator while it runs.
  const std::string operator_jwt = OperatorJwt(op);
  const std::string system_jwt = AccountJwt(op, system, AccountKind::kSystem);
  const auto config = [&](const std::string& revoked) {
    return Cat("operator: ", operator_jwt, "\nsystem_account: ", system.public_key(),
               "\nresolver: MEMORY\nresolver_preload: {\n", system.public_key(), ": ", system_jwt,
               "\n", account.public_key(), ": ",
               AccountJwt(op, account, AccountKind::kOrdinary, revoked), "\n}\n");
  };
  const NkeyPair one = NkeyPair::Generate(NkeyKind::kUser);
  const NkeyPair two = NkeyPair::Generate(NkeyKind::kUser);
  if (!StartWith(config(""))) GTEST_SKIP() << "no JETD_NATS_SERVER";
  const std::string creds = Write("creds", CredsFile(account, one));
  Open({.creds_file = creds});
  ASSERT_TRUE(RunUntil([&] { return connections_ == 1; }));
  (void)Write("creds", CredsFile(account, two));
  server_->Reload(config(one.public_key()));
  ASSERT_TRUE(RunUntil([&] { return connections_ == 2; }));
}

}  // namespace
}  // namespace jetd::jetstream
