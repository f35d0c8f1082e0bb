// SPDX-License-Identifier: Apache-2.0
#include "watch/response.h"

namespace jetd::watch {
namespace {

// A header with random cluster and member ids, a revision and a term, and the watch id.
constexpr size_t kEmptyResponseBytes = 40;

// A length-delimited protobuf field with a tag of one byte.
size_t FieldBytes(size_t payload) {
  size_t length_bytes = 1;
  for (size_t rest = payload; rest >= 128; rest >>= 7) ++length_bytes;
  return 1 + length_bytes + payload;
}

}  // namespace

size_t EventBytes(const revision::Change& event) {
  size_t bytes = event.kv->tombstone() ? 2 : 0;
  bytes += FieldBytes(event.kv->encoded().size());
  if (event.prev) bytes += FieldBytes(event.prev->encoded().size());
  return FieldBytes(bytes);
}

size_t Response::size_bytes() const {
  size_t bytes = kEmptyResponseBytes + cancel_reason.size();
  for (const revision::Change& event : events) bytes += EventBytes(event);
  return bytes;
}

}  // namespace jetd::watch
