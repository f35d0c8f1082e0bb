// SPDX-License-Identifier: Apache-2.0
#include "tenant/jwt.h"

#include <string>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::tenant {
namespace {

using jetstream::NkeyKind;
using jetstream::NkeyPair;
using nlohmann::json;
using testing::HasSubstr;

constexpr int64_t kNow = 1'790'000'000;

class JwtTest : public testing::Test {
 protected:
  static json ClaimsOf(const std::string& jwt) {
    const size_t begin = jwt.find('.') + 1;
    std::string text;
    EXPECT_TRUE(absl::WebSafeBase64Unescape(jwt.substr(begin, jwt.rfind('.') - begin), &text));
    return json::parse(text);
  }
  static bool SignedBy(const std::string& jwt, const NkeyPair& key) {
    const size_t end = jwt.rfind('.');
    std::string signature;
    EXPECT_TRUE(absl::WebSafeBase64Unescape(jwt.substr(end + 1), &signature));
    return jetstream::VerifyNkey(key.public_key(), jwt.substr(0, end), signature);
  }

  const NkeyPair operator_ = NkeyPair::Generate(NkeyKind::kOperator);
  const NkeyPair account_ = NkeyPair::Generate(NkeyKind::kAccount);
  const NkeyPair user_ = NkeyPair::Generate(NkeyKind::kUser);
};

TEST_F(JwtTest, OperatorSignsItself) {
  const std::string jwt = OperatorJwt(operator_, "fleet", account_.public_key(), kNow);
  EXPECT_TRUE(SignedBy(jwt, operator_));
  const json claims = ClaimsOf(jwt);
  EXPECT_EQ(claims["sub"], operator_.public_key());
  EXPECT_EQ(claims["iss"], operator_.public_key());
  EXPECT_EQ(claims["iat"], kNow);
  EXPECT_EQ(claims["nats"]["type"], "operator");
  EXPECT_EQ(claims["nats"]["system_account"], account_.public_key());
}

TEST_F(JwtTest, AnAccountNamesItsLimits) {
  const AccountLimits limits{.storage_bytes = 1 << 30,
                             .streams = 1,
                             .consumers = 50,
                             .connections = 10,
                             .leaf_connections = 2};
  const std::string jwt = AccountJwt(operator_, account_.public_key(), "acme", limits, kNow);
  EXPECT_TRUE(SignedBy(jwt, operator_));
  const json claims = ClaimsOf(jwt);
  EXPECT_EQ(claims["sub"], account_.public_key());
  EXPECT_EQ(claims["iss"], operator_.public_key());
  EXPECT_EQ(claims["name"], "acme");
  const json numbers = claims["nats"]["limits"];
  EXPECT_EQ(numbers["disk_storage"], 1 << 30);
  EXPECT_EQ(numbers["mem_storage"], 0);
  EXPECT_EQ(numbers["streams"], 1);
  EXPECT_EQ(numbers["consumer"], 50);
  EXPECT_EQ(numbers["conn"], 10);
  EXPECT_EQ(numbers["leaf"], 2);
}

TEST_F(JwtTest, AUserMayWhatIsNamedAndNothingElse) {
  const std::string jwt = UserJwt(account_, user_.public_key(), "jetd",
                                  {.publish = {"$KV.etcd.>"}, .subscribe = {}}, kNow);
  EXPECT_TRUE(SignedBy(jwt, account_));
  const json nats = ClaimsOf(jwt)["nats"];
  EXPECT_EQ(nats["type"], "user");
  EXPECT_EQ(nats["pub"], json({{"allow", {"$KV.etcd.>"}}}));
  EXPECT_EQ(nats["sub"], json({{"deny", {">"}}})) << "nothing named is nothing allowed";
}

TEST_F(JwtTest, AnAccountNamesRevokedUsers) {
  const std::string jwt =
      AccountJwt(operator_, account_.public_key(), "acme", {}, kNow, {{user_.public_key(), kNow}});
  EXPECT_EQ(ClaimsOf(jwt)["nats"]["revocations"], json({{user_.public_key(), kNow}}));
  const std::string none = AccountJwt(operator_, account_.public_key(), "acme", {}, kNow);
  EXPECT_FALSE(ClaimsOf(none)["nats"].contains("revocations"));
}

TEST_F(JwtTest, ADeletionIsOfTheOperatorAboutAccounts) {
  const std::string jwt = DeletionJwt(operator_, {account_.public_key()}, kNow);
  EXPECT_TRUE(SignedBy(jwt, operator_));
  const json claims = ClaimsOf(jwt);
  EXPECT_EQ(claims["sub"], operator_.public_key());
  EXPECT_EQ(claims["iss"], operator_.public_key());
  EXPECT_EQ(claims["nats"]["accounts"], json::array({account_.public_key()}));
}

TEST_F(JwtTest, CredentialsHoldBoth) {
  const std::string text = CredentialsText("eyJ.x.y", user_.Seed());
  EXPECT_THAT(text, HasSubstr("\neyJ.x.y\n"));
  EXPECT_THAT(text, HasSubstr("\n" + user_.Seed() + "\n"));
}

}  // namespace
}  // namespace jetd::tenant
