// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_BUCKET_TARGET_H_
#define JETD_REPLICATION_BUCKET_TARGET_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "jetstream/embedded_server.h"
#include "jetstream/log.h"
#include "jetstream/subject.h"
#include "replication/bucket_feed.h"
#include "replication/bucket_writer.h"
#include "replication/log_session.h"
#include "replication/stream_source.h"

namespace jetd::replication {

// What is there already where a bucket is to be made, as words behind the name of the place: "has
// 17 records"; "" if nothing is. Such a place can be filled only if what is there is a part of the
// same filling, which goes on. Changes nothing; blocks. Errors: of the connection, or of the
// question.
[[nodiscard]] absl::StatusOr<std::string> FoundAt(const StreamSource& place);

// A bucket that is to be made and filled: on a nats-server that runs, or in a new data folder, for
// a jetd with a nats-server of its own. The stream is made as a jetd makes it.
class BucketTarget {
 public:
  // Of the StreamSource, `stopped` and `exclusive` mean nothing here. InvalidArgument,
  // FailedPrecondition with one line for people: as OpenSource; a folder that a jetd uses.
  static absl::StatusOr<std::unique_ptr<BucketTarget>> Open(const StreamSource& place,
                                                            int replicas);

  // Makes the feed once it is known which restore this is, with the loop that it is asked on; any
  // thread may Post to it. The feed is gone before Fill returns.
  using FeedFn = std::function<absl::StatusOr<std::unique_ptr<BucketFeed>>(
      Loop* loop, const std::function<void()>& wake, const jetstream::RestoreRecord& restore)>;
  // Blocks; runs a loop on the calling thread. A nats-server that goes away is waited for, but not
  // for the first connection longer than `patience.connect`.
  [[nodiscard]] absl::StatusOr<BucketWriter::Result> Fill(const BucketWriter::Options& options,
                                                          const FeedFn& make_feed,
                                                          const Patience& patience);

  // To be read by others while this lives.
  [[nodiscard]] const StreamSource& place() const { return place_; }
  [[nodiscard]] const jetstream::SubjectCodec& codec() const { return codec_; }
  // For people: "bucket b of nats://n1:4222".
  [[nodiscard]] std::string name() const;

 private:
  BucketTarget(StreamSource place, int replicas);
  [[nodiscard]] jetstream::NatsLogOptions LogOptions() const;

  const StreamSource place_;
  const int replicas_;
  const jetstream::SubjectCodec codec_;
  std::unique_ptr<jetstream::EmbeddedServer> server_;  // null: one of others
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_BUCKET_TARGET_H_
