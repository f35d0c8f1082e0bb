// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include "gtest/gtest.h"

namespace jetd {
namespace {

TEST(ErrorTest, CodeComesBack) {
  const absl::Status status = MakeError(Errc::kLeaseNotFound, "lease 7");
  EXPECT_EQ(GetErrc(status), Errc::kLeaseNotFound);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "lease 7");
}

TEST(ErrorTest, EveryCodeIsAnErrorAndComesBack) {
  for (int i = 1; i <= static_cast<int>(Errc::kRecordTooLarge); ++i) {
    const absl::Status status = MakeError(static_cast<Errc>(i));
    EXPECT_FALSE(status.ok()) << i;
    EXPECT_NE(status.code(), absl::StatusCode::kInternal) << i;
    EXPECT_EQ(static_cast<int>(GetErrc(status)), i);
  }
}

TEST(ErrorTest, ForeignStatusHasNone) {
  EXPECT_EQ(GetErrc(absl::OkStatus()), Errc::kNone);
  EXPECT_EQ(GetErrc(absl::InternalError("x")), Errc::kNone);
}

}  // namespace
}  // namespace jetd
