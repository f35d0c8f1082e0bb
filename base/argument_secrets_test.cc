// SPDX-License-Identifier: Apache-2.0
#include "base/argument_secrets.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::StartsWith;

std::vector<std::string> Hidden(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "jetd");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  HideSecrets(static_cast<int>(argv.size()), argv.data());
  arguments.erase(arguments.begin());
  return arguments;
}

TEST(ArgumentSecretsTest, AreHiddenInEverySpelling) {
  EXPECT_THAT(Hidden({"--nats-url=nats://u:p@h:1"}), ElementsAre("--nats-url=nats://***@h:1"));
  EXPECT_THAT(Hidden({"--nats-url", "nats://token@h:1"}),
              ElementsAre("--nats-url", "nats://*****@h:1"));
  EXPECT_THAT(Hidden({"-endpoint", "nats://u:p/@x@h:1?bucket=b"}),
              ElementsAre("-endpoint", "nats://******@h:1?bucket=b"));
  EXPECT_THAT(Hidden({"--nats-url=nats://u:p@a,nats://u:p@b"}),
              ElementsAre("--nats-url=nats://****************@b"));
  EXPECT_THAT(Hidden({"--nats-url=u:p@h:1"}), ElementsAre("--nats-url=***@h:1"));
}

TEST(ArgumentSecretsTest, AreHiddenInJetctlsArgumentsToo) {
  EXPECT_THAT(Hidden({"restore", "--nats-url=nats://u:p@h:1", "--to-nats-url", "nats://u:p@h:2",
                      "--to-bucket=a@b"}),
              ElementsAre("restore", "--nats-url=nats://***@h:1", "--to-nats-url", "nats://***@h:2",
                          "--to-bucket=a@b"));
}

TEST(ArgumentSecretsTest, TheRestStaysAsItIs) {
  const std::vector<std::string> rest = {
      "--nats-url", "nats://h:1", "--name", "a@b", "--endpoint=nats://h?bucket=b", "x", "-", ""};
  EXPECT_EQ(Hidden(rest), rest);
  EXPECT_THAT(Hidden({"--nats-url"}), ElementsAre("--nats-url"));
}

TEST(ArgumentSecretsTest, AWarningNamesTheMend) {
  EXPECT_THAT(
      WarnOfSecrets({"--name=a@b", "--nats-url", "nats://u:p@h:1", "--endpoint=nats://t@h"}),
      ElementsAre(EndsWith("give the URL by JETD_NATS_URL, or use --nats-creds"),
                  StartsWith("--endpoint: everybody on this machine could read the user")));
  EXPECT_THAT(WarnOfSecrets({"--nats-url=nats://h:1", "--nats-url"}), ElementsAre());
}

}  // namespace
}  // namespace jetd
