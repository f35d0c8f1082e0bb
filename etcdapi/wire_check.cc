// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/wire_check.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/etcdpb/rpc.pb.h"
#include "base/limits.h"
#include "base/strings.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/unknown_field_set.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kEndGroup = 4, kFixed32 = 5 };

constexpr char kEof[] = "unexpected EOF";
constexpr char kOverflow[] = "proto: integer overflow";
constexpr char kNegative[] = "proto: negative length found during unmarshaling";

// The name that Go's generated code gives a field: key -> Key, range_end -> RangeEnd, TTL -> TTL.
std::string GoName(const std::string& name) {
  std::string go;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool next_is_lower = i + 1 < name.size() && std::islower(name[i + 1]) != 0;
    if (name[i] == '_' && next_is_lower) continue;
    const bool starts_word = i == 0 || (name[i - 1] == '_' && std::islower(name[i]) != 0);
    go.push_back(starts_word ? static_cast<char>(std::toupper(name[i])) : name[i]);
  }
  return go;
}

// Reads through bytes; the first error stays.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool done() const { return at_ >= bytes_.size(); }
  [[nodiscard]] size_t at() const { return at_; }
  void GoTo(size_t at) { at_ = at; }
  [[nodiscard]] const std::string& error() const { return error_; }
  bool Fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
    return false;
  }

  bool Varint(uint64_t* value) {
    *value = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (shift >= 64) return Fail(kOverflow);
      if (done()) return Fail(kEof);
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      *value |= static_cast<uint64_t>(byte & 0x7fU) << shift;
      if (byte < 0x80) return true;
    }
  }
  // A length and as many bytes.
  bool Bytes(std::string_view* content) {
    uint64_t length = 0;
    if (!Varint(&length)) return false;
    if (static_cast<int64_t>(length) < 0 || static_cast<int64_t>(at_ + length) < 0) {
      return Fail(kNegative);
    }
    if (length > bytes_.size() - at_) return Fail(kEof);
    *content = bytes_.substr(at_, length);
    at_ += length;
    return true;
  }
  // A field that the message does not have, its tag included.
  bool Skip() {
    int depth = 0;
    do {
      uint64_t tag = 0;
      if (!Varint(&tag) || !SkipValue(static_cast<int>(tag & 7U), &depth)) return false;
    } while (depth > 0);
    return true;
  }

 private:
  bool SkipValue(int type, int* depth) {
    uint64_t ignored = 0;
    std::string_view content;
    switch (type) {
      case kVarint:
        return Varint(&ignored);
      case kFixed64:
        return SkipBytes(8);
      case kBytes:
        return Bytes(&content);
      case kGroup:
        ++*depth;
        return true;
      case kEndGroup:
        if (*depth == 0) return Fail("proto: unexpected end of group");
        --*depth;
        return true;
      case kFixed32:
        return SkipBytes(4);
      default:
        return Fail(Cat("proto: illegal wireType ", type));
    }
  }
  bool SkipBytes(size_t n) {
    if (n > bytes_.size() - at_) return Fail(kEof);
    at_ += n;
    return true;
  }

  const std::string_view bytes_;
  size_t at_ = 0;
  std::string error_;
};

// All of etcd's requests are made of varints, bytes and messages.
bool IsVarint(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return false;
    default:
      return true;
  }
}

class Checker {
 public:
  // Of one message; "" if it is good.
  std::string Check(const Descriptor& message, std::string_view bytes, int depth) {
    if (depth > kMaxDepth) return "";
    Reader reader(bytes);
    while (!reader.done()) {
      const size_t start = reader.at();
      uint64_t tag = 0;
      if (!reader.Varint(&tag)) return reader.error();
      const auto number = static_cast<int32_t>(tag >> 3U);
      const auto type = static_cast<int>(tag & 7U);
      if (type == kEndGroup) {
        return Cat("proto: ", message.name(), ": wiretype end group for non-group");
      }
      if (number <= 0) {
        return Cat("proto: ", message.name(), ": illegal tag ", number, " (wire type ", tag, ")");
      }
      const FieldDescriptor* field = message.FindFieldByNumber(number);
      if (field == nullptr) {
        reader.GoTo(start);
        if (!reader.Skip()) return reader.error();
      } else if (std::string error = CheckField(*field, type, depth, &reader); !error.empty()) {
        return error;
      }
    }
    return "";
  }

 private:
  // Deeper than any transaction that is taken.
  static constexpr int kMaxDepth = 2 * limits::kMaxTxnDepth + 8;

  std::string CheckField(const FieldDescriptor& field, int type, int depth, Reader* reader) {
    uint64_t number = 0;
    std::string_view content;
    if (IsVarint(field)) {
      if (type == kVarint) {
        return reader->Varint(&number) ? "" : reader->error();
      }
      if (type == kBytes && field.is_repeated()) return CheckPacked(reader);
    } else if (type == kBytes) {
      if (!reader->Bytes(&content)) return reader->error();
      if (field.message_type() == nullptr) return "";
      return Check(*field.message_type(), content, depth + 1);
    }
    return Cat("proto: wrong wireType = ", type, " for field ", GoName(field.name()));
  }
  static std::string CheckPacked(Reader* reader) {
    std::string_view content;
    if (!reader->Bytes(&content)) return reader->error();
    Reader numbers(content);
    uint64_t number = 0;
    while (!numbers.done()) {
      if (!numbers.Varint(&number)) return numbers.error();
    }
    return "";
  }
};

}  // namespace

std::string FindWireError(const Descriptor& message, std::string_view bytes) {
  return Checker().Check(message, bytes, 1);
}

namespace {

// Of the message alone, not of those in it.
bool HasOwnUnknown(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

// Every write of kube-apiserver is a transaction: what is in them is not looked up by name.
template <typename Plain>
bool HasUnknown(const Plain& message) {
  return HasOwnUnknown(message);
}
bool HasUnknown(const TxnRequest& txn);

bool HasUnknown(const RequestOp& op) {
  if (HasOwnUnknown(op)) return true;
  switch (op.request_case()) {
    case RequestOp::kRequestRange:
      return HasUnknown(op.request_range());
    case RequestOp::kRequestPut:
      return HasUnknown(op.request_put());
    case RequestOp::kRequestDeleteRange:
      return HasUnknown(op.request_delete_range());
    case RequestOp::kRequestTxn:
      return HasUnknown(op.request_txn());
    case RequestOp::REQUEST_NOT_SET:
      break;
  }
  return false;
}

bool HasUnknown(const TxnRequest& txn) {
  const auto unknown = [](const auto& message) { return HasUnknown(message); };
  return HasOwnUnknown(txn) || std::any_of(txn.compare().begin(), txn.compare().end(), unknown) ||
         std::any_of(txn.success().begin(), txn.success().end(), unknown) ||
         std::any_of(txn.failure().begin(), txn.failure().end(), unknown);
}

}  // namespace

bool HasUnknownFields(const google::protobuf::Message& message) {
  if (message.GetDescriptor() == TxnRequest::descriptor()) {
    return HasUnknown(static_cast<const TxnRequest&>(message));
  }
  if (HasOwnUnknown(message)) return true;
  // Messages that hold others are few and rare, but for transactions.
  bool holds_messages = false;
  const Descriptor* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    holds_messages = holds_messages || descriptor->field(i)->message_type() != nullptr;
  }
  if (!holds_messages) return false;
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->message_type() == nullptr) continue;
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const auto& inner = field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                               : reflection->GetMessage(message, field);
      if (HasUnknownFields(inner)) return true;
    }
  }
  return false;
}

}  // namespace jetd::etcdapi
