// SPDX-License-Identifier: Apache-2.0
#include "conformance/crash/writer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/strings.h"
#include "conformance/server_faults.h"

namespace jetd::conformance {
namespace {

using std::chrono::milliseconds;
namespace pb = etcdclient::pb;

using Unreachable = etcdclient::CallOptions::Unreachable;

// Longer than any outage that the run causes.
constexpr milliseconds kPatience{60'000};

}  // namespace

Writer::Writer(Options options, etcdclient::Client* client)
    : options_(std::move(options)),
      client_(client),
      call_options_{.timeout = kPatience,
                    .unreachable = options_.away == Options::Away::kWait ? Unreachable::kWait
                                                                         : Unreachable::kFail},
      random_(options_.seed) {
  for (const auto& [key, value] : options_.known) possible_[key].insert(value);
  thread_ = std::thread([this] { Run(); });
}

Writer::~Writer() { Stop(); }

void Writer::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

std::string Writer::Key(size_t index) const { return Cat(options_.prefix, index); }

void Writer::Run() {
  while (!stop_) {
    WriteOp op = Plan();
    Write(op);
    Remember(op);
    const bool refused = op.outcome == Outcome::kRefused;
    const bool lost_sight = op.outcome == Outcome::kUnknown;
    ops_.push_back(std::move(op));
    if (lost_sight && options_.away == Options::Away::kEnd) return;
    if (random_() % 4 == 0) Read();
    // Not to spin on a server that cannot write; nothing else hangs on this sleep.
    if (refused) std::this_thread::sleep_for(milliseconds(10));
  }
}

KeyWrite Writer::PlanKey(const std::string& key, bool is_delete, int number) {
  KeyWrite write{.key = key, .is_delete = is_delete};
  if (is_delete) return write;
  // Unique by its head; what follows grows now and then beyond what fits a packet or a page.
  write.value = Cat(options_.prefix, ":", number, ":", key, ":");
  const size_t size_bytes =
      random_() % options_.long_every == 0 ? options_.long_bytes : random_() % 400;
  write.value.append(size_bytes, static_cast<char>('a' + number % 26));
  return write;
}

WriteOp Writer::Plan() {
  WriteOp op{.writer = options_.number,
             .number = options_.first_number + static_cast<int>(ops_.size())};
  const uint64_t kind = random_() % 20;
  const auto keys = static_cast<uint64_t>(options_.keys);
  if (kind < 12) {
    op.keys.push_back(PlanKey(Key(random_() % keys), /*is_delete=*/false, op.number));
  } else if (kind < 15) {
    op.keys.push_back(PlanKey(Key(random_() % keys), /*is_delete=*/true, op.number));
  } else {
    // Different keys, a put first, perhaps one delete.
    const size_t count = 2 + random_() % 3;
    const size_t start = random_() % keys;
    for (size_t i = 0; i < count; ++i) {
      op.keys.push_back(PlanKey(Key((start + i) % keys),
                                /*is_delete=*/i == 1 && random_() % 3 == 0, op.number));
    }
  }
  return op;
}

absl::Status Writer::SendTxn(WriteOp& op) {
  pb::TxnRequest request;
  for (const KeyWrite& write : op.keys) {
    pb::RequestOp& part = *request.add_success();
    if (write.is_delete) {
      part.mutable_request_delete_range()->set_key(write.key);
    } else {
      part.mutable_request_put()->set_key(write.key);
      part.mutable_request_put()->set_value(write.value);
    }
  }
  const auto response = client_->Call(request, call_options_);
  if (!response.ok()) return response.status();
  op.revision = response->header().revision();
  for (int i = 0; i < response->responses_size(); ++i) {
    if (op.keys[static_cast<size_t>(i)].is_delete) {
      op.keys[static_cast<size_t>(i)].had_effect =
          response->responses(i).response_delete_range().deleted() > 0;
    }
  }
  return absl::OkStatus();
}

void Writer::Write(WriteOp& op) {
  absl::Status status;
  if (op.keys.size() > 1) {
    status = SendTxn(op);
  } else if (op.keys[0].is_delete) {
    pb::DeleteRangeRequest request;
    request.set_key(op.keys[0].key);
    const auto response = client_->Call(request, call_options_);
    status = response.status();
    if (response.ok()) {
      op.revision = response->header().revision();
      op.keys[0].had_effect = response->deleted() > 0;
    }
  } else {
    pb::PutRequest request;
    request.set_key(op.keys[0].key);
    request.set_value(op.keys[0].value);
    const auto response = client_->Call(request, call_options_);
    status = response.status();
    if (response.ok()) op.revision = response->header().revision();
  }
  if (status.ok()) {
    op.outcome = Outcome::kAcked;
    ++acked_;
    if (op.revision < revision_) {
      violations_.push_back(Cat("writer ", options_.number, ": revision ", op.revision,
                                " answered after ", revision_));
    }
    revision_ = op.revision;
  } else {
    op.outcome = IsRefusal(status) ? Outcome::kRefused : Outcome::kUnknown;
    op.error = std::string(MessageOf(status));
  }
}

void Writer::Remember(const WriteOp& op) {
  if (op.outcome == Outcome::kRefused) return;
  for (const KeyWrite& write : op.keys) {
    std::set<std::string>& possible = possible_[write.key];
    if (op.outcome == Outcome::kAcked)
      possible.clear();
    else if (possible.empty())
      possible.insert("");
    possible.insert(write.value);
  }
}

void Writer::Read() {
  pb::RangeRequest request;
  request.set_key(Key(random_() % static_cast<uint64_t>(options_.keys)));
  const auto response = client_->Call(request, call_options_);
  if (!response.ok()) return;
  ++reads_;
  const std::string value = response->kvs_size() > 0 ? response->kvs(0).value() : "";
  const auto possible = possible_.find(request.key());
  const bool right =
      possible == possible_.end() ? value.empty() : possible->second.count(value) > 0;
  if (!right) {
    violations_.push_back(Cat("writer ", options_.number, ": a stale read of ", request.key(),
                              " at revision ", response->header().revision(), " shows \"",
                              value.substr(0, 40), "\" after ", ops_.size(), " writes"));
  }
  if (response->header().revision() < revision_) {
    violations_.push_back(Cat("writer ", options_.number, ": a read at revision ",
                              response->header().revision(), " after ", revision_));
  }
  revision_ = std::max(revision_, response->header().revision());
}

}  // namespace jetd::conformance
