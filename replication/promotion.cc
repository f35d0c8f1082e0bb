// SPDX-License-Identifier: Apache-2.0
#include "replication/promotion.h"

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/random_id.h"
#include "base/strings.h"
#include "jetstream/api_session.h"
#include "jetstream/mirror_config.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_log.h"
#include "jetstream/record.h"
#include "jetstream/silent_observer.h"
#include "jetstream/stream_setup.h"
#include "jetstream/subject.h"
#include "replication/config_lock.h"
#include "replication/mirror_tools.h"
#include "replication/stream_dump.h"
#include "revision/replay.h"
#include "revision/store.h"

namespace jetd::replication {
namespace {

using jetstream::ApiSession;
using jetstream::MirrorFacts;

template <typename... Pieces>
absl::Status Unusable(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

// Appends the term record and the compaction behind all that is there, and waits for both.
class Appender : public jetstream::SilentObserver {
 public:
  Appender(const StreamSource& source, int64_t bump, Promotion* result)
      : codec_(source.bucket), bump_(bump), result_(result), log_(&loop_, OptionsOf(source)) {}

  absl::Status Run(std::chrono::seconds connect_patience) {
    loop_.Post([this, connect_patience] {
      log_.Open(this, [this](const absl::Status& why) { End(why); });
      loop_.RunAfter(connect_patience, [this] {
        if (!connected_) End(MakeError(Errc::kTimeout, "no connection to NATS"));
      });
    });
    loop_.Run();
    return status_;
  }

  void OnConnected(const jetstream::LogInfo& /*info*/) override {
    if (std::exchange(connected_, true)) return;
    replay_.Run([this](absl::StatusOr<revision::Replay::Result> read) {
      if (!read.ok()) return End(read.status());
      Append(*read);
    });
  }
  void OnDisconnected(const absl::Status& why) override { End(why); }
  void OnAppended(StreamSeq seq) override {
    if (seq == result_->last) End(absl::OkStatus());
  }
  void OnRefused(StreamSeq /*seq*/, const absl::Status& why) override { End(why); }

 private:
  static jetstream::NatsLogOptions OptionsOf(const StreamSource& source) {
    jetstream::NatsLogOptions options;
    options.endpoint = jetstream::RotateEndpoints(source.nats_urls, source.credentials);
    options.stream.bucket = source.bucket;
    options.stream.unserved = true;
    options.domain = source.domain;
    options.client_name = "jetctl";
    return options;
  }

  void Append(const revision::Replay::Result& read) {
    result_->newest = store_.committed();
    result_->bumped = Revision(result_->newest.value() + bump_);
    jetstream::TermRecord taken;
    taken.term = read.term.Next();
    taken.incarnation = RandomId();
    taken.member_name = "jetctl promote";
    taken.voids = read.voids;
    jetstream::RecordHeader header;
    header.revision = result_->newest;
    header.term = taken.term;
    const std::string line = jetstream::EncodeHeader(header);
    const StreamSeq at = read.last.Next();
    result_->last = at.Next();
    const std::string term = codec_.TermSubject();
    const std::string term_payload = jetstream::EncodeTerm(taken);
    log_.Append(at, {.subject = term, .header = line, .payload = term_payload});
    const std::string compact = codec_.CompactSubject();
    const std::string compact_payload =
        jetstream::EncodeCompact({.revision = result_->bumped, .bound = at});
    log_.Append(at.Next(), {.subject = compact, .header = line, .payload = compact_payload});
  }

  void End(const absl::Status& status) {
    if (std::exchange(ended_, true)) return;
    status_ = status;
    loop_.Defer([this] {
      log_.Close();
      loop_.Stop();
    });
  }

  Loop loop_;
  const jetstream::SubjectCodec codec_;
  const int64_t bump_;
  Promotion* const result_;
  jetstream::NatsLog log_;
  revision::Store store_;
  revision::Replay replay_{&log_, &codec_, &store_};
  bool connected_ = false, ended_ = false;
  absl::Status status_;
};

class Promoter {
 public:
  Promoter(const PromotionOptions& options, std::unique_ptr<ApiSession> session)
      : options_(options),
        session_(std::move(session)),
        stream_(jetstream::StreamName(options_.mirror.bucket)) {}

  // What is there, and of what.
  absl::Status Look() {
    auto facts = Mirror();
    if (!facts.ok()) return facts.status();
    mirror_ = *std::move(facts);
    result_.last = mirror_.stream.state.last;
    result_.origin_domain = mirror_.origin.domain;
    if (!mirror_.promoted.empty()) {
      return Unusable("stream ", stream_, " was promoted at ", mirror_.promoted, " already");
    }
    if (!mirror_.mirrors && !mirror_.promoting) {
      return Unusable("stream ", stream_, " is no mirror of another one");
    }
    if (mirror_.origin.created_ns == 0) {
      return Unusable("stream ", stream_, " was not made by `jetctl mirror add`");
    }
    return LookAtOrigin();
  }

  absl::Status Run() {
    if (!mirror_.promoting) {
      if (!result_.doubted.empty() && !AcceptsAll()) {
        return Unusable("stream ", stream_, " is no copy of its origin: ", result_.doubted,
                        ". Give --despite-differences if it is to take its place all the same");
      }
      if (absl::Status status = MoveFromOrigin(); !status.ok()) return status;
      Say("making it take records");
      const absl::Status changed = Change([this](nlohmann::json config) {
        return jetstream::PromotingConfig(options_.mirror.bucket, std::move(config));
      });
      if (!changed.ok()) return changed;
    } else if (absl::Status status = SealAgain(); !status.ok()) {
      return status;
    }
    Say("appending a term record and a compaction");
    Appender appender(options_.mirror, options_.bump, &result_);
    if (absl::Status status = appender.Run(options_.mirror.connect_patience); !status.ok()) {
      return MakeStatus(status.code(), MessageOf(status),
                        "; nobody can serve it yet: run this again");
    }
    return Change([](nlohmann::json config) {
      return jetstream::PromotedConfig(
          std::move(config), absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()));
    });
  }

  [[nodiscard]] const Promotion& result() const { return result_; }

 private:
  void Say(std::string_view line) const {
    if (options_.say) options_.say(line);
  }

  absl::StatusOr<nlohmann::json> Info(const std::string& domain) {
    return session_->Ask(domain, Cat("STREAM.INFO.", stream_));
  }

  absl::StatusOr<MirrorFacts> Mirror() {
    const auto info = Info(options_.mirror.domain);
    if (!info.ok()) {
      return MakeStatus(info.status().code(), "the mirror: ", MessageOf(info.status()));
    }
    return jetstream::MirrorFactsOf(*info);
  }

  [[nodiscard]] absl::Status MadeAnew() const {
    return Unusable("the stream in the domain ", mirror_.origin.domain,
                    " was made anew, and is not the one that this one mirrors. Stop its jetd and "
                    "remove it, or keep it and remove the mirror");
  }

  absl::Status LookAtOrigin() {
    auto info = Info(mirror_.origin.domain);
    if (!info.ok()) {
      const bool gone = absl::IsNotFound(info.status());
      result_.origin = gone ? Promotion::Origin::kGone : Promotion::Origin::kUnreachable;
      AskMirrorForDoubts();
      return absl::OkStatus();
    }
    const auto facts = jetstream::FactsOf(*info);
    if (!facts.ok()) return facts.status();
    if (facts->created_ns != mirror_.origin.created_ns) return MadeAnew();
    result_.origin = Promotion::Origin::kSealed;
    origin_last_ = facts->state.last;
    const auto own = session_->Ask(options_.mirror.domain, "INFO");
    if (!own.ok()) return own.status();
    own_domain_ = jetstream::TextOf(*own, "domain");
    return mirror_.promoting ? absl::OkStatus() : Judge();
  }

  // What the origin's jetd had found was copied with all else.
  void AskMirrorForDoubts() {
    if (!mirror_.no_copy.empty()) {
      result_.doubted = Cat("when it was left with --keep-data: ", mirror_.no_copy);
      return;
    }
    const nlohmann::json newest = {
        {"last_by_subj", jetstream::SubjectCodec(options_.mirror.bucket).AlarmSubject()}};
    const auto alarms =
        session_->Ask(options_.mirror.domain, Cat("STREAM.MSG.GET.", stream_), newest);
    if (alarms.ok() && jetstream::SaysNoCopy(*alarms, mirror_.stream.created_ns)) {
      result_.doubted =
          "the origin's jetd had found records here that differ from its own, or are missing; its "
          "log names the first";
    }
  }

  [[nodiscard]] bool AcceptsAll() const {
    return options_.differences == PromotionOptions::Differences::kAccept;
  }

  // A stream that only looks like the origin's copy must not take its place: sealing cannot be
  // undone.
  absl::Status Judge() {
    if (AcceptsAll()) return absl::OkStatus();
    const auto reports = session_->Mirrors({.bucket = options_.mirror.bucket,
                                            .domain = mirror_.origin.domain,
                                            .only_domain = own_domain_});
    if (!reports.ok()) return reports.status();
    for (const jetstream::MirrorReport& report : *reports) {
      if (report.state.fit != jetstream::MirrorState::Fit::kOther) continue;
      return Unusable("stream ", stream_, " is no copy of the origin that answers in the domain ",
                      mirror_.origin.domain, ": ", report.state.what,
                      ". Keep the origin, or give --despite-differences if the copy is to take its "
                      "place all the same");
    }
    return absl::OkStatus();
  }

  // The mirror has what the origin had a moment ago before the origin is sealed, for then nobody
  // is served until the promotion has ended.
  absl::Status MoveFromOrigin() {
    const bool answers = result_.origin == Promotion::Origin::kSealed;
    if (answers) {
      if (absl::Status status = CatchUp(origin_last_, "nothing was changed"); !status.ok()) {
        return status;
      }
    }
    const auto read = answers ? CompareAndRead() : ReadMirror("nothing was changed");
    if (!read.ok() || !answers) return read.status();
    const auto last = SealOrigin();
    if (!last.ok()) return last.status();
    const absl::Status caught_up =
        CatchUp(*last, "the origin is sealed: run this again, which waits for the rest");
    if (!caught_up.ok() || *last <= *read) return caught_up;
    // What came meanwhile may not be whole either, and a mirror that takes records of its own gets
    // none from the origin any more.
    return ReadMirror(
               "the origin is sealed, and has what is missing: `jetctl restore` takes it from "
               "there "
               "into a new bucket")
        .status();
  }

  // As ReadMirror. An origin that cannot be read is no reason not to promote.
  absl::StatusOr<StreamSeq> CompareAndRead() {
    constexpr char kNothing[] = "nothing was changed";
    if (AcceptsAll()) {
      result_.uncompared = "nobody asked for it";
      return ReadMirror(kNothing);
    }
    Say("comparing it with the origin");
    StreamSource origin = options_.mirror;
    origin.domain = mirror_.origin.domain;
    origin.connect_patience = origin.patience = options_.compare;
    const auto found = VerifyMirror(origin, options_.mirror);
    if (!found.ok()) {
      if (absl::IsCancelled(found.status())) return found.status();
      result_.uncompared = std::string(MessageOf(found.status()));
      Say(Cat("they cannot be compared: ", result_.uncompared));
      return ReadMirror(kNothing);
    }
    if (found->difference.count == 0) return found->read;
    return Unusable("stream ", stream_, " is no copy of the origin that answers in the domain ",
                    mirror_.origin.domain, ": ", found->difference.named.front(), " (",
                    found->difference.count,
                    " differences). Keep the origin, or give "
                    "--despite-differences if the copy is to take its place all the same");
  }

  // Up to where it can be read, which is its end.
  absl::StatusOr<StreamSeq> ReadMirror(std::string_view what_now) {
    Say("reading the mirror");
    const auto read = DumpStream(options_.mirror, [](const StreamTransaction&) {});
    if (read.ok()) return read->last;
    return MakeStatus(read.status().code(), "the mirror cannot be read to its end, so that it can ",
                      "be no primary: ", MessageOf(read.status()), "; ", what_now);
  }

  // Of a promotion that was begun: the origin may not have answered then, or not have been asked.
  absl::Status SealAgain() {
    if (result_.origin != Promotion::Origin::kSealed) return absl::OkStatus();
    const auto last = SealOrigin();
    if (!last.ok()) return last.status();
    const StreamSeq reached = mirror_.stream.state.last;
    result_.missing = reached < *last ? last->value() - reached.value() : 0;
    return absl::OkStatus();
  }

  // Its last sequence, from now on.
  absl::StatusOr<StreamSeq> SealOrigin() {
    Say("sealing the origin");
    const auto lock =
        ConfigLock::Take(session_.get(), mirror_.origin.domain, stream_, options_.say);
    // It is for others who change the configuration, and there are none; to make a consumer is more
    // than an origin in trouble may be able to.
    if (absl::IsAborted(lock.status())) return Unsealed(lock.status());
    // As it is now: others may have changed it since it was looked at.
    const auto info = Info(mirror_.origin.domain);
    if (!info.ok()) return Unsealed(info.status());
    const auto now = jetstream::FactsOf(*info);
    if (!now.ok()) return Unsealed(now.status());
    if (now->created_ns != mirror_.origin.created_ns) return MadeAnew();
    const absl::Status held = lock.ok() ? (*lock)->Check() : absl::OkStatus();
    if (absl::IsAborted(held)) return Unsealed(held);
    const auto sealed = session_->Ask(mirror_.origin.domain, Cat("STREAM.UPDATE.", stream_),
                                      jetstream::SealedConfig(info->at("config"), own_domain_));
    if (!sealed.ok()) return Unsealed(sealed.status());
    const auto facts = jetstream::FactsOf(*sealed);
    if (!facts.ok()) return facts.status();
    return facts->state.last;
  }

  static absl::Status Unsealed(const absl::Status& why) {
    return MakeStatus(why.code(), "the origin answers and cannot be sealed: ", MessageOf(why));
  }

  absl::Status CatchUp(StreamSeq last, std::string_view what_now) {
    constexpr std::chrono::milliseconds kPause{100};
    const auto end = std::chrono::steady_clock::now() + options_.catch_up;
    Say(Cat("waiting until the mirror has all up to sequence ", last.value()));
    for (;;) {
      const auto facts = Mirror();
      if (!facts.ok()) return facts.status();
      const StreamSeq reached = facts->stream.state.last;
      result_.missing = reached < last ? last.value() - reached.value() : 0;
      if (result_.missing == 0) return absl::OkStatus();
      if (std::chrono::steady_clock::now() > end) {
        return MakeStatus(absl::StatusCode::kUnavailable, "the mirror lacks ", result_.missing,
                          " sequences that the origin has, and gets none in time: ", what_now,
                          ". If it is to go on without them, stop the origin's server");
      }
      std::this_thread::sleep_for(kPause);
    }
  }

  template <typename Fn>
  absl::Status Change(const Fn& change) {
    const auto info = Info(options_.mirror.domain);
    if (!info.ok()) return info.status();
    return session_
        ->Ask(options_.mirror.domain, Cat("STREAM.UPDATE.", stream_), change(info->at("config")))
        .status();
  }

  const PromotionOptions& options_;
  const std::unique_ptr<ApiSession> session_;
  const std::string stream_;
  MirrorFacts mirror_;
  StreamSeq origin_last_;
  std::string own_domain_;
  Promotion result_;
};

enum class Mode { kLook, kPromote };

absl::StatusOr<Promotion> Work(const PromotionOptions& options, Mode mode) {
  if (options.mirror.nats_urls.empty()) {
    return absl::InvalidArgumentError(
        "mirrors are on a nats-server of others; give --nats-url, of a server in the mirror's "
        "domain or one that reaches it");
  }
  if (options.bump < 1) return absl::InvalidArgumentError("--bump takes a number above 0");
  auto session = ApiSession::Open(
      {.urls = options.mirror.nats_urls, .credentials = options.mirror.credentials});
  if (!session.ok()) return session.status();
  Promoter promoter(options, *std::move(session));
  if (absl::Status status = promoter.Look(); !status.ok()) return status;
  if (mode == Mode::kPromote) {
    if (absl::Status status = promoter.Run(); !status.ok()) return status;
  }
  return promoter.result();
}

}  // namespace

absl::StatusOr<Promotion> LookAtPromotion(const PromotionOptions& options) {
  return Work(options, Mode::kLook);
}

absl::StatusOr<Promotion> Promote(const PromotionOptions& options) {
  return Work(options, Mode::kPromote);
}

}  // namespace jetd::replication
