// SPDX-License-Identifier: Apache-2.0
// The input is the part of a subject behind the bucket, and then a key.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/strings.h"
#include "jetstream/subject.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  using Kind = jetd::jetstream::SubjectCodec::Kind;
  static const jetd::jetstream::SubjectCodec codec("B");
  const std::string input(reinterpret_cast<const char*>(data), size_bytes);

  const std::string subject = jetd::Cat(codec.prefix(), input);
  const auto decoded = codec.Decode(subject);
  if (decoded.ok() && decoded->kind == Kind::kKey) {
    JETD_CHECK(codec.EncodeKey(decoded->key) == subject);
  }
  if (decoded.ok() && decoded->kind == Kind::kLease) {
    JETD_CHECK(codec.LeaseSubject(decoded->lease) == subject);
  }
  if (input.empty()) return 0;
  const std::string encoded = codec.EncodeKey(input);
  JETD_CHECK(codec.EncodedSize(input) == encoded.size());
  const auto again = codec.Decode(encoded);
  JETD_CHECK(again.ok() && again->kind == Kind::kKey && again->key == input);
  return 0;
}
