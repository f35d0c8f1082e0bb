// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_MIRROR_BOUND_H_
#define JETD_REVISION_MIRROR_BOUND_H_

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/types.h"
#include "jetstream/log.h"

namespace jetd::revision {

// MirrorBound says how far removal may go, so that no mirror loses what it has not copied yet
// (docs/adr/0090-mirrors.md):
//
//   mirrors that are behind by no more than their cap hold everything back that they have not;
//   one that is behind by more holds back only the last delete markers of keys that are gone:
//   without one it would have the key for ever. What else it misses is no restore point of its.
//
//   the stream ends at 5,000; a, cap 1,000, has all up to 4,700; b, cap 1,000, up to 1,200
//     superseded records may go up to 4,700 (b is past its cap), last markers up to 1,200
//
// A mirror counts with the position that it was last heard at. One that was never heard of since
// this began has no position; its cap is counted from where the stream ended when it was first
// asked for. One that is no copy of the stream has no position either: what it has at some sequence
// is not what the stream has. So past its cap values go, and what shows that it is none stays.
//
// Plain value, no thread of its own.
class MirrorBound {
 public:
  static constexpr StreamSeq kNone{std::numeric_limits<uint64_t>::max()};

  // What a look at the mirrors has found; who is not in it is no mirror any more.
  void Update(const std::vector<jetstream::MirrorState>& mirrors);
  // Where mirrors were heard at says nothing any more: the stream may have gone back since. How
  // long each was waited for stays.
  void Distrust();

  // All at or below may go; kNone: there is no bound.
  [[nodiscard]] StreamSeq superseded() const { return superseded_; }
  [[nodiscard]] StreamSeq last_markers() const { return last_markers_; }

 private:
  struct Known {
    StreamSeq reached{};       // 0: never heard of
    StreamSeq counted_from{};  // its lag is
  };
  std::map<std::string, Known> known_;  // by name
  StreamSeq superseded_ = kNone;
  StreamSeq last_markers_ = kNone;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_MIRROR_BOUND_H_
