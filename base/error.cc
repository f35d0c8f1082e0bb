// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <string>

#include "absl/strings/cord.h"

namespace jetd {
namespace {

constexpr char kPayload[] = "jetd/errc";

absl::StatusCode CodeOf(Errc code) {
  switch (code) {
    case Errc::kNone:
      return absl::StatusCode::kOk;
    case Errc::kCompacted:
    case Errc::kFutureRevision:
      return absl::StatusCode::kOutOfRange;
    case Errc::kKeyNotFound:
    case Errc::kKeyTooLong:
    case Errc::kDuplicateKey:
    case Errc::kRecordTooLarge:
      return absl::StatusCode::kInvalidArgument;
    case Errc::kLeaseNotFound:
      return absl::StatusCode::kNotFound;
    case Errc::kLeaseExists:
      return absl::StatusCode::kFailedPrecondition;
    case Errc::kLeaseTtlTooLarge:
      return absl::StatusCode::kOutOfRange;
    case Errc::kTooManyRequests:
    case Errc::kNoSpace:
      return absl::StatusCode::kResourceExhausted;
    case Errc::kUnavailable:
    case Errc::kNoLeader:
    case Errc::kStopped:
    case Errc::kTimeout:
      return absl::StatusCode::kUnavailable;
    case Errc::kCorrupt:
      return absl::StatusCode::kDataLoss;
  }
  return absl::StatusCode::kInternal;
}

}  // namespace

absl::Status MakeError(Errc code, std::string_view detail) {
  absl::Status status(CodeOf(code), std::string(detail));
  if (!status.ok()) status.SetPayload(kPayload, absl::Cord(std::to_string(static_cast<int>(code))));
  return status;
}

Errc GetErrc(const absl::Status& status) {
  if (status.ok()) return Errc::kNone;
  const auto payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return Errc::kNone;
  return static_cast<Errc>(std::stoi(std::string(*payload)));
}

}  // namespace jetd
