// SPDX-License-Identifier: Apache-2.0
//
// Subjects that are too long for the wire. A server takes about 4,000 bytes on a line by default,
// and nats.c (3.4, 3.10) mixes up a message whose subject and reply pass 4,096 bytes together when
// its payload comes in more than one read. So a record with a longer subject is stored under a
// short one, with the true subject in a header; NatsLog undoes it wherever it hands records out:
//
//   $KV.b.<4,000 bytes>   is stored under   $KV.b.=long.<SHA-256 of the subject, hex>
//                         with the header   Jetd-Subject: $KV.b.<4,000 bytes>
//
// No key is encoded to `=long.…`: after `=` come two hex digits. Pure functions; any thread.
#ifndef JETD_JETSTREAM_LONG_SUBJECT_H_
#define JETD_JETSTREAM_LONG_SUBJECT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "jetstream/nats_message.h"

namespace jetd::jetstream {

inline constexpr const char* kSubjectHeader = "Jetd-Subject";
// Longer ones are stored as said. The rest of 4,096 is for reply subjects, sizes and a domain.
inline constexpr size_t kMaxPlainSubjectBytes = 3'500;

[[nodiscard]] inline bool IsLongSubject(std::string_view subject) {
  return subject.size() > kMaxPlainSubjectBytes;
}
// `prefix` is the bucket's, "$KV.b.".
[[nodiscard]] std::string ShortSubjectOf(std::string_view prefix, std::string_view subject);
// The true subject of a message that is stored under `stored`.
[[nodiscard]] std::string_view TrueSubjectOf(std::string_view prefix, std::string_view stored,
                                             const NatsMessage& message);
// The same where its headers were read: `header` is the value of kSubjectHeader, empty if none.
[[nodiscard]] std::string_view TrueSubjectOf(std::string_view prefix, std::string_view stored,
                                             std::string_view header);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_LONG_SUBJECT_H_
