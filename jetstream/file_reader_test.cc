// SPDX-License-Identifier: Apache-2.0
// What is read out of the files of a real nats-server is, record for record, what it hands out
// itself, whatever was done to the stream and to the files; and where it is in doubt, nothing is
// taken from the files.
#include "jetstream/file_reader.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/block_files.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/silent_observer.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::seconds kFarTooLong{60};
// So that a few hundred records fill a block of 8 MiB or less.
constexpr size_t kLargePayload = 64UL << 10;

struct Copy {
  uint64_t seq;
  int64_t time_ns;
  std::string subject, header;
  bool is_delete;
  std::string payload;
  size_t payload_size;

  explicit Copy(const Record& record)
      : seq(record.seq.value()),
        time_ns(record.time_ns),
        subject(record.subject),
        header(record.header),
        is_delete(record.is_delete),
        payload(record.payload),
        payload_size(record.payload_size) {}
  friend bool operator==(const Copy&, const Copy&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Copy& copy) {
    return out << copy.seq << " " << copy.subject.substr(0, 80) << " [" << copy.header << "] "
               << copy.payload_size;
  }
};

struct Notes : SilentObserver {
  void OnConnected(const LogInfo& /*info*/) override { connected = true; }
  void OnAppended(StreamSeq seq) override { appended = seq; }
  void OnRefused(StreamSeq seq, const absl::Status& why) override {
    JETD_CHECK(false) << seq.value() << " " << why;
  }
  bool connected = false;
  StreamSeq appended;
};

class FileReaderTest : public testing::Test, protected LoopRunner {
 protected:
  void SetUp() override {
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    Connect();
  }
  void TearDown() override {
    log_.reset();
    if (other_ != nullptr) other_->Stop();
  }

  [[nodiscard]] std::string Folder() const {
    return server_->folder() + "/js/jetstream/$G/streams/KV_b";
  }

  std::unique_ptr<NatsLog> Open(Notes* notes, const std::string& stream_folder) {
    NatsLogOptions options;
    options.endpoint = RotateEndpoints({server_->url()}, {});
    options.stream.bucket = "b";
    options.stream_folder = stream_folder;
    options.look_early = !stream_folder.empty();
    options.min_records_from_files = 1;
    options.max_named_deletes = max_named_deletes_;
    options.max_backoff = std::chrono::milliseconds(50);
    // A server that stands still for a while with its disk keeps its connections.
    options.answer_timeout = kFarTooLong;
    auto log = std::make_unique<NatsLog>(&loop_, std::move(options));
    log->Open(notes, [](const absl::Status& why) { FAIL() << why; });
    return log;
  }
  std::unique_ptr<NatsLog> OpenAndWait(Notes* notes, const std::string& stream_folder) {
    auto log = Open(notes, stream_folder);
    JETD_CHECK(RunUntil([&] { return notes->connected; }));
    return log;
  }

  // A log as a start of jetd makes it.
  void Connect() {
    BeginToConnect();
    EndConnecting();
  }
  void BeginToConnect() {
    log_.reset();
    notes_ = Notes();
    log_ = Open(&notes_, Folder());
  }
  void EndConnecting() {
    JETD_CHECK(RunUntil([&] { return notes_.connected; }));
    StateNow();
  }
  void StateNow() {
    bool known = false;
    log_->State([&](const absl::StatusOr<StreamState>& state) {
      state_ = state.value();
      known = true;
    });
    JETD_CHECK(RunUntil([&] { return known; }));
  }

  void Append(const NewRecord& record) {
    state_.last = state_.last.Next();
    log_->Append(state_.last, record);
  }
  void Landed() {
    JETD_CHECK(RunUntil([&] { return notes_.appended >= state_.last; }));
  }
  // `count` records of keys that repeat, of all shapes that jetd writes.
  void Fill(size_t count, size_t payload_bytes = kLargePayload) {
    for (size_t i = 0; i < count; ++i) {
      std::string subject = Cat("$KV.b.key", random_() % 50);
      if (i % 40 == 7) subject += std::string(4'000, 'l');  // stored under a short one
      if (i % 50 == 9) subject = "$KV.b._jetd.term";
      const std::string payload(i % 30 == 3 ? 0 : payload_bytes - i % 7, 'a' + i % 26);
      const bool is_delete = i % 10 == 4;
      Append({.subject = subject,
              .header = Cat("1 ", i, " of many"),
              .is_delete = is_delete,
              .payload = is_delete ? "" : payload});
      if (i % 64 == 63) Landed();
    }
    Landed();
  }
  void Delete(uint64_t seq) {
    bool done = false;
    log_->Delete(StreamSeq(seq), [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      done = true;
    });
    JETD_CHECK(RunUntil([&] { return done; }));
  }

  // An answer of the JetStream API or of a publish, on a connection of somebody else.
  nlohmann::json Ask(const std::string& subject, const std::string& payload,
                     std::span<const NatsConnection::HeaderLine> headers = {}) {
    if (other_ == nullptr) {
      other_ =
          NatsConnection::Connect(&loop_, {.url = server_->url()}, "other", kFarTooLong).value();
      other_->Start([](const absl::Status&) {});
    }
    const std::string reply = other_->inbox() + ".ask";
    std::optional<nlohmann::json> answer;
    const uint64_t subscription = other_->Subscribe(
        reply, [&](NatsMessage& message) { answer = ParseAnswer(message.payload()); });
    other_->Publish(subject, reply, payload, headers);
    other_->Flush();
    JETD_CHECK(RunUntil([&] { return answer.has_value(); }));
    other_->Unsubscribe(subscription);
    JETD_CHECK(ApiErrorOf(*answer).code == 0) << *answer;
    return *answer;
  }

  // Ends the server, does `change` to its files, and starts all anew.
  template <typename Change>
  void RestartAfter(Change change) {
    if (other_ != nullptr) other_->Stop();
    other_.reset();
    log_.reset();
    server_->Kill();
    change();
    // As with jetd, the files are looked at while the server recovers.
    BeginToConnect();
    server_->Restart();
    EndConnecting();
  }
  void Restart() {
    RestartAfter([] {});
  }

  std::vector<Copy> ReadWith(NatsLog* log, const Log::ReadOptions& options) {
    std::vector<Copy> copies;
    std::optional<absl::StatusOr<StreamSeq>> last;
    log->Read(
        options, [&](const Record& record) { copies.emplace_back(record); },
        [&](const absl::StatusOr<StreamSeq>& result) { last = result; });
    JETD_CHECK(RunUntil([&] { return last.has_value(); }));
    EXPECT_TRUE(last->ok()) << last->status();
    if (!last->ok()) return {};
    EXPECT_GE(**last, state_.last);
    return copies;
  }

  // Both ways give the same.
  void Compare(const Log::ReadOptions& options) {
    Notes notes;
    const std::unique_ptr<NatsLog> plain = OpenAndWait(&notes, "");
    const std::vector<Copy> expected = ReadWith(plain.get(), options);
    const std::vector<Copy> got = ReadWith(log_.get(), options);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], expected[i]);
    EXPECT_EQ(plain->file_passes(), 0U);
  }
  void CompareAll() {
    const std::vector<std::string> control = {"$KV.b._jetd.term", "$KV.b.key7"};
    Compare({.subjects = control});
    Compare({});
    Compare({.headers_only = true});
    Compare({.from = StreamSeq(state_.last.value() / 2), .subjects = control});
    Compare({.from = StreamSeq(state_.last.value() / 2)});
    Compare({.subjects = {Cat("$KV.b.key3", std::string(4'000, 'l'))}});
  }
  void ExpectFromFiles() {
    CompareAll();
    EXPECT_FALSE(log_->files_doubted());
    EXPECT_EQ(log_->file_passes(), 6U);
  }
  void ExpectDoubt() {
    CompareAll();
    EXPECT_TRUE(log_->files_doubted());
    EXPECT_EQ(log_->file_passes(), 0U);
  }

  [[nodiscard]] std::vector<uint64_t> Blocks() const { return BlockNumbers(Folder() + "/msgs"); }
  [[nodiscard]] std::string PathOf(uint64_t block) const {
    return Cat(Folder(), "/msgs/", block, ".blk");
  }
  static void FlipByte(const std::string& path, size_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const char byte = static_cast<char>(file.get() ^ 0x10);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte);
    JETD_CHECK(file.good()) << path;
  }

  std::mt19937 random_{44};
  uint64_t max_named_deletes_ = 100'000;
  std::unique_ptr<NatsTestServer> server_;
  Notes notes_;
  StreamState state_;
  std::unique_ptr<NatsLog> log_;
  std::unique_ptr<NatsConnection> other_;
};

TEST_F(FileReaderTest, ReadsSeveralBlocks) {
  Fill(400);
  ASSERT_GE(Blocks().size(), 3U);
  Connect();
  ExpectFromFiles();
}

TEST_F(FileReaderTest, ReadsAfterTheServerWasKilled) {
  Fill(400);
  Restart();
  ExpectFromFiles();
}

TEST_F(FileReaderTest, LeavesOutWhatWasDeleted) {
  Fill(400);
  for (uint64_t seq : {1, 2, 57, 58, 59, 200, 399, 400}) Delete(seq);
  Connect();
  ExpectFromFiles();
  Restart();
  ExpectFromFiles();
}

TEST_F(FileReaderTest, ReadsWhatPurgesLeave) {
  Fill(400);
  Ask("$JS.API.STREAM.PURGE.KV_b", R"({"filter":"$KV.b.key5"})");
  Connect();
  ExpectFromFiles();
  Restart();
  ExpectFromFiles();
  Ask("$JS.API.STREAM.PURGE.KV_b", R"({"seq":150})");
  Connect();
  ExpectFromFiles();
  Restart();
  ExpectFromFiles();
}

TEST_F(FileReaderTest, ATornTailIsTheServersMatter) {
  Fill(300);
  RestartAfter([&] {
    const std::string newest = PathOf(Blocks().back());
    std::filesystem::resize_file(newest, std::filesystem::file_size(newest) - 1'000);
  });
  CompareAll();
}

TEST_F(FileReaderTest, AFlippedByteIsFoundBeforeAnythingIsTaken) {
  Fill(300);
  const std::string path = PathOf(Blocks().front());
  // The server has looked at its files, and knows nothing of it.
  Restart();
  FlipByte(path, std::filesystem::file_size(path) / 2);
  Log::ReadOptions few{.from = StreamSeq(state_.last.value() - 3)};
  Compare(few);
  EXPECT_TRUE(log_->files_doubted());
}

TEST_F(FileReaderTest, AFlippedByteThatTheServerFinds) {
  Fill(300);
  RestartAfter([&] {
    const std::string path = PathOf(Blocks().front());
    FlipByte(path, std::filesystem::file_size(path) / 2);
  });
  CompareAll();
}

TEST_F(FileReaderTest, ABlockThatChangesAfterTheSurveyIsReadThroughTheServer) {
  Fill(400);
  Connect();
  Compare({.subjects = {"$KV.b._jetd.term"}});
  EXPECT_EQ(log_->file_passes(), 1U);
  const std::string newest = PathOf(Blocks().back());
  const size_t size = std::filesystem::file_size(newest);
  std::ofstream(newest, std::ios::app | std::ios::binary) << "grown";
  Compare({});
  EXPECT_FALSE(log_->files_doubted());  // nothing that was surveyed is different
  std::filesystem::resize_file(newest, size);
  Compare({.subjects = {"$KV.b._jetd.term"}});
  EXPECT_EQ(log_->file_passes(), 3U);
  std::filesystem::resize_file(newest, 10);
  std::vector<Copy> got;
  bool done = false;
  log_->Read(
      {.from = StreamSeq(1)}, [&](const Record& record) { got.emplace_back(record); },
      [&](const absl::StatusOr<StreamSeq>&) { done = true; });
  ASSERT_TRUE(RunUntil([&] { return done || log_->files_doubted(); }));
  EXPECT_TRUE(log_->files_doubted());
  EXPECT_EQ(log_->file_passes(), 3U);
  EXPECT_FALSE(got.empty());  // the blocks before it
}

TEST_F(FileReaderTest, AForeignRecord) {
  Fill(20);
  Ask("$KV.b.foreign", "no headers");
  const std::array<NatsConnection::HeaderLine, 2> lines = {
      {{"Jetd", "not ours"}, {"KV-Operation", "PURGE"}}};
  Ask("$KV.b.foreign", "with headers", lines);
  Ask("$KV.b.=long.00", "like a long one");
  Connect();
  ExpectFromFiles();
}

TEST_F(FileReaderTest, AHeaderThatMayBeReadInTwoWays) {
  Fill(20);
  const std::array<NatsConnection::HeaderLine, 1> lines = {{{"Jetd", "caf\xc3\xa9"}}};
  Ask("$KV.b.foreign", "with headers", lines);
  Connect();
  Compare({});
  EXPECT_TRUE(log_->files_doubted());
}

TEST_F(FileReaderTest, ACompressedStreamIsReadThroughTheServer) {
  nlohmann::json config = Ask("$JS.API.STREAM.INFO.KV_b", "").at("config");
  config["compression"] = "s2";
  Ask("$JS.API.STREAM.UPDATE.KV_b", config.dump());
  Restart();  // blocks that are begun from now on
  Fill(400);
  Restart();
  ExpectDoubt();
}

TEST_F(FileReaderTest, AnotherStreamsFilesAreNotTaken) {
  Fill(50);
  log_.reset();
  notes_ = Notes();
  log_ = OpenAndWait(&notes_, server_->folder() + "/other");
  std::filesystem::copy(Folder(), server_->folder() + "/other",
                        std::filesystem::copy_options::recursive);
  std::filesystem::rename(server_->folder() + "/other/msgs/1.blk",
                          server_->folder() + "/other/msgs/2.blk");
  Compare({});
  EXPECT_TRUE(log_->files_doubted());
}

TEST_F(FileReaderTest, FewRecordsAreReadThroughTheServer) {
  Fill(20, 100);
  Notes notes;
  NatsLogOptions options;
  options.endpoint = RotateEndpoints({server_->url()}, {});
  options.stream.bucket = "b";
  options.stream_folder = Folder();
  NatsLog log(&loop_, std::move(options));
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  EXPECT_EQ(ReadWith(&log, {}).size(), 20U);
  EXPECT_EQ(log.file_passes(), 0U);
}

TEST_F(FileReaderTest, ACallbackMayCloseTheLog) {
  Fill(300);
  Connect();
  size_t records = 0;
  log_->Read(
      {.from = StreamSeq(1)},
      [&](const Record&) {
        if (++records == 10) log_->Close();
      },
      [](const absl::StatusOr<StreamSeq>&) { FAIL() << "closed"; });
  ASSERT_TRUE(RunUntil([&] { return records == 10; }));
  RunFor(std::chrono::milliseconds(20));
  EXPECT_EQ(records, 10U);
}

TEST_F(FileReaderTest, ALostConnectionFailsTheReading) {
  Fill(300);
  Connect();
  absl::Status failed;
  size_t records = 0;
  log_->Read(
      {.from = StreamSeq(1)},
      [&](const Record&) {
        if (++records == 10) server_->Kill();
      },
      [&](const absl::StatusOr<StreamSeq>& last) { failed = last.status(); });
  // Whether all was read before it was noticed is the moment's.
  ASSERT_TRUE(RunUntil([&] { return !failed.ok() || records >= 300 || log_->file_passes() == 1; }));
  EXPECT_GE(records, 10U);
}

// Whatever happens to a stream, both ways give the same.
TEST_F(FileReaderTest, RandomLives) {
  size_t from_files = 0;
  for (int round = 0; round < 12; ++round) {
    Fill(20 + random_() % 100, random_() % 2 == 0 ? 300 : kLargePayload);
    for (size_t n = random_() % 60; n > 0; --n) Delete(1 + random_() % state_.last.value());
    if (random_() % 4 == 0) {
      Ask("$JS.API.STREAM.PURGE.KV_b", Cat(R"({"filter":"$KV.b.key)", random_() % 50, R"(","seq":)",
                                           1 + random_() % state_.last.value(), "}"));
    }
    switch (random_() % 4) {
      case 0:
        Restart();
        break;
      case 1:  // in order, with what it writes down then
        if (other_ != nullptr) other_->Stop();
        other_.reset();
        log_.reset();
        server_->Stop();
        server_->Restart();
        Connect();
        break;
      case 2:
        RestartAfter([&] {
          const std::string newest = PathOf(Blocks().back());
          const size_t size = std::filesystem::file_size(newest);
          std::filesystem::resize_file(newest, size - std::min<size_t>(size, random_() % 3'000));
        });
        break;
      default:
        Connect();
    }
    Compare({.subjects = {"$KV.b._jetd.term"}});
    Compare({});
    if (HasFatalFailure()) FAIL() << "round " << round;
    max_named_deletes_ = random_() % 2 == 0 ? 0 : 100'000;
    from_files += log_->file_passes();
  }
  EXPECT_GT(from_files, 12U);
}

}  // namespace
}  // namespace jetd::jetstream
