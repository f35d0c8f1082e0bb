// SPDX-License-Identifier: Apache-2.0
#include "jetstream/restore_record.h"

#include <cstdint>
#include <limits>

#include "base/limits.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {
namespace {

using nlohmann::json;

constexpr size_t kMaxTextBytes = 4096;
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max() - 1;

// 0: it is none.
int64_t NumberOf(const json& object, const char* name) {
  const auto field = object.find(name);
  if (field == object.end() || !field->is_number_unsigned()) return 0;
  const auto number = field->get<uint64_t>();
  return number <= static_cast<uint64_t>(kHighest) ? static_cast<int64_t>(number) : 0;
}

bool TakeText(const json& object, const char* name, std::string* text) {
  const auto field = object.find(name);
  if (field == object.end() || !field->is_string()) return false;
  *text = field->get<std::string>();
  return text->size() <= kMaxTextBytes;
}

}  // namespace

std::string RestoreSubject(const SubjectCodec& codec) { return codec.prefix() + "_jetd.restore"; }

std::string EncodeRestore(const RestoreRecord& restore) {
  json object = {{"what", restore.what},
                 {"id", restore.id},
                 {"revision", restore.revision.value()},
                 {"bumped", restore.bumped.value()}};
  if (restore.bump > 0) object["bump"] = restore.bump;
  return object.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

absl::StatusOr<RestoreRecord> DecodeRestore(std::string_view payload) {
  RestoreRecord restore;
  json object;
  if (payload.size() <= limits::kMaxOwnRecordBytes) {
    object = json::parse(payload, /*cb=*/nullptr, /*allow_exceptions=*/false);
  }
  if (!object.is_object() || !TakeText(object, "what", &restore.what) ||
      !TakeText(object, "id", &restore.id) || restore.id.empty()) {
    return absl::InvalidArgumentError("restore record: what or id is not there");
  }
  restore.revision = Revision(NumberOf(object, "revision"));
  restore.bumped = Revision(NumberOf(object, "bumped"));
  restore.bump = NumberOf(object, "bump");
  if (restore.revision < Revision(1) || restore.bumped <= restore.revision) {
    return absl::InvalidArgumentError("restore record: its revisions are none");
  }
  return restore;
}

}  // namespace jetd::jetstream
