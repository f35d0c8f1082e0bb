// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/step.h"

#include "base/strings.h"

namespace jetd::conformance::differential {
namespace {

std::string Cut(std::string text, size_t limit) {
  if (text.size() <= limit) return text;
  return Cat(text.substr(0, limit), "... (", text.size(), " bytes)");
}

struct Name {
  template <typename Request>
  std::string operator()(const Request& request) const {
    std::string name = request.GetDescriptor()->name();
    return name.substr(0, name.size() - std::string("Request").size());
  }
  std::string operator()(const pb::CompactionRequest&) const { return "Compact"; }
  std::string operator()(const StreamedRange&) const { return "RangeStream"; }
  std::string operator()(const RawCall&) const { return "RawCall"; }
  std::string operator()(const WatchControl& call) const {
    if (call.request.has_create_request()) return "Watch.create";
    return call.request.has_cancel_request() ? "Watch.cancel" : "Watch.empty";
  }
  std::string operator()(const WatchProgress&) const { return "Watch.progress"; }
  std::string operator()(const AwaitNotification&) const { return "Watch.notification"; }
  std::string operator()(const CloseWatchStream&) const { return "Watch.close"; }
  std::string operator()(const AwaitExpiry&) const { return "Lease expiry"; }
  std::string operator()(const KillServers&) const { return "kill -9"; }
};

struct Text {
  template <typename Request>
  std::string operator()(const Request& request) const {
    return request.ShortDebugString();
  }
  std::string operator()(const StreamedRange& call) const {
    return call.request.ShortDebugString();
  }
  std::string operator()(const RawCall& call) const {
    return Cat(call.path, " ", HexOf(call.bytes));
  }
  std::string operator()(const WatchControl& call) const {
    return Cat("stream ", call.stream, ": ", call.request.ShortDebugString());
  }
  std::string operator()(const WatchProgress& call) const { return Cat("stream ", call.stream); }
  std::string operator()(const AwaitNotification& call) const {
    return Cat("stream ", call.stream, " watch ", call.watch_id);
  }
  std::string operator()(const CloseWatchStream& call) const { return Cat("stream ", call.stream); }
  std::string operator()(const AwaitExpiry& call) const { return Cat("lease ", call.lease); }
  std::string operator()(const KillServers&) const { return ""; }
};

}  // namespace

std::string NameOf(const Call& call) { return std::visit(Name(), call); }

std::string TextOf(const Call& call, size_t limit) {
  return Cut(Cat(NameOf(call), " ", std::visit(Text(), call)), limit);
}

std::string TextOf(const Answer& answer, size_t limit) {
  if (!answer.status.ok()) return Cut(answer.status.ToString(), limit);
  return Cut(answer.message == nullptr ? "OK" : answer.message->ShortDebugString(), limit);
}

}  // namespace jetd::conformance::differential
