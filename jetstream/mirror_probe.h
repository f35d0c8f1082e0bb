// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_MIRROR_PROBE_H_
#define JETD_JETSTREAM_MIRROR_PROBE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "jetstream/domain_api.h"
#include "jetstream/log.h"
#include "jetstream/mirror_config.h"

namespace jetd::jetstream {

// A declared mirror as it is.
struct MirrorReport {
  MirrorState state;
  std::optional<MirrorFacts> facts;  // nothing: it did not answer
};

struct MirrorQuestion {
  std::string bucket{};
  std::string domain{};  // the origin's; empty: that of the origin's server
  // One mirror by its domain, whether it is declared or not; empty: all that are declared.
  std::string only_domain{};
  MirrorsQuestion look{};
};

// Asks the origin which mirrors it has, each of them how far it is and of what, and then the origin
// again, so that what a mirror has the origin must have too; compares term records, all that the
// origin still has and the mirror must have; and reads in its alarms what leaders have found. A
// mirror that does not answer is reported as that; `done` gets an error only if the origin does
// not. `origin` and `mirrors` may be the same; both outlive the questions, or nobody is called.
void AskMirrors(DomainApi* origin, DomainApi* mirrors, const MirrorQuestion& question,
                std::function<void(absl::StatusOr<std::vector<MirrorReport>>)> done);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_MIRROR_PROBE_H_
