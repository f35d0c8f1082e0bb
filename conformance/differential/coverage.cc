// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/coverage.h"

#include <iomanip>

#include "base/strings.h"

namespace jetd::conformance::differential {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kNul("\0", 1);

// "Compare" for Compare, "Put" for PutRequest, "Put in Txn" is told apart by RequestOp's fields.
std::string ShortName(const Message& message) {
  std::string name = message.GetDescriptor()->name();
  const std::string suffix = "Request";
  if (name.size() > suffix.size() && name.ends_with(suffix)) {
    name.resize(name.size() - suffix.size());
  }
  return name;
}

bool HasEnum(const Message& message, const FieldDescriptor& field) {
  // 0 says something in these, too.
  return field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM && !field.is_repeated() &&
         message.GetDescriptor()->name() != "WatchRequest";
}

std::string EnumName(const Message& message, const FieldDescriptor& field) {
  const int number = message.GetReflection()->GetEnumValue(message, &field);
  const auto* value = field.enum_type()->FindValueByNumber(number);
  return value == nullptr ? "unknown" : value->name();
}

// How a range is given matters more than that it is.
std::string RangeKind(const Message& message) {
  const auto* key = message.GetDescriptor()->FindFieldByName("key");
  const auto* end = message.GetDescriptor()->FindFieldByName("range_end");
  if (key == nullptr || end == nullptr) return "";
  const std::string from = message.GetReflection()->GetString(message, key);
  const std::string to = message.GetReflection()->GetString(message, end);
  if (to.empty()) return "one key";
  if (to == kNul) return from == kNul ? "all keys" : "from key";
  return to <= from ? "an empty range" : "a range";
}

}  // namespace

void Coverage::CountMessage(const Message& message) {
  const std::string name = ShortName(message);
  const auto* descriptor = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  if (const std::string kind = RangeKind(message); !kind.empty()) Count(name + ": " + kind);
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor& field = *descriptor->field(i);
    if (HasEnum(message, field)) {
      Count(Cat(name, ".", field.name(), "=", EnumName(message, field)));
      continue;
    }
    if (field.is_repeated()) {
      const int size = reflection->FieldSize(message, &field);
      if (size > 0) Count(Cat(name, ".", field.name()));
      for (int j = 0; j < size && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE; ++j) {
        CountMessage(reflection->GetRepeatedMessage(message, &field, j));
      }
      continue;
    }
    if (!reflection->HasField(message, &field)) continue;
    Count(Cat(name, ".", field.name()));
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CountMessage(reflection->GetMessage(message, &field));
    }
  }
}

namespace {

struct RequestOf {
  const Message* operator()(const StreamedRange& call) const { return &call.request; }
  const Message* operator()(const WatchControl& call) const { return &call.request; }
  const Message* operator()(const RawCall&) const { return nullptr; }
  const Message* operator()(const WatchProgress&) const { return nullptr; }
  const Message* operator()(const AwaitNotification&) const { return nullptr; }
  const Message* operator()(const CloseWatchStream&) const { return nullptr; }
  const Message* operator()(const AwaitExpiry&) const { return nullptr; }
  const Message* operator()(const KillServers&) const { return nullptr; }
  template <typename Request>
  const Message* operator()(const Request& request) const {
    return &request;
  }
};

}  // namespace

void Coverage::CountStep(const Step& step, const Answer& answer) {
  Count("call " + NameOf(step.call));
  if (const Message* request = std::visit(RequestOf(), step.call); request != nullptr) {
    CountMessage(*request);
  }
  if (!answer.status.ok()) {
    // Without the sizes that gRPC tells.
    const std::string_view text = MessageOf(answer.status);
    Count(Cat("error ", text.substr(0, text.find(" ("))));
    return;
  }
  if (const auto* range = dynamic_cast<const pb::RangeResponse*>(answer.message.get())) {
    if (range->more()) Count("answer Range.more");
  } else if (const auto* txn = dynamic_cast<const pb::TxnResponse*>(answer.message.get())) {
    Count(txn->succeeded() ? "answer Txn succeeded" : "answer Txn failed");
  } else if (const auto* put = dynamic_cast<const pb::PutResponse*>(answer.message.get())) {
    if (put->has_prev_kv()) Count("answer Put.prev_kv");
  } else if (const auto* removed =
                 dynamic_cast<const pb::DeleteRangeResponse*>(answer.message.get())) {
    if (removed->prev_kvs_size() > 0) Count("answer DeleteRange.prev_kvs");
  } else if (const auto* left =
                 dynamic_cast<const pb::LeaseTimeToLiveResponse*>(answer.message.get())) {
    if (left->keys_size() > 0) Count("answer LeaseTimeToLive.keys");
    if (left->ttl() == -1) Count("answer LeaseTimeToLive of no lease");
  } else if (const auto* list = dynamic_cast<const pb::AlarmResponse*>(answer.message.get())) {
    if (list->alarms_size() > 0) Count("answer Alarm.alarms");
  } else if (const auto* watch = dynamic_cast<const pb::WatchResponse*>(answer.message.get())) {
    if (!watch->cancel_reason().empty()) Count("watch refused: " + watch->cancel_reason());
  }
}

void Coverage::CountWatchItem(const WatchItem& item) {
  if (item.compacted) {
    Count("watch canceled by compaction");
    return;
  }
  mvccpb::Event event;
  event.ParseFromString(item.bytes);
  Count(Cat("event ", mvccpb::Event::EventType_Name(event.type())));
  if (event.has_prev_kv()) {
    Count(Cat("event ", mvccpb::Event::EventType_Name(event.type()), " with prev_kv"));
  }
}

void Coverage::Merge(const Coverage& other) {
  for (const auto& [row, count] : other.rows_) rows_[row] += count;
}

int64_t Coverage::Of(const std::string& row) const {
  const auto found = rows_.find(row);
  return found == rows_.end() ? 0 : found->second;
}

std::vector<std::string> Coverage::Missing() const {
  std::vector<std::string> missing;
  for (const std::string_view row : Expected()) {
    if (Of(std::string(row)) == 0) missing.emplace_back(row);
  }
  return missing;
}

void Coverage::Print(std::ostream& out) const {
  std::map<std::string, int64_t> all = rows_;
  for (const std::string& row : Missing()) all[row] = 0;
  for (const auto& [row, count] : all) out << std::setw(9) << count << "  " << row << "\n";
}

}  // namespace jetd::conformance::differential
