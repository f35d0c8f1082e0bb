// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/register_writer.h"

#include <utility>

#include "base/check.h"

namespace jetd::conformance {
namespace {

using std::chrono::milliseconds;
namespace pb = etcdclient::pb;

// Long for a member that lives, short beside a take-over: one that is gone does not hold the
// registers up for long.
constexpr etcdclient::CallOptions kCall{.timeout = milliseconds(1'000)};

}  // namespace

RegisterWriter::RegisterWriter(Options options, Registers* registers)
    : options_(std::move(options)),
      registers_(registers),
      random_(options_.seed),
      thread_([this] { Run(); }) {}

RegisterWriter::~RegisterWriter() {
  stop_ = true;
  thread_.join();
}

void RegisterWriter::Run() {
  std::vector<std::unique_ptr<etcdclient::Client>> clients;
  for (const std::string& endpoint : options_.endpoints) {
    auto client = etcdclient::Client::Connect({.endpoint = endpoint});
    JETD_CHECK(client.ok()) << client.status();
    clients.push_back(*std::move(client));
  }
  while (!stop_) {
    for (size_t i = options_.first; i < registers_->size() && !stop_; i += options_.step) {
      const size_t member = random_() % clients.size();
      Write(*clients[member], options_.endpoints[member], i);
      std::this_thread::sleep_for(options_.pause);
    }
  }
}

// One of unknown fate that lands later does not undo the next: it is written only over a smaller
// one.
void RegisterWriter::Write(etcdclient::Client& client, const std::string& endpoint, size_t i) {
  const Registers::Floor floor = registers_->FloorOf(i);
  const int64_t number = registers_->Next(i);
  const std::string value = Registers::ValueOf(number);
  pb::TxnRequest request;
  pb::Compare& guard = *request.add_compare();
  guard.set_key(Registers::KeyOf(i));
  guard.set_target(pb::Compare::VALUE);
  guard.set_result(pb::Compare::LESS);
  guard.set_value(value);
  pb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(Registers::KeyOf(i));
  put.set_value(value);
  const auto response = client.Call(request, kCall);
  if (!response.ok()) return;
  if (response->succeeded()) {
    registers_->TakeWritten(i, floor, number, response->header().revision());
  } else {
    registers_->TakeRefused(i, number, endpoint);
  }
}

}  // namespace jetd::conformance
