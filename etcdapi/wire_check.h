// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_WIRE_CHECK_H_
#define JETD_ETCDAPI_WIRE_CHECK_H_

#include <string>
#include <string_view>

#include "google/protobuf/message.h"

namespace jetd::etcdapi {

// Why etcd's decoder (gogo/protobuf's generated code) would not take `bytes` as a message of this
// kind, in its words; "" if it would. It is stricter than C++'s, which keeps a known field of an
// unexpected wire type as an unknown one. Pure, any thread.
[[nodiscard]] std::string FindWireError(const google::protobuf::Descriptor& message,
                                        std::string_view bytes);

// True if C++'s decoder kept something in `message` that it did not know: then etcd's may have
// refused it.
[[nodiscard]] bool HasUnknownFields(const google::protobuf::Message& message);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_WIRE_CHECK_H_
