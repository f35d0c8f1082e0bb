// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/member_reader.h"

#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::conformance {
namespace {

using std::chrono::milliseconds;
namespace pb = etcdclient::pb;

constexpr milliseconds kPause{20};
constexpr etcdclient::CallOptions kCall{.timeout = milliseconds(20'000),
                                        .unreachable = etcdclient::CallOptions::Unreachable::kWait};

}  // namespace

MemberReader::MemberReader(Options options, Registers* registers)
    : options_(std::move(options)),
      registers_(registers),
      random_(options_.seed),
      put_off_(options_.in_flight) {
  auto client = etcdclient::Client::Connect({.endpoint = options_.endpoint});
  JETD_CHECK(client.ok()) << client.status();
  client_ = *std::move(client);
  ticker_ = std::thread([this] { RunTicker(); });
}

MemberReader::~MemberReader() {
  stop_ = true;
  ticker_.join();
  client_ = nullptr;
}

std::map<std::string, size_t> MemberReader::errors() const {
  MutexLock lock(mutex_);
  return errors_;
}

void MemberReader::RunTicker() {
  while (!stop_) {
    size_t due = 0;
    {
      MutexLock lock(mutex_);
      due = std::exchange(put_off_, 0);
    }
    for (; due > 0; --due) Read();
    std::this_thread::sleep_for(kPause);
  }
}

void MemberReader::Read() {
  if (stop_) return;
  size_t i = 0;
  {
    MutexLock lock(mutex_);
    i = random_() % registers_->size();
  }
  pb::RangeRequest request;
  request.set_key(Registers::KeyOf(i));
  const Registers::Floor floor = registers_->FloorOf(i);
  client_->CallAsync<pb::RangeRequest>(
      request,
      [this, i, floor](const absl::StatusOr<pb::RangeResponse>& response) {
        if (!response.ok()) {
          MutexLock lock(mutex_);
          ++errors_[std::string(MessageOf(response.status()))];
          ++put_off_;
          return;
        }
        ++reads_;
        registers_->TakeRead(i, floor, response->kvs_size() > 0 ? response->kvs(0).value() : "",
                             response->header().revision(), options_.name);
        Read();
      },
      kCall);
}

}  // namespace jetd::conformance
