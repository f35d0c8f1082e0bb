// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/compare.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "base/strings.h"

namespace jetd::conformance::differential {
namespace {

using google::protobuf::Message;

// Up to here etcd's sort leaves equal elements where they were.
constexpr int kStableSort = 12;

// What a Range sorts by, as a pair of which one half is used.
std::pair<int64_t, std::string> SortKey(const pb::RangeRequest& request,
                                        const mvccpb::KeyValue& kv) {
  switch (request.sort_target()) {
    case pb::RangeRequest::VERSION:
      return {kv.version(), ""};
    case pb::RangeRequest::CREATE:
      return {kv.create_revision(), ""};
    case pb::RangeRequest::MOD:
      return {kv.mod_revision(), ""};
    case pb::RangeRequest::VALUE:
      return {0, kv.value()};
    default:
      return {0, kv.key()};
  }
}

void ForgetTies(const pb::RangeRequest& request, pb::RangeResponse& response) {
  if (request.sort_target() == pb::RangeRequest::KEY || response.count() <= kStableSort) return;
  // With keys_only the values that it was sorted by are not there to be seen.
  const bool hidden = request.sort_target() == pb::RangeRequest::VALUE && request.keys_only();
  auto* kvs = response.mutable_kvs();
  if (hidden) {
    if (response.more()) {
      for (auto& kv : *kvs) kv.Clear();
    } else {
      std::sort(kvs->begin(), kvs->end(),
                [](const auto& a, const auto& b) { return a.key() < b.key(); });
    }
    return;
  }
  for (auto group = kvs->begin(); group != kvs->end();) {
    const auto sort_key = SortKey(request, *group);
    const auto end = std::find_if(group, kvs->end(),
                                  [&](const auto& kv) { return SortKey(request, kv) != sort_key; });
    if (end == kvs->end() && response.more()) {
      // Any of those that are equal may be shown.
      for (auto it = group; it != end; ++it) {
        mvccpb::KeyValue seen;
        seen.set_version(sort_key.first);
        seen.set_value(sort_key.second);
        *it = seen;
      }
    } else {
      std::sort(group, end, [](const auto& a, const auto& b) { return a.key() < b.key(); });
    }
    group = end;
  }
}

void ForgetTies(const pb::TxnRequest& request, pb::TxnResponse& response) {
  const auto& ops = response.succeeded() ? request.success() : request.failure();
  for (int i = 0; i < std::min(ops.size(), response.responses_size()); ++i) {
    pb::ResponseOp& answer = *response.mutable_responses(i);
    if (ops[i].has_request_range() && answer.has_response_range()) {
      ForgetTies(ops[i].request_range(), *answer.mutable_response_range());
    } else if (ops[i].has_request_txn() && answer.has_response_txn()) {
      ForgetTies(ops[i].request_txn(), *answer.mutable_response_txn());
    }
  }
}

bool IsNewEnough(const std::string& version) {
  int major = 0, minor = 0, patch = 0;
  if (std::sscanf(version.c_str(), "%d.%d.%d", &major, &minor, &patch) != 3) return false;
  return std::tuple(major, minor, patch) >= std::tuple(3, 5, 13);
}

// Takes out what may differ; a value that must not be there at all becomes the message's text.
std::string Mask(pb::StatusResponse& status) {
  if (!IsNewEnough(status.version())) return Cat("version ", status.version());
  if (status.dbsize() <= 0 || status.dbsizeinuse() <= 0) return "a database without a size";
  if (status.leader() == 0 || status.raftterm() == 0 || status.raftindex() == 0) {
    return "no leader, term or index";
  }
  pb::StatusResponse masked;
  *masked.mutable_header() = status.header();
  *masked.mutable_errors() = status.errors();
  // One for each alarm, which etcd has in no order.
  std::sort(masked.mutable_errors()->begin(), masked.mutable_errors()->end());
  masked.set_islearner(status.islearner());
  status = masked;
  return "";
}

std::string Mask(pb::AlarmResponse& list) {
  std::sort(list.mutable_alarms()->begin(), list.mutable_alarms()->end(),
            [](const pb::AlarmMember& a, const pb::AlarmMember& b) {
              return std::pair(a.alarm(), a.memberid()) < std::pair(b.alarm(), b.memberid());
            });
  return "";
}

std::string Mask(pb::MemberListResponse& list) {
  for (pb::Member& member : *list.mutable_members()) {
    if (member.id() == 0 || member.clienturls_size() == 0) return "a member without id or address";
    member.clear_id();
    member.clear_peerurls();
    for (auto& url : *member.mutable_clienturls()) url.clear();
  }
  return "";
}

struct Masker {
  const CompareOptions& options;
  Message* etcd;
  Message* server;

  template <typename Response, typename Fn>
  std::string Both(Fn fn) const {
    std::string found = fn(static_cast<Response&>(*etcd));
    if (found.empty()) found = fn(static_cast<Response&>(*server));
    return found;
  }

  template <typename Request>
  std::string operator()(const Request&) const {
    return "";
  }
  std::string operator()(const pb::StatusRequest&) const {
    return Both<pb::StatusResponse>([](auto& r) { return Mask(r); });
  }
  std::string operator()(const pb::MemberListRequest&) const {
    return Both<pb::MemberListResponse>([](auto& r) { return Mask(r); });
  }
  std::string operator()(const pb::AlarmRequest&) const {
    return Both<pb::AlarmResponse>([](auto& r) { return Mask(r); });
  }
  std::string operator()(const pb::HashRequest&) const {
    return Both<pb::HashResponse>([](auto& r) { return r.clear_hash(), ""; });
  }
  std::string operator()(const pb::HashKVRequest&) const {
    if (options.hashes) return "";
    return Both<pb::HashKVResponse>([](auto& r) { return r.clear_hash(), ""; });
  }
  std::string operator()(const pb::RangeRequest& request) const {
    return Both<pb::RangeResponse>([&](auto& r) { return ForgetTies(request, r), ""; });
  }
  std::string operator()(const StreamedRange& call) const { return (*this)(call.request); }
  std::string operator()(const pb::TxnRequest& request) const {
    return Both<pb::TxnResponse>([&](auto& r) { return ForgetTies(request, r), ""; });
  }
  std::string operator()(const pb::LeaseLeasesRequest&) const {
    return Both<pb::LeaseLeasesResponse>([](auto& r) {
      std::sort(r.mutable_leases()->begin(), r.mutable_leases()->end(),
                [](const auto& a, const auto& b) { return a.id() < b.id(); });
      return "";
    });
  }
  std::string operator()(const pb::LeaseTimeToLiveRequest&) const {
    auto& a = static_cast<pb::LeaseTimeToLiveResponse&>(*etcd);
    auto& b = static_cast<pb::LeaseTimeToLiveResponse&>(*server);
    if (a.ttl() >= 0 && b.ttl() >= 0 && std::abs(a.ttl() - b.ttl()) <= options.ttl_seconds) {
      b.set_ttl(a.ttl());
    }
    return Both<pb::LeaseTimeToLiveResponse>([](auto& r) {
      std::sort(r.mutable_keys()->begin(), r.mutable_keys()->end());
      return "";
    });
  }
};

std::unique_ptr<Message> Copy(const Message& message) {
  std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  return copy;
}

std::string CompareStatus(const absl::Status& wanted, const absl::Status& got) {
  if (wanted.code() != got.code()) {
    return Cat("codes differ: ", static_cast<int>(wanted.code()), " and ",
               static_cast<int>(got.code()));
  }
  if (MessageOf(wanted) != MessageOf(got)) return "error texts differ";
  return "";
}

}  // namespace

std::string Difference(const Step& step, const Answer& etcd, const Answer& server,
                       const CompareOptions& options) {
  if (step.sides == Step::Sides::kServerOnly) {
    if (MessageOf(step.expected).empty()) {
      return step.expected.code() == server.status.code() ? "" : "not the code that is expected";
    }
    return CompareStatus(step.expected, server.status);
  }
  if (std::holds_alternative<RawCall>(step.call) &&
      !FromAbsl(etcd.status.message()).starts_with("etcdserver")) {
    return etcd.status.code() == server.status.code() ? "" : "codes differ";
  }
  if (std::string found = CompareStatus(etcd.status, server.status); !found.empty()) return found;
  if ((etcd.message == nullptr) != (server.message == nullptr)) return "one answer has no message";
  if (etcd.message == nullptr) return "";
  const auto a = Copy(*etcd.message);
  const auto b = Copy(*server.message);
  if (std::string wrong = std::visit(Masker{options, a.get(), b.get()}, step.call);
      !wrong.empty()) {
    return wrong;
  }
  return a->SerializeAsString() == b->SerializeAsString() ? "" : "messages differ";
}

}  // namespace jetd::conformance::differential
