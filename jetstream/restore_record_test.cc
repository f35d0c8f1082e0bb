// SPDX-License-Identifier: Apache-2.0
#include "jetstream/restore_record.h"

#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

TEST(RestoreRecordTest, RoundTripAndBadPayloads) {
  RestoreRecord restore;
  restore.what = "revision 42 of bucket etcd, 3 keys";
  restore.id = "00112233445566778899aabbccddeeff";
  restore.revision = Revision(42);
  restore.bumped = Revision(1'042);
  EXPECT_EQ(EncodeRestore(restore),
            R"({"bumped":1042,"id":"00112233445566778899aabbccddeeff","revision":42,)"
            R"("what":"revision 42 of bucket etcd, 3 keys"})");
  const auto decoded = DecodeRestore(EncodeRestore(restore));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->what, restore.what);
  EXPECT_EQ(decoded->id, restore.id);
  EXPECT_EQ(decoded->revision, restore.revision);
  EXPECT_EQ(decoded->bumped, restore.bumped);
  EXPECT_EQ(decoded->bump, 0);
  restore.bump = 1'000;
  EXPECT_EQ(DecodeRestore(EncodeRestore(restore))->bump, 1'000);
  for (const char* bad : {R"({"bumped":42,"id":"a","revision":42,"what":""})",
                          R"({"bumped":42,"id":"a","revision":0,"what":""})",
                          R"({"bumped":42,"id":"a","revision":-1,"what":""})",
                          R"({"bumped":9223372036854775807,"id":"a","revision":1,"what":""})",
                          R"({"bumped":42,"id":"","revision":1,"what":""})",
                          R"({"bumped":42,"id":"a","revision":1})", "", "[]", "7"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeRestore(bad).status())) << bad;
  }
}

// So every version refuses it, by the rule for records of later ones.
TEST(RestoreRecordTest, ItIsOfAKindThatIsNotKnown) {
  const SubjectCodec codec("B");
  const auto decoded = codec.Decode(RestoreSubject(codec));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->kind, SubjectCodec::Kind::kOther);
}

}  // namespace
}  // namespace jetd::jetstream
