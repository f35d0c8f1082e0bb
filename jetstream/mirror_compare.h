// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_MIRROR_COMPARE_H_
#define JETD_JETSTREAM_MIRROR_COMPARE_H_

#include <string>

#include "jetstream/domain_api.h"
#include "jetstream/log.h"

namespace jetd::jetstream {

// Log::CompareWithMirror by requests for single messages, which a bucket's user may make of any
// mirror (bucket_access.h): the origin is asked for one after the other, the mirror for as many at
// a time as `mirror` does. Subject, headers (but for NATS's own) and payload are compared, byte by
// byte. Holds no more than the question's `max_bytes` and one record.
//
// `origin` and `mirror` outlive it, or nobody is called.
void CompareRecords(DomainApi* origin, DomainApi* mirror, const std::string& bucket,
                    const std::string& origin_domain, const CompareQuestion& question,
                    Log::CompareFn done);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_MIRROR_COMPARE_H_
