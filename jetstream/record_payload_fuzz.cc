// SPDX-License-Identifier: Apache-2.0
// The input is a payload of each of jetd's own records. What is taken once is written in one form,
// and that form is taken again and means the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "jetstream/record.h"

namespace jetd::jetstream {
namespace {

template <typename Decode, typename Encode>
void Check(std::string_view payload, Decode decode, Encode encode) {
  const auto first = decode(payload);
  if (!first.ok()) return;
  const auto written = encode(*first);
  const auto second = decode(written);
  JETD_CHECK(second.ok()) << written;
  JETD_CHECK(encode(*second) == written) << written;
}

void CheckAll(std::string_view payload) {
  Check(payload, DecodeTerm, EncodeTerm);
  Check(payload, DecodeCompact, EncodeCompact);
  Check(payload, DecodeLive, EncodeLive);
  Check(payload, DecodeLease, EncodeLease);
  Check(payload, DecodeAlarms, EncodeAlarms);
}

}  // namespace
}  // namespace jetd::jetstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const std::string_view payload(reinterpret_cast<const char*>(data), size_bytes);
  jetd::jetstream::CheckAll(payload);
  return 0;
}
