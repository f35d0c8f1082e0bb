// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_PLANNED_RECORD_H_
#define JETD_REVISION_PLANNED_RECORD_H_

#include <string>
#include <string_view>

#include "jetstream/log.h"
#include "revision/kv.h"

namespace jetd::revision {

// A record on its way into the log. It keeps all it needs to be sent again, byte for byte, after a
// lost connection; a client's value is not copied but held by reference.
struct PlannedRecord {
  std::string subject;
  std::string header;
  bool is_delete = false;
  KvRef kv;             // a put: its value is the payload
  std::string payload;  // a record of jetd's own

  [[nodiscard]] std::string_view body() const {
    return kv && !is_delete ? kv->value() : std::string_view(payload);
  }
  [[nodiscard]] size_t size_bytes() const { return subject.size() + header.size() + body().size(); }
  [[nodiscard]] jetstream::NewRecord view() const { return {subject, header, is_delete, body()}; }
  // True if `found` is this record: then the write that made it happened.
  [[nodiscard]] bool Matches(const jetstream::Record& found) const {
    return found.subject == subject && found.header == header && found.is_delete == is_delete &&
           found.payload == body();
  }
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_PLANNED_RECORD_H_
