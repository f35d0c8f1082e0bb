// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/lease_map.h"

#include <string>
#include <vector>

namespace jetd::conformance::differential {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool NamesALease(const Message& message, const FieldDescriptor& field) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_INT64 || field.is_repeated()) return false;
  return field.name() == "lease" ||
         (field.name() == "ID" && message.GetDescriptor()->name().rfind("Lease", 0) == 0);
}

}  // namespace

void LeaseMap::Learn(int64_t known_as, int64_t actual) {
  MutexLock lock(mutex_);
  to_actual_[known_as] = actual;
  to_known_[actual] = known_as;
}

int64_t LeaseMap::Actual(int64_t known_as) const {
  MutexLock lock(mutex_);
  const auto found = to_actual_.find(known_as);
  return found == to_actual_.end() ? known_as : found->second;
}

void LeaseMap::ToActual(Message& message) const {
  MutexLock lock(mutex_);
  Translate(message, to_actual_);
}

void LeaseMap::ToKnown(Message& message) const {
  MutexLock lock(mutex_);
  Translate(message, to_known_);
}

void LeaseMap::Translate(Message& message, const Ids& ids) {
  if (ids.empty()) return;
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (NamesALease(message, *field)) {
      const auto found = ids.find(reflection->GetInt64(message, field));
      if (found != ids.end()) reflection->SetInt64(&message, field, found->second);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) {
        Translate(*reflection->MutableMessage(&message, field), ids);
        continue;
      }
      for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
        Translate(*reflection->MutableRepeatedMessage(&message, field, i), ids);
      }
    }
  }
}

}  // namespace jetd::conformance::differential
