// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/mutant.h"

#include <array>
#include <utility>

namespace jetd::conformance::differential {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Every KeyValue of a message, wherever it is.
template <typename Fn>
void ForEachKv(Message& message, const Fn& fn) {
  if (message.GetDescriptor() == mvccpb::KeyValue::descriptor()) {
    fn(static_cast<mvccpb::KeyValue&>(message));
    return;
  }
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      ForEachKv(*reflection->MutableMessage(&message, field), fn);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      ForEachKv(*reflection->MutableRepeatedMessage(&message, field, i), fn);
    }
  }
}

// The version of a key is one too high once it was written more often than three times, in one of
// sixteen revisions.
class VersionOffByOne final : public Mutant {
 public:
  void OnAnswer(const Call& /*call*/, Answer& answer) override {
    if (answer.message != nullptr) ForEachKv(*answer.message, Corrupt);
  }
  std::vector<pb::WatchResponse> OnWatchResponse(pb::WatchResponse response) override {
    ForEachKv(response, Corrupt);
    return {std::move(response)};
  }

 private:
  static void Corrupt(mvccpb::KeyValue& kv) {
    if (kv.version() > 3 && kv.mod_revision() % 16 == 0) kv.set_version(kv.version() + 1);
  }
};

// A delete event forgets its prev_kv in one of eight revisions.
class PrevKvMissing final : public Mutant {
 public:
  std::vector<pb::WatchResponse> OnWatchResponse(pb::WatchResponse response) override {
    for (auto& event : *response.mutable_events()) {
      if (event.type() == mvccpb::Event::DELETE && event.kv().mod_revision() % 8 == 0) {
        event.clear_prev_kv();
      }
    }
    return {std::move(response)};
  }
};

// A watch on one key is one on all keys that start with it.
class SiblingDelivered final : public Mutant {
 public:
  void OnCall(Call& call) override {
    auto* control = std::get_if<WatchControl>(&call);
    if (control == nullptr || !control->request.has_create_request()) return;
    auto& create = *control->request.mutable_create_request();
    if (create.key().empty() || !create.range_end().empty()) return;
    create.set_range_end(create.key() + "\xff");
  }
};

// Of several compares, the last counts for nothing.
class CompareIgnored final : public Mutant {
 public:
  void OnCall(Call& call) override {
    auto* txn = std::get_if<pb::TxnRequest>(&call);
    if (txn != nullptr && txn->compare_size() > 1) txn->mutable_compare()->RemoveLast();
  }
};

// After every fiftieth transaction of several operations a revision is used for nothing.
class RevisionSkipped final : public Mutant {
 public:
  std::string HiddenPut(const Call& call) override {
    const auto* txn = std::get_if<pb::TxnRequest>(&call);
    if (txn == nullptr || txn->success_size() < 2) return "";
    return ++seen_ % 50 == 0 ? "/hidden" : "";
  }

 private:
  int seen_ = 0;
};

// The last event of a response comes again, in one of thirty-two revisions.
class EventTwice final : public Mutant {
 public:
  std::vector<pb::WatchResponse> OnWatchResponse(pb::WatchResponse response) override {
    const int size = response.events_size();
    if (size > 0 && response.events(size - 1).kv().mod_revision() % 32 == 0) {
      *response.add_events() = mvccpb::Event(response.events(size - 1));
    }
    return {std::move(response)};
  }
};

// A response with one event of one of thirty-two revisions is not sent.
class EventLost final : public Mutant {
 public:
  std::vector<pb::WatchResponse> OnWatchResponse(pb::WatchResponse response) override {
    if (response.events_size() == 1 && response.events(0).kv().mod_revision() % 32 == 0) return {};
    return {std::move(response)};
  }
};

// A progress answer is one revision ahead.
class ProgressAhead final : public Mutant {
 public:
  std::vector<pb::WatchResponse> OnWatchResponse(pb::WatchResponse response) override {
    if (response.watch_id() == -1 && !response.created()) {
      response.mutable_header()->set_revision(response.header().revision() + 1);
    }
    return {std::move(response)};
  }
};

// Where a limit cuts, nothing says that there is more, if it cuts off at most two keys.
class MoreMissing final : public Mutant {
 public:
  void OnAnswer(const Call& /*call*/, Answer& answer) override {
    auto* range = dynamic_cast<pb::RangeResponse*>(answer.message.get());
    if (range != nullptr && range->more() && range->count() - range->kvs_size() <= 2) {
      range->clear_more();
    }
  }
};

// A put with ignore_lease takes the key from its lease.
class LeaseForgotten final : public Mutant {
 public:
  void OnCall(Call& call) override {
    if (auto* put = std::get_if<pb::PutRequest>(&call)) put->clear_ignore_lease();
  }
};

// The answer to a delete tells one of many keys too few.
class DeletedMiscounted final : public Mutant {
 public:
  void OnAnswer(const Call& /*call*/, Answer& answer) override {
    auto* removed = dynamic_cast<pb::DeleteRangeResponse*>(answer.message.get());
    if (removed != nullptr && removed->deleted() > 2) removed->set_deleted(removed->deleted() - 1);
  }
};

// An error has etcd's code and a text of its own.
class ErrorTextChanged final : public Mutant {
 public:
  void OnAnswer(const Call& /*call*/, Answer& answer) override {
    if (absl::IsOutOfRange(answer.status)) {
      answer.status = absl::OutOfRangeError("mvcc: required revision has been compacted");
    }
  }
};

struct Known {
  MutantInfo info;
  std::unique_ptr<Mutant> (*make)();
};

template <typename T>
std::unique_ptr<Mutant> Make() {
  return std::make_unique<T>();
}

constexpr std::array kKnown = {
    Known{{"version-off-by-one", "a version one too high, in few revisions"},
          Make<VersionOffByOne>},
    Known{{"prev-kv-missing", "a delete event without prev_kv, in few revisions"},
          Make<PrevKvMissing>},
    Known{{"sibling-delivered", "a watch on a key delivers keys that start with it"},
          Make<SiblingDelivered>},
    Known{{"compare-ignored", "the last of several compares counts for nothing"},
          Make<CompareIgnored>},
    Known{{"revision-skipped", "a revision is used for nothing, seldom"}, Make<RevisionSkipped>},
    Known{{"event-twice", "an event comes twice, in few revisions"}, Make<EventTwice>},
    Known{{"event-lost", "an event does not come, in few revisions"}, Make<EventLost>},
    Known{{"progress-ahead", "a progress answer one revision ahead"}, Make<ProgressAhead>},
    Known{{"more-missing", "more is not set where a limit cuts off one or two keys"},
          Make<MoreMissing>},
    Known{{"lease-forgotten", "ignore_lease is ignored"}, Make<LeaseForgotten>},
    Known{{"deleted-miscounted", "a delete of many keys counts one too few"},
          Make<DeletedMiscounted>},
    Known{{"error-text-changed", "an error with a text that is not etcd's"},
          Make<ErrorTextChanged>},
};

}  // namespace

const std::vector<MutantInfo>& AllMutants() {
  static const std::vector<MutantInfo>* const infos = [] {
    auto* made = new std::vector<MutantInfo>;
    for (const Known& known : kKnown) made->push_back(known.info);
    return made;
  }();
  return *infos;
}

std::unique_ptr<Mutant> MakeMutant(std::string_view name) {
  for (const Known& known : kKnown) {
    if (known.info.name == name) return known.make();
  }
  return nullptr;
}

}  // namespace jetd::conformance::differential
