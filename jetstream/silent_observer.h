// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_SILENT_OBSERVER_H_
#define JETD_JETSTREAM_SILENT_OBSERVER_H_

#include "jetstream/log.h"

namespace jetd::jetstream {

// For those who only read a log, or look at some of what it tells.
class SilentObserver : public Log::Observer {
 public:
  void OnConnected(const LogInfo& /*info*/) override {}
  void OnDisconnected(const absl::Status& /*why*/) override {}
  void OnAppended(StreamSeq /*seq*/) override {}
  void OnRefused(StreamSeq /*seq*/, const absl::Status& /*why*/) override {}
  void OnDurable(StreamSeq /*seq*/) override {}
  void OnForeignTerm() override {}
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_SILENT_OBSERVER_H_
