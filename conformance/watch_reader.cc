// SPDX-License-Identifier: Apache-2.0
#include "conformance/watch_reader.h"

#include <chrono>
#include <thread>

namespace jetd::conformance {
namespace {

using std::chrono::milliseconds;
namespace pb = etcdclient::pb;

constexpr milliseconds kSilence{100};
constexpr int kResponsesBetween = 16;

void AskProgress(etcdclient::WatchStream& stream) {
  pb::WatchRequest request;
  request.mutable_progress_request();
  stream.Send(std::move(request));
}

}  // namespace

void ReadWatch(etcdclient::WatchStream& stream, const std::atomic<bool>& stop, int most_responses,
               const std::function<bool(const pb::WatchResponse&)>& take) {
  for (int responses = 0; !stop; ++responses) {
    if (most_responses > 0 && responses > most_responses) return;
    if (responses % kResponsesBetween == kResponsesBetween - 1) AskProgress(stream);
    const auto response = stream.Next(kSilence);
    if (response.ok()) {
      if (!take(*response)) return;
    } else if (response.status().code() == absl::StatusCode::kDeadlineExceeded) {
      AskProgress(stream);
    } else {
      // The server is away. Nothing but a pause between two attempts hangs on this sleep.
      std::this_thread::sleep_for(milliseconds(50));
      return;
    }
  }
}

}  // namespace jetd::conformance
