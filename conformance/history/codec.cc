// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/codec.h"

#include <string>

#include "base/strings.h"
#include "conformance/history/model.h"

namespace jetd::conformance::history {
namespace {

template <typename Message>
void SetSpan(const KeySpace& keys, const Action& action, Message& message) {
  message.set_key(keys.Name(action.first));
  // Behind the last name, before any other.
  if (action.last != action.first) message.set_range_end(keys.Name(action.last) + '\0');
}

void SetCompare(const KeySpace& keys, const Compare& compare, pb::Compare& message) {
  message.set_key(keys.Name(compare.key));
  message.set_result(compare.equal ? pb::Compare::EQUAL : pb::Compare::NOT_EQUAL);
  switch (compare.target) {
    case Compare::Target::kMod:
      message.set_target(pb::Compare::MOD);
      message.set_mod_revision(compare.expected.mod);
      return;
    case Compare::Target::kValue:
      message.set_target(pb::Compare::VALUE);
      message.set_value(ValueBytes(compare.expected.value));
      return;
    case Compare::Target::kVersion:
      message.set_target(pb::Compare::VERSION);
      message.set_version(compare.expected.version);
      return;
    case Compare::Target::kCreate:
      message.set_target(pb::Compare::CREATE);
      message.set_create_revision(compare.expected.create);
  }
}

void SetAction(const KeySpace& keys, const Request& request, const Action& action,
               pb::RequestOp& op) {
  switch (action.kind) {
    case Action::Kind::kGet:
      *op.mutable_request_range() = ToRange(keys, request, action);
      return;
    case Action::Kind::kPut:
      *op.mutable_request_put() = ToPut(keys, action);
      return;
    case Action::Kind::kDelete:
      *op.mutable_request_delete_range() = ToDelete(keys, action);
  }
}

// Reads what one action was answered.
class Reader {
 public:
  Reader(const KeySpace& keys, const Action& action, Operation& operation)
      : keys_(keys), action_(action), operation_(operation) {
    operation.answers.emplace_back();
  }

  void Read(const pb::RangeResponse& response) {
    for (const mvccpb::KeyValue& kv : response.kvs()) AddKv(kv);
    if (response.count() != response.kvs_size() || response.more()) {
      Malformed(Cat("count ", response.count(), " for ", response.kvs_size(), " keys"));
    }
  }
  void Read(const pb::PutResponse& response) {
    if (!response.has_prev_kv()) return;
    if (!action_.prev_kv) Malformed("a prev_kv that was not asked for");
    AddKv(response.prev_kv());
  }
  void Read(const pb::DeleteRangeResponse& response) {
    for (const mvccpb::KeyValue& kv : response.prev_kvs()) AddKv(kv);
    answer().deleted = response.deleted();
    const int64_t expected = action_.prev_kv ? response.deleted() : 0;
    if (response.prev_kvs_size() != expected) Malformed("a prev_kv too many or too few");
  }
  void Malformed(const std::string& what) { operation_.malformed = what; }

 private:
  [[nodiscard]] ActionAnswer& answer() { return operation_.answers.back(); }

  void AddKv(const mvccpb::KeyValue& kv) {
    const auto key = keys_.Find(kv.key());
    if (!key.has_value() || *key < action_.first || *key > action_.last) {
      Malformed(Cat("a key that was not asked for: ", kv.key()));
      return;
    }
    auto& kvs = answer().kvs;
    if (!kvs.empty() && kvs.back().first >= *key) Malformed("keys out of order");
    kvs.emplace_back(*key, StateOf(kv));
  }

  const KeySpace& keys_;
  const Action& action_;
  Operation& operation_;
};

template <typename Response>
void TakeSingle(const KeySpace& keys, const Response& response, Operation& operation) {
  operation.revision = response.header().revision();
  Reader(keys, operation.request.success[0], operation).Read(response);
}

}  // namespace

KeyState StateOf(const mvccpb::KeyValue& kv) {
  return {.value = ValueOf(kv.value()),
          .create = kv.create_revision(),
          .mod = kv.mod_revision(),
          .version = kv.version()};
}

pb::RangeRequest ToRange(const KeySpace& keys, const Request& request, const Action& action) {
  pb::RangeRequest range;
  SetSpan(keys, action, range);
  range.set_serializable(request.serializable);
  range.set_revision(request.at_revision);
  return range;
}

pb::PutRequest ToPut(const KeySpace& keys, const Action& action) {
  pb::PutRequest put;
  put.set_key(keys.Name(action.first));
  put.set_value(ValueBytes(action.value));
  put.set_prev_kv(action.prev_kv);
  return put;
}

pb::DeleteRangeRequest ToDelete(const KeySpace& keys, const Action& action) {
  pb::DeleteRangeRequest erase;
  SetSpan(keys, action, erase);
  erase.set_prev_kv(action.prev_kv);
  return erase;
}

pb::TxnRequest ToTxn(const KeySpace& keys, const Request& request) {
  pb::TxnRequest txn;
  for (const Compare& compare : request.compares) SetCompare(keys, compare, *txn.add_compare());
  for (const Action& action : request.success) {
    SetAction(keys, request, action, *txn.add_success());
  }
  for (const Action& action : request.failure) {
    SetAction(keys, request, action, *txn.add_failure());
  }
  return txn;
}

void TakeAnswer(const KeySpace& keys, const pb::RangeResponse& response, Operation& operation) {
  TakeSingle(keys, response, operation);
}
void TakeAnswer(const KeySpace& keys, const pb::PutResponse& response, Operation& operation) {
  TakeSingle(keys, response, operation);
}
void TakeAnswer(const KeySpace& keys, const pb::DeleteRangeResponse& response,
                Operation& operation) {
  TakeSingle(keys, response, operation);
}

void TakeAnswer(const KeySpace& keys, const pb::TxnResponse& response, Operation& operation) {
  operation.revision = response.header().revision();
  operation.succeeded = response.succeeded();
  const std::vector<Action>& taken = Taken(operation);
  if (static_cast<size_t>(response.responses_size()) != taken.size()) {
    operation.malformed = Cat(response.responses_size(), " answers to ", taken.size(), " actions");
    return;
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    const pb::ResponseOp& part = response.responses(static_cast<int>(i));
    Reader reader(keys, taken[i], operation);
    if (taken[i].kind == Action::Kind::kGet && part.has_response_range()) {
      reader.Read(part.response_range());
    } else if (taken[i].kind == Action::Kind::kPut && part.has_response_put()) {
      reader.Read(part.response_put());
    } else if (taken[i].kind == Action::Kind::kDelete && part.has_response_delete_range()) {
      reader.Read(part.response_delete_range());
    } else {
      reader.Malformed("an answer of another kind");
    }
  }
}

}  // namespace jetd::conformance::history
