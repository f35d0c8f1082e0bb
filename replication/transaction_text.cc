// SPDX-License-Identifier: Apache-2.0
#include "replication/transaction_text.h"

#include <array>
#include <charconv>

#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace jetd::replication {
namespace {

using Kind = StreamTransaction::Kind;

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kPut:
      return "put";
    case Kind::kDelete:
      return "delete";
    case Kind::kLeaseGrant:
      return "lease-grant";
    case Kind::kLeaseGone:
      return "lease-gone";
    case Kind::kCompact:
      return "compact";
    case Kind::kTerm:
      return "term";
    case Kind::kBarrier:
      return "barrier";
    case Kind::kLive:
      return "live";
    case Kind::kAlarm:
      return "alarm";
    case Kind::kOther:
      break;
  }
  return "other";
}

std::string Printable(const std::string& bytes) { return absl::CHexEscape(bytes); }
std::string Base64(const std::string& bytes) { return absl::Base64Escape(bytes); }

std::string HexId(LeaseId lease) {
  std::array<char, 17> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(),
                                 static_cast<uint64_t>(lease.value()), 16)
                       .ptr;
  return {text.data(), end};
}

std::string OpText(const StreamTransaction::Op& op, ShowValues values) {
  std::string text = NameOf(op.kind);
  if (op.kind == Kind::kLeaseGrant || op.kind == Kind::kLeaseGone) {
    CatTo(text, " ", HexId(op.lease));
  } else if (op.kind == Kind::kPut || op.kind == Kind::kDelete) {
    CatTo(text, " ", Printable(op.key));
  }
  if (op.kind == Kind::kPut) {
    CatTo(text, " (version ", op.version, ", created ", op.create_revision.value());
    if (op.lease != LeaseId{}) CatTo(text, ", lease ", HexId(op.lease));
    CatTo(text, ") ", op.payload.size(), " bytes");
    if (values == ShowValues::kYes) CatTo(text, ": ", Printable(op.payload));
  } else if (!op.payload.empty()) {
    CatTo(text, " ", op.payload);
  }
  return text;
}

nlohmann::json OpJson(const StreamTransaction::Op& op, ShowValues values) {
  nlohmann::json json = {{"op", NameOf(op.kind)}, {"seq", op.seq.value()}};
  if (op.lease != LeaseId{}) json["lease"] = HexId(op.lease);
  if (op.kind == Kind::kPut || op.kind == Kind::kDelete) {
    json["key"] = Base64(op.key);
    json["name"] = op.key;
  } else if (!op.payload.empty()) {
    json["payload"] = op.payload;
  }
  if (op.kind == Kind::kPut) {
    json["version"] = op.version;
    json["create_revision"] = op.create_revision.value();
    json["value_bytes"] = op.payload.size();
    if (values == ShowValues::kYes) json["value"] = Base64(op.payload);
  }
  return json;
}

}  // namespace

std::string ToText(const StreamTransaction& transaction, ShowValues values) {
  constexpr int64_t kNanoseconds = 1'000'000'000;
  const std::string fraction = std::to_string(kNanoseconds + transaction.time_ns % kNanoseconds);
  std::string text = Cat("revision ", transaction.revision.value(), " term ",
                         transaction.term.value(), transaction.counts ? "" : " void", " at ",
                         transaction.time_ns / kNanoseconds, ".", fraction.substr(1), ":");
  for (const StreamTransaction::Op& op : transaction.ops) {
    CatTo(text, &op == &transaction.ops.front() ? " " : "; ", OpText(op, values));
  }
  return text;
}

std::string ToJson(const StreamTransaction& transaction, ShowValues values) {
  nlohmann::json json = {{"revision", transaction.revision.value()},
                         {"term", transaction.term.value()},
                         {"time_ns", transaction.time_ns},
                         {"valid", transaction.counts},
                         {"ops", nlohmann::json::array()}};
  for (const StreamTransaction::Op& op : transaction.ops) {
    json["ops"].push_back(OpJson(op, values));
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace jetd::replication
