// SPDX-License-Identifier: Apache-2.0
//
// The inside of NatsLog, shared by its parts: nats_log.cc, and nats_log_guard.cc (how much room
// there is, and what others do to the stream).
#ifndef JETD_JETSTREAM_NATS_SESSION_H_
#define JETD_JETSTREAM_NATS_SESSION_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "jetstream/append_chain.h"
#include "jetstream/append_gather.h"
#include "jetstream/domain_api.h"
#include "jetstream/file_reader.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_reader.h"
#include "jetstream/nats_records.h"
#include "jetstream/nats_room.h"
#include "jetstream/stream_guard.h"
#include "jetstream/sync_turn.h"

namespace jetd::jetstream {

// Everything that belongs to one connection.
struct NatsLog::Session {
  std::unique_ptr<NatsConnection> connection;
  std::unique_ptr<AppendGather> gather;
  std::unique_ptr<SyncTurn> turn;
  StreamSeq predicted;  // of the newest append
  std::unique_ptr<NatsApi> api;
  std::unique_ptr<AppendChain> chain;
  std::unique_ptr<NatsRecords> records;
  std::unique_ptr<NatsRoom> room;
  std::unique_ptr<DomainApi> domains;
  // The stream's records and its mirrors', to be compared; null: none yet.
  std::unique_ptr<DomainApi> here, there;
  std::unique_ptr<StreamGuard> guard;
  std::vector<std::unique_ptr<NatsReader>> readers;
  std::vector<std::unique_ptr<FileReader>> file_readers;
  StreamState state;         // when it was connected
  bool few_deletes = false;  // then: they may be asked for by name
  uint64_t next_reader = 1;
  bool reader_finished = false;
  bool probing = false;  // the control line

  // A callback may close the log.
  template <typename T>
  void FailDomains(const std::weak_ptr<T>& open, const absl::Status& told) {
    for (DomainApi* const api : {domains.get(), here.get(), there.get()}) {
      if (api != nullptr && !open.expired()) api->Fail(told);
    }
  }

  // After this nothing of it calls anybody.
  void Drop() {
    connection->Stop();
    guard.reset();
    domains.reset();
    here.reset();
    there.reset();
    gather.reset();
    turn.reset();
    for (const auto& reader : readers) reader->Drop();
    for (const auto& reader : file_readers) reader->Drop();
    if (records != nullptr) records->Drop();
    if (chain != nullptr) chain->Drop();
    api->Drop();
  }
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_SESSION_H_
