// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_PROMOTION_H_
#define JETD_REPLICATION_PROMOTION_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "replication/stream_source.h"

namespace jetd::replication {

// A mirror becomes the primary (docs/adr/0091-promotion.md):
//
//   check that all of it can be read       a mirror with holes is for `jetctl restore`
//   compare its state with the origin's    if that answers
//   seal the origin, if it answers         from here on nobody writes there, for ever
//   wait until the mirror has all of that, and check that it can be read
//   make it take records                   without its format: no jetd serves it yet
//   append a term record, which voids what was cut short at the end, and a compaction far above
//     all that the origin may have answered
//   give it its format back                a bucket, which a jetd may serve
//
// It may be stopped anywhere and run again; a mirror that was made to take records goes on from
// there.
struct PromotionOptions {
  // etcd's documentation says a billion to add for a cluster that comes from a snapshot.
  static constexpr int64_t kDefaultBump = 1'000'000'000;

  StreamSource mirror{};
  int64_t bump = kDefaultBump;
  // For the origin's last records, once before it is sealed and once after. Beyond: Unavailable.
  std::chrono::seconds catch_up{30};
  // A mirror whose state is another one than that of an origin that answers, or of which a jetd has
  // found that its records differ, is refused; kAccept: nothing is compared.
  enum class Differences { kRefuse, kAccept } differences = Differences::kRefuse;
  // For the comparison; beyond, it goes on without one.
  std::chrono::seconds compare{120};
  std::function<void(std::string_view line)> say{};  // what is being done, for people
};

struct Promotion {
  enum class Origin {
    kSealed,
    kUnreachable,  // it did not answer: its jetd refuses to serve it when it can ask this domain
    kGone,         // its server has no such stream
  };
  Origin origin = Origin::kUnreachable;
  std::string origin_domain{};
  // Sequences that the sealed origin has and this one has not, of a promotion that was begun while
  // the origin did not answer. 0 if it is not sealed: nobody knows.
  uint64_t missing = 0;
  // Of an origin that answered: why the states could not be compared; empty: they are the same.
  std::string uncompared{};
  // Of one that did not: its jetd had found that the mirror's records differ, or the mirror was
  // left as one that is no copy. Why, for people; empty: nothing of the kind is known.
  std::string doubted{};
  Revision newest;  // of what was taken over
  Revision bumped;  // what it is at, all before that compacted
  StreamSeq last;   // the newest record
};

// What would be promoted, and what that means for the origin; changes nothing.
[[nodiscard]] absl::StatusOr<Promotion> LookAtPromotion(const PromotionOptions& options);

// Blocks; any one thread. FailedPrecondition: it is no mirror, or no copy of the origin that
// answers. Aborted: somebody else changes the origin's configuration. Unavailable: the origin
// answers, and the mirror has not got all of it in time.
[[nodiscard]] absl::StatusOr<Promotion> Promote(const PromotionOptions& options);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_PROMOTION_H_
