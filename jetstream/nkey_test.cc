// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nkey.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <utility>

#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

// Of the bytes 0 to 31, by another implementation of Ed25519.
constexpr const char* kSeed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
constexpr const char* kPublic = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";

TEST(Nkey, PublicOfSeed) {
  const auto key = PublicNkeyOfSeed(kSeed);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(*key, kPublic);
}

TEST(Nkey, RefusesWhatIsNoSeed) {
  std::string seed = kSeed;
  seed[20] = seed[20] == 'A' ? 'B' : 'A';
  for (const std::string& bad : {std::string(), std::string("SU"), seed, std::string(kPublic),
                                 std::string(58, '1'), std::string(58, 'S')}) {
    const auto key = PublicNkeyOfSeed(bad);
    EXPECT_TRUE(absl::IsInvalidArgument(key.status())) << bad;
  }
}

TEST(Nkey, KindsAreToldByTheirFirstLetters) {
  for (const auto& [kind, letter] :
       {std::pair{NkeyKind::kOperator, 'O'}, {NkeyKind::kAccount, 'A'}, {NkeyKind::kUser, 'U'}}) {
    const NkeyPair key = NkeyPair::Generate(kind);
    EXPECT_EQ(key.public_key().front(), letter);
    const std::string seed = key.Seed();
    EXPECT_EQ(seed.substr(0, 2), std::string("S") + letter);
    const auto again = NkeyPair::FromSeed(seed);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->kind(), kind);
    EXPECT_EQ(again->public_key(), key.public_key());
    EXPECT_EQ(again->Seed(), seed);
  }
  EXPECT_EQ(NkeyPair::FromSeed(kSeed)->Seed(), kSeed);
}

TEST(Nkey, ASignatureIsOfOneKeyAndOneMessage) {
  const NkeyPair key = NkeyPair::Generate(NkeyKind::kAccount);
  const std::string signature = key.Sign("message");
  EXPECT_TRUE(VerifyNkey(key.public_key(), "message", signature));
  EXPECT_FALSE(VerifyNkey(key.public_key(), "another", signature));
  EXPECT_FALSE(
      VerifyNkey(NkeyPair::Generate(NkeyKind::kAccount).public_key(), "message", signature));
  EXPECT_FALSE(VerifyNkey("A", "message", signature));
  EXPECT_FALSE(VerifyNkey(key.public_key(), "message", ""));
}

TEST(Nkey, FileWithOtherLines) {
  const std::string path = testing::TempDir() + "/nkey_test." + std::to_string(getpid());
  std::ofstream(path) << "# user key\n\n" << kSeed << "\r\n";
  const auto key = PublicNkeyOfFile(path);
  EXPECT_TRUE(key.ok() && *key == kPublic) << key.status();
  std::ofstream(path) << "nothing\n";
  EXPECT_TRUE(absl::IsInvalidArgument(PublicNkeyOfFile(path).status()));
  std::remove(path.c_str());
  EXPECT_TRUE(absl::IsNotFound(PublicNkeyOfFile(path).status()));
}

TEST(Nkey, CredentialsHoldAJwtAndASeed) {
  const std::string path = testing::TempDir() + "/creds_test." + std::to_string(getpid());
  const std::string jwt = "-----BEGIN NATS USER JWT-----\neyJ0eXAi.eyJqdGki.c2ln\n";
  const std::string seed = Cat("-----BEGIN USER NKEY SEED-----\n", kSeed, "\n");
  const auto complaint = [&path](const std::string& text) {
    std::ofstream(path) << text;
    return std::string(CheckCredsFile(path).message());
  };
  EXPECT_EQ(complaint(Cat(jwt, seed)), "");
  EXPECT_NE(complaint(jwt).find("no nkey seed"), std::string::npos);
  EXPECT_NE(complaint(seed).find("no user JWT"), std::string::npos);
  const auto alone = ReadCredsFile(path);
  EXPECT_TRUE(alone.ok() && alone->jwt.empty() && alone->key.public_key() == kPublic);
  std::remove(path.c_str());
  EXPECT_NE(std::string(CheckCredsFile(path).message()).find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace jetd::jetstream
