// SPDX-License-Identifier: Apache-2.0
//
// For tests: a stream that mirrors a bucket, on the same nats-server.
#ifndef JETD_REPLICATION_MIRROR_HARNESS_H_
#define JETD_REPLICATION_MIRROR_HARNESS_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/loop.h"
#include "base/strings.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::replication {

// Made when this returns OK; what is in it comes by and by.
inline absl::Status MakeMirror(const std::string& url, const std::string& bucket,
                               const std::string& name) {
  Loop loop;
  auto connection =
      jetstream::NatsConnection::Connect(&loop, {.url = url}, "test", std::chrono::seconds(5));
  if (!connection.ok()) return connection.status();
  const nlohmann::json config = {{"name", name},
                                 {"storage", "file"},
                                 {"num_replicas", 1},
                                 {"mirror", {{"name", jetstream::StreamName(bucket)}}}};
  absl::Status result = absl::UnknownError("no answer");
  std::unique_ptr<jetstream::NatsApi> api;
  loop.Post([&] {
    (*connection)->Start([](const absl::Status&) {});
    api = std::make_unique<jetstream::NatsApi>(&loop, connection->get(), jetstream::ApiPrefix(""),
                                               std::chrono::seconds(10));
    api->Request(api->Subject("STREAM.CREATE." + name), config.dump(),
                 [&](absl::StatusOr<jetstream::NatsMessage*> reply) {
                   result = reply.status();
                   if (reply.ok()) {
                     const auto answer = jetstream::ParseAnswer((*reply)->payload());
                     const auto error = jetstream::ApiErrorOf(answer);
                     if (error.code != 0) result = absl::InternalError(error.description);
                   }
                   loop.Stop();
                 });
    (*connection)->Flush();
  });
  loop.Run();
  api->Drop();
  (*connection)->Stop();
  api.reset();
  return result;
}

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_MIRROR_HARNESS_H_
