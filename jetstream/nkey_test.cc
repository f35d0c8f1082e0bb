// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nkey.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>

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

}  // namespace
}  // namespace jetd::jetstream
