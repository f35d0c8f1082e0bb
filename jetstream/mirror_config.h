// SPDX-License-Identifier: Apache-2.0
//
// Mirrors of a bucket's stream in other JetStream domains, as the configurations of the streams
// have them (docs/adr/0090-mirrors.md). Pure functions and plain values; any thread.
#ifndef JETD_JETSTREAM_MIRROR_CONFIG_H_
#define JETD_JETSTREAM_MIRROR_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {

// As the origin's stream declares it, in its metadata:
//   "jetd.mirror.dr": {"cap":1000000,"domain":"dr"}
// The stream in the other domain has the bucket's own name, so that it can become the primary.
struct MirrorDeclaration {
  static constexpr uint64_t kDefaultCap = 1'000'000;
  std::string name{};  // letters, digits, - and _
  std::string domain{};
  uint64_t cap_records = kDefaultCap;
  friend bool operator==(const MirrorDeclaration&, const MirrorDeclaration&) = default;
};
// By name. What cannot be read is left out.
[[nodiscard]] std::vector<MirrorDeclaration> DeclaredMirrors(const nlohmann::json& config);
void DeclareMirror(const MirrorDeclaration& mirror, nlohmann::json* config);
// False: there was none of that name.
[[nodiscard]] bool TakeBackMirror(const std::string& name, nlohmann::json* config);

// What a mirror was made of, in its own metadata.
struct OriginMark {
  std::string domain{};
  int64_t created_ns = 0;  // of the origin's stream
};

// The configuration of a bucket's mirror: with all that a bucket has, but for its subjects.
[[nodiscard]] nlohmann::json MirrorStreamConfig(const std::string& bucket, int replicas,
                                                const OriginMark& origin);

// The steps of a promotion, from a mirror's configuration: it takes records and nobody may serve it
// yet; and it is a bucket. `now` is put down for people.
[[nodiscard]] nlohmann::json PromotingConfig(const std::string& bucket, nlohmann::json config);
[[nodiscard]] nlohmann::json PromotedConfig(nlohmann::json config, const std::string& now);
// And of the old primary, which is sealed for ever.
[[nodiscard]] nlohmann::json SealedConfig(nlohmann::json config, const std::string& by_domain);

// And of a mirror that was found to be no copy and is kept all the same: why, for people. Its
// origin forgets that once it does not declare it any more.
void MarkNoCopy(const std::string& why, nlohmann::json* config);

// What an answer to STREAM.INFO says of a stream that is or was a mirror.
struct MirrorFacts {
  StreamFacts stream{};
  int64_t newest_ns = 0;  // the stamp of its newest record; 0: none
  bool mirrors = false;   // it copies another stream
  OriginMark origin{};    // created_ns 0: it was not made by jetctl
  bool promoting = false;
  std::string promoted{};  // when it became a primary; "": it did not
  std::string no_copy{};   // why it is none of its origin, as MarkNoCopy wrote it; "": not said
  int64_t silent_ns = -1;  // since it last heard of its origin; -1: never
  std::string error{};     // what the server says of that
};
[[nodiscard]] absl::StatusOr<MirrorFacts> MirrorFactsOf(const nlohmann::json& answer);

// A message as the answer to a STREAM.MSG.GET has it, to be compared and nothing else: the lines of
// its headers but for NATS's own, which a mirror does not keep all, and the payload in base64.
struct StoredMessage {
  StreamSeq seq{};
  std::string subject{}, headers{}, payload{};
  friend bool operator==(const StoredMessage&, const StoredMessage&) = default;
  [[nodiscard]] size_t bytes() const { return subject.size() + headers.size() + payload.size(); }
  // The value of a header, alive as long as this is; empty: it has none.
  [[nodiscard]] std::string_view Header(std::string_view name) const;
};
// Unavailable if the answer has none.
[[nodiscard]] absl::StatusOr<StoredMessage> StoredMessageOf(const nlohmann::json& answer);

// Whether a stream's newest record of alarms, as the answer to a STREAM.MSG.GET has it, says of the
// mirror whose stream was made then that it is no copy.
[[nodiscard]] bool SaysNoCopy(const nlohmann::json& answer, int64_t made_ns);

// What is known of an origin and of a mirror of it, the origin asked after the mirror. A mirror
// takes in what is above its own last sequence and nothing else, and says nothing of that: so it is
// one only if it was made of this stream, is not ahead of it, and has the term records that it must
// have. A leader that goes on where the stream has lost its tail begins with one, at a sequence
// that a mirror which had the tail has given away.
struct MirrorEvidence {
  StreamFacts origin{};
  MirrorFacts mirror{};
  // The first term record of the origin's in whose place, or behind which, the mirror has something
  // else; 0: none was found.
  StreamSeq other{};
  // A leader has compared its records, found that they differ, and said so in the stream: an alarm
  // of the kind kMirror. It stays so for as long as the mirror's stream is that one.
  bool differs = false;
};
struct MirrorVerdict {
  MirrorState::Fit fit = MirrorState::Fit::kFits;
  std::string what{};  // for people, if it does not fit
};
[[nodiscard]] MirrorVerdict JudgeMirror(const MirrorEvidence& evidence);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_MIRROR_CONFIG_H_
