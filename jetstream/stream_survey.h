// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_STREAM_SURVEY_H_
#define JETD_JETSTREAM_STREAM_SURVEY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/log.h"

namespace jetd::jetstream {

// Where the files of a bucket's stream lie.
struct StreamPlace {
  std::string folder;  // <stream>; the blocks are in its msgs/
  std::string stream;  // its name
  std::string prefix;  // of its subjects, "$KV.b."
};

// What nats-server says is in the stream, which has the last word.
struct StreamClaim {
  StreamState state;
  // Those between first and last that are not there, ascending, where they were asked for.
  std::optional<std::vector<StreamSeq>> deleted;
};

// Which records a reading is after.
struct RecordWish {
  StreamSeq from{1};
  // As they are stored, exact, no wildcards. Empty: all of the bucket.
  std::vector<std::string> subjects;
  bool headers_only = false;

  [[nodiscard]] bool Takes(std::string_view prefix, std::string_view stored) const;
};

// What a stream's files were found to hold when they were looked through, and that it is exactly
// what nats-server says. Constant.
struct StreamSurvey {
  struct Block {
    uint64_t number = 0;
    size_t bytes = 0;  // of its file
    StreamSeq last;    // message in it
    uint64_t digest = 0;
    bool wished = true;  // it holds a message that the wish's subjects take
  };
  StreamPlace place;
  StreamState state;
  std::vector<std::string> subjects;  // of the wish
  std::vector<Block> blocks;          // that hold messages, ascending
  std::vector<StreamSeq> dead;        // messages in them that a tombstone deletes, ascending
};

// Looks through all files. Anything that is not as expected is an error, which says what; then
// nothing may be taken from the files. What is checked:
//
//   - every byte belongs to a record that its checksum confirms (stream_block.h);
//   - no sequence is there twice: messages ascend over all blocks;
//   - what is left without the tombstones' is as many messages and bytes as nats-server counts, and
//     lies between its first and last sequence; none of it is among those that it calls deleted.
//
// nats-server serves nothing but what lies in these files. So with its list of deleted sequences
// both sets are the same, one by one. Without it (there may be millions) they would have to differ
// in messages of the same number and size both ways, and what would then be read too much is a
// record whose deletion got lost: a reader of the stream meets those after any power cut.
//
// Reads the whole stream: not on the engine thread. Ends early, with an error, once `stop` is set.
[[nodiscard]] absl::StatusOr<std::shared_ptr<const StreamSurvey>> SurveyStream(
    const StreamPlace& place, const StreamClaim& claim, const RecordWish& wish,
    const std::atomic<bool>& stop);

// The records of one block, and the bytes that they are views of.
struct LoadedBlock {
  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
  std::vector<Record> records;
};

// Reads survey.blocks[index] again into *loaded, whose memory is used anew, with the checks of the
// survey; an error if it is not the same any more. Any thread but the engine's.
[[nodiscard]] absl::Status LoadBlock(const StreamSurvey& survey, size_t index,
                                     const RecordWish& wish, LoadedBlock* loaded);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_STREAM_SURVEY_H_
