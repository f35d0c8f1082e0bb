// SPDX-License-Identifier: Apache-2.0
//
// For tests of mirrors: a bucket that is written by hand, and two JetStream domains.
#ifndef JETD_REPLICATION_MIRROR_FIXTURE_H_
#define JETD_REPLICATION_MIRROR_FIXTURE_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"
#include "jetstream/api_session.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_domains.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"
#include "replication/log_session.h"
#include "replication/stream_source.h"

namespace jetd::replication {

inline constexpr char kMirrorBucket[] = "b";

// Asks until it is so; false after some minutes. (nats-server may take two to attach a mirror.)
inline bool WaitUntil(const std::function<bool()>& so) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(4);
  while (!so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

// A server, hub or leaf, forgets all that `write` makes happen, as a nats-server does after a power
// cut; the other one keeps what it has got of it.
inline void LoseTail(jetstream::NatsTestDomains* domains, jetstream::NatsTestServer* server,
                     const std::function<void()>& write) {
  namespace fs = std::filesystem;
  const std::string store = server->folder() + "/js";
  const std::string saved = server->folder() + "/saved";
  server->Kill();
  fs::copy(store, saved, fs::copy_options::recursive);
  server->Restart();
  write();
  server->Kill();
  fs::remove_all(store);
  fs::rename(saved, store);
  server->Restart();
  // Until the link is back too.
  const auto api = jetstream::ApiSession::Open({.urls = {domains->hub().url()}}).value();
  JETD_CHECK(WaitUntil([&] { return api->Ask("dr", "INFO").ok(); })) << "the leaf stays away";
}

// Writes a bucket as a leader would, one after the other, and knows where it is.
class HandWriter {
 public:
  explicit HandWriter(std::string url) : url_(std::move(url)) {}

  // A leader takes over; with its records begins a bucket.
  void Lead(const std::string& incarnation) {
    ++term_;
    jetstream::TermRecord term;
    term.term = Term(term_);
    term.incarnation = incarnation;
    Own(codec_.TermSubject(), EncodeTerm(term));
  }
  void Put(const std::string& key, const std::string& value) {
    Key& known = keys_[key];
    ++revision_;
    if (known.version == 0) known.create = revision_;
    Push(codec_.EncodeKey(key), value, false,
         {.revision = Revision(revision_),
          .create_revision = Revision(known.create),
          .version = ++known.version,
          .term = Term(term_)});
  }
  void Delete(const std::string& key) {
    ++revision_;
    keys_.erase(key);
    Push(codec_.EncodeKey(key), "", true, {.revision = Revision(revision_), .term = Term(term_)});
  }
  void Compact(int64_t revision) {
    Own(codec_.CompactSubject(),
        jetstream::EncodeCompact({.revision = Revision(revision), .bound = StreamSeq(last_)}));
  }
  // This one alone is raised.
  void Alarm(const jetstream::Alarm& alarm) {
    Own(codec_.AlarmSubject(), jetstream::EncodeAlarms({.alarms = {alarm}}));
  }
  // Appends what was said since; makes the bucket if it is not there.
  void Flush() {
    jetstream::NatsLogOptions options;
    options.endpoint = jetstream::RotateEndpoints({url_}, {});
    options.stream.bucket = kMirrorBucket;
    const absl::Status status =
        RunOnLog(options, {}, [this](jetstream::Log* log, const jetstream::LogInfo&, auto done) {
          for (const Pending& one : pending_) {
            log->Append(one.seq, {.subject = one.subject,
                                  .header = one.header,
                                  .is_delete = one.is_delete,
                                  .payload = one.payload});
          }
          log->Barrier([this, done](const absl::StatusOr<StreamSeq>& last) {
            if (last.ok()) {
              JETD_CHECK(last->value() == last_) << *last << ", expected " << last_;
            }
            done(last.status());
          });
        });
    JETD_CHECK(status.ok()) << status;
    pending_.clear();
  }
  // The stream went back, and another leader goes on from there.
  void GoBack(uint64_t last, int64_t revision) {
    last_ = last;
    revision_ = revision;
  }

  [[nodiscard]] uint64_t last() const { return last_; }
  [[nodiscard]] int64_t revision() const { return revision_; }

 private:
  struct Key {
    int64_t create = 0, version = 0;
  };
  struct Pending {
    StreamSeq seq;
    std::string subject, header, payload;
    bool is_delete = false;
  };
  void Own(std::string subject, std::string payload) {
    Push(std::move(subject), std::move(payload), false,
         {.revision = Revision(revision_), .term = Term(term_)});
  }
  void Push(std::string subject, std::string payload, bool is_delete,
            const jetstream::RecordHeader& header) {
    pending_.push_back({.seq = StreamSeq(++last_),
                        .subject = std::move(subject),
                        .header = EncodeHeader(header),
                        .payload = std::move(payload),
                        .is_delete = is_delete});
  }

  const std::string url_;
  const jetstream::SubjectCodec codec_{kMirrorBucket};
  uint64_t last_ = 0, term_ = 0;
  int64_t revision_ = 1;
  std::map<std::string, Key> keys_;
  std::vector<Pending> pending_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_MIRROR_FIXTURE_H_
