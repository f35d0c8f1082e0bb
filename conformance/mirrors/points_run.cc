// SPDX-License-Identifier: Apache-2.0
#include "conformance/mirrors/points_run.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "conformance/mirrors/client_log.h"
#include "conformance/mirrors/mirrored_world.h"
#include "conformance/mirrors/random_writer.h"
#include "jetstream/api_session.h"
#include "jetstream/stream_setup.h"
#include "replication/bucket_restore.h"
#include "replication/mirror_tools.h"
#include "replication/mirrors.h"
#include "replication/past_state.h"
#include "replication/state_at.h"

namespace jetd::conformance {
namespace {

namespace pb = etcdclient::pb;
using etcdclient::ServerProcess;
using replication::Mirrors;
using replication::Point;
using replication::State;
using replication::StreamSource;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A leaf node's connection that is silent for longer is missed, and attaching takes its time then.
constexpr milliseconds kLongCut{15'000};
// What is asked once is answered, however slow the machine is.
constexpr milliseconds kPatience{60'000};
constexpr milliseconds kPause{20};
constexpr etcdclient::CallOptions kPatient{.timeout = kPatience};
// A time is asked for only where nothing happened for so long around it.
constexpr int64_t kQuietNs = 20'000;

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

// A point, and the step of the client's log after which it stands.
struct Probe {
  Point point;
  size_t step = 0;
  int64_t revision = 0;
};

// What is different, "" if nothing is. Of leases that may have gone only those that are said to be
// there are compared.
std::string Difference(const Moment& moment, const State& state) {
  if (state.revision.value() != moment.revision) {
    return Cat("it is at revision ", state.revision.value(), ", not ", moment.revision);
  }
  for (const auto& [key, is] : moment.keys) {
    const auto found = state.keys.find(key);
    if (found == state.keys.end()) return Cat("it lacks ", key);
    const replication::StateKey& has = found->second;
    if (Moment::Key{.value = has.value,
                    .create = has.create_revision.value(),
                    .mod = has.mod_revision.value(),
                    .version = has.version,
                    .lease = has.lease.value()} != is) {
      return Cat(key, " is of revision ", has.mod_revision.value(), ", version ", has.version,
                 ", not ", is.mod, ", ", is.version, ", or its value or lease differs");
    }
  }
  if (state.keys.size() != moment.keys.size()) {
    return Cat("it has ", state.keys.size(), " keys and not ", moment.keys.size());
  }
  for (const auto& [id, ttl_s] : state.leases) {
    const auto found = moment.leases.find(id.value());
    if (found == moment.leases.end()) return Cat("it has a lease ", id.value());
    if (found->second != ttl_s) return Cat("lease ", id.value(), " has ", ttl_s, " s");
  }
  if (state.all_leases && state.leases.size() != moment.leases.size()) {
    return Cat("it has ", state.leases.size(), " leases and not ", moment.leases.size());
  }
  return "";
}

class PointsRun {
 public:
  PointsRun(const PointsOptions& options, const std::function<void(const std::string&)>& say)
      : options_(options), say_(say), random_(options.seed) {}

  absl::StatusOr<PointsReport> Run() {
    using Disk = MirroredWorld::Disk;
    auto world = MirroredWorld::Start(options_.jetd,
                                      options_.power_cuts > 0 ? Disk::kForgetful : Disk::kPlain);
    if (!world.ok()) return world.status();
    world_ = *std::move(world);
    if (absl::Status written = Write(); !written.ok()) return written;
    ChooseProbes();
    if (absl::Status read = ReadAll(); !read.ok()) return read;
    if (absl::Status restored = RestoreSome(); !restored.ok()) return restored;
    if (!world_->jetd().running()) {
      report_.violations.Add("jetd", Cat("it ended: ", world_->jetd().LogTail()));
    }
    return std::move(report_);
  }

 private:
  [[nodiscard]] size_t Pick(size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random_);
  }
  void Say(const std::string& line) const { say_(line); }
  void Wrong(std::string_view kind, const std::string& what) { report_.violations.Add(kind, what); }

  // The random history, and what happens to it.
  absl::Status Write() {
    std::atomic<size_t> allowed{options_.power_cuts > 0 ? 0 : options_.steps};
    writer_ = std::make_unique<RandomWriter>(RandomWriter::Options{
        .endpoint = world_->jetd().endpoint(),
        .steps = options_.steps,
        .compactions = options_.compactions,
        .seed = options_.seed,
        .allowed = &allowed,
    });
    const auto start = steady_clock::now();
    absl::Status written;
    std::atomic<bool> ended{false};
    std::thread thread([&] {
      written = writer_->Run();
      ended.store(true);
    });
    absl::Status faulty;
    for (size_t i = 1; i <= options_.power_cuts && faulty.ok() && !ended; ++i) {
      const size_t from = allowed;
      allowed = i * options_.steps / options_.power_cuts;
      const size_t at = from + Pick(allowed - from);
      while (writer_->done() < at && !ended) std::this_thread::sleep_for(milliseconds(1));
      faulty = PowerCut();
    }
    allowed = options_.steps;
    for (size_t i = 1; i <= options_.faults && faulty.ok(); ++i) {
      const size_t at = i * options_.steps / (options_.faults + 1);
      while (writer_->done() < at && !ended) std::this_thread::sleep_for(milliseconds(1));
      faulty = Fault(i);
    }
    thread.join();
    world_->link().Release();
    report_.write_seconds = SecondsSince(start);
    if (!faulty.ok()) return faulty;
    if (!written.ok()) return written;
    const auto last = steady_clock::now();
    if (absl::Status copied = world_->WaitCopied(); !copied.ok()) return copied;
    report_.caught_up_ms = static_cast<int64_t>(SecondsSince(last) * 1e3);
    NoteWritten();
    return absl::OkStatus();
  }

  void NoteWritten() {
    ClientLog& log = writer_->log();
    report_.steps = log.steps().size();
    report_.revisions = static_cast<size_t>(log.now().revision);
    report_.leases = log.now().leases.size();
    report_.failed = writer_->failed();
    report_.failed_and_happened = writer_->failed_and_happened();
    report_.compacted = writer_->compacted();
    report_.violations.Merge(writer_->violations());
    if (options_.doctored) {
      for (size_t step = log.steps().size() / 2; !log.Doctor(step);) ++step;
    }
    Say(Cat(report_.steps, " steps, revision ", report_.revisions, ", compacted at ",
            report_.compacted, "; the mirror had all ", report_.caught_up_ms,
            " ms after the last one"));
  }

  // What the mirror has, asked of its own server. NotFound: nothing.
  [[nodiscard]] absl::StatusOr<jetstream::StreamState> StateOfMirror() const {
    const auto mirrors = Mirrors::Open(world_->Mirror());
    if (!mirrors.ok()) return mirrors.status();
    const auto facts = (*mirrors)->LookAlone(world_->Mirror().domain);
    if (!facts.ok()) return facts.status();
    return facts->stream.state;
  }
  static uint64_t HolesIn(const jetstream::StreamState& state) {
    return state.last.value() - state.messages;
  }

  // Behind it the client writes on, while the mirror's server starts and finds its origin again.
  absl::Status PowerCut() {
    const auto before = StateOfMirror();
    if (!before.ok()) return before.status();
    if (absl::Status cut = world_->CutPowerOfMirror(random_()); !cut.ok()) return cut;
    auto after = StateOfMirror();
    if (absl::IsNotFound(after.status())) {
      ++report_.power.gone;
      if (absl::Status made = MakeMirrorAnew(); !made.ok()) return made;
      after = jetstream::StreamState{};
    }
    if (!after.ok()) return after.status();
    const bool lost = after->last < before->last;
    if (lost) report_.power.records_lost += before->last.value() - after->last.value();
    if (absl::Status copied = world_->WaitCopied(); !copied.ok()) return copied;
    after = StateOfMirror();
    if (!after.ok()) return after.status();
    const uint64_t gone = HolesIn(*after) - std::min(HolesIn(*after), HolesIn(*before));
    report_.power.records_gone += gone;
    ++(gone > 0 ? report_.power.with_gap
       : lost   ? report_.power.copied_again
                : report_.power.unharmed);
    const auto verified = replication::VerifyMirror(world_->Origin(), world_->Mirror());
    if (!verified.ok()) return verified.status();
    if (verified->difference.count > 0) {
      Wrong("power cut", Cat("the mirror differs: ", verified->difference.named.front()));
    }
    Say(Cat("power cut ",
            report_.power.unharmed + report_.power.copied_again + report_.power.with_gap,
            ": the mirror ended at ", before->last.value(), ", lost ", report_.power.records_lost,
            " records by now, of which ", report_.power.records_gone, " are gone for good"));
    return absl::OkStatus();
  }
  absl::Status MakeMirrorAnew() {
    const auto mirrors = Mirrors::Open(world_->Origin());
    if (!mirrors.ok()) return mirrors.status();
    const auto reports = (*mirrors)->Look();
    if (!reports.ok()) return reports.status();
    if (reports->front().state.fit == jetstream::MirrorState::Fit::kFits) {
      Wrong("power cut", "the mirror's stream is gone, and nobody says so");
    }
    world_->domains().AwaitLeaf();
    return (*mirrors)->Add({.domain = world_->Mirror().domain});
  }

  absl::Status Fault(size_t number) {
    enum { kCut, kJetd, kOrigin, kMirror, kKinds };
    auto& domains = world_->domains();
    switch (number % kKinds) {
      case kCut: {
        const bool is_long = report_.faults["long cut"] < options_.long_cuts;
        ++report_.faults[is_long ? "long cut" : "cut"];
        world_->link().Refuse();
        std::this_thread::sleep_for(is_long ? kLongCut : milliseconds(100 + Pick(1'000)));
        world_->link().Release();
        return absl::OkStatus();
      }
      case kJetd:
        ++report_.faults["kill of jetd"];
        // With the link down: who takes over does not know how far the mirror is.
        if (Pick(2) == 0) world_->link().Refuse();
        if (absl::Status back = world_->RestartJetd(); !back.ok()) return back;
        world_->link().Release();
        return absl::OkStatus();
      case kOrigin:
        ++report_.faults["kill of the origin's server"];
        domains.hub().Kill();
        domains.hub().Restart();
        return absl::OkStatus();
      default:
        ++report_.faults["kill of the mirror's server"];
        domains.leaf().Kill();
        domains.leaf().Restart();
        return absl::OkStatus();
    }
  }

  // Random moments of the log; where nothing else is said, by revision.
  void ChooseProbes() {
    const ClientLog& log = writer_->log();
    while (probes_.size() < options_.points) {
      const size_t what = Pick(10);
      if (what == 0) {
        ChooseChange(log);
      } else if (what < 4) {
        ChooseTime(log);
      } else {
        const auto revision = static_cast<int64_t>(2 + Pick(report_.revisions - 1));
        Choose(log, {.kind = Point::Kind::kRevision, .revision = Revision(revision)},
               log.LastStepOf(revision));
      }
    }
    std::sort(probes_.begin(), probes_.end(),
              [](const Probe& a, const Probe& b) { return a.step < b.step; });
  }
  void Choose(const ClientLog& log, Point point, size_t step) {
    probes_.push_back({std::move(point), step, log.revisions()[step]});
  }
  void ChooseTime(const ClientLog& log) {
    const size_t step = Pick(log.steps().size() - 1);
    const int64_t from = log.steps()[step].known_ns, to = log.steps()[step + 1].asked_ns;
    // A clock that is set back would make it mean another moment.
    if (to - from < kQuietNs || log.revisions()[step] < 2) return;
    Choose(log, {.kind = Point::Kind::kTime, .time_ns = from + (to - from) / 2}, step);
  }
  void ChooseChange(const ClientLog& log) {
    if (log.now().keys.empty()) return;
    auto key = log.now().keys.begin();
    std::advance(key, Pick(log.now().keys.size()));
    const size_t step = log.LastChangeOf(key->first);
    if (step == 0 || log.revisions()[step - 1] < 2) return;
    Choose(log, {.kind = Point::Kind::kBeforeChange, .key = key->first}, step - 1);
  }

  // Compares the states of these probes, in their order, with the client's log.
  void Compare(const char* where, const std::vector<const Probe*>& probes,
               const std::vector<State>& states) {
    std::vector<size_t> steps;
    for (const Probe* probe : probes) steps.push_back(probe->step);
    size_t i = 0;
    writer_->log().Replay(steps, [&](size_t /*step*/, const Moment& moment) {
      const State& state = states[i];
      report_.keys_compared += moment.keys.size();
      if (const std::string wrong = Difference(moment, state); !wrong.empty()) {
        Wrong("state", Cat(where, ", ", ToText(probes[i]->point), ": ", wrong));
      }
      ++i;
    });
  }

  // The probes that could be read, by step, and their states.
  struct Read {
    std::vector<const Probe*> probes;
    std::vector<State> states;
    std::vector<std::pair<const Probe*, std::string>> missing;  // the others, and why
  };
  // What the store says of itself decides; a compaction that still removes may change its mind.
  absl::StatusOr<Read> ReadFrom(const char* where, const StreamSource& source) {
    const auto end = steady_clock::now() + kPatience;
    absl::Status why;
    while (steady_clock::now() < end) {
      const auto held = replication::ReadPoints(source);
      if (!held.ok()) return held.status();
      Read read;
      std::vector<Point> points;
      for (const Probe& probe : probes_) {
        const absl::Status there = held->Restorable(Revision(probe.revision));
        if (there.ok()) {
          read.probes.push_back(&probe);
          points.push_back(probe.point);
        } else {
          read.missing.emplace_back(&probe, MessageOf(there));
        }
      }
      auto states = replication::ReadStates(source, points);
      if (states.ok()) {
        read.states = *std::move(states);
        Compare(where, read.probes, read.states);
        return read;
      }
      why = MakeStatus(states.status().code(), where, ": ", MessageOf(states.status()));
      if (!absl::IsFailedPrecondition(why)) break;
      std::this_thread::sleep_for(kPause);  // of another process's removal
    }
    return why;
  }

  void Lost(const char* where, const Probe& probe, const std::string& why) {
    Wrong("lost point", Cat(where, ", ", ToText(probe.point), ": ", why));
  }

  absl::Status ReadAll() {
    const auto start = steady_clock::now();
    const auto origin = ReadFrom("origin", world_->Origin());
    if (!origin.ok()) return origin.status();
    // Removal has waited for it, so that it has everything.
    auto mirror = ReadFrom("mirror", world_->Mirror());
    if (!mirror.ok()) return mirror.status();
    for (const auto& [probe, why] : origin->missing) {
      ++report_.not_at_origin;
      if (probe->revision >= report_.compacted) Lost("origin", *probe, why);
    }
    for (const auto& [probe, why] : mirror->missing) {
      ++report_.not_at_mirror;
      if (report_.power.records_gone == 0 && report_.power.gone == 0) Lost("mirror", *probe, why);
    }
    report_.at_origin = origin->states.size();
    report_.at_mirror = mirror->states.size();
    mirror_ = *std::move(mirror);
    report_.read_seconds = SecondsSince(start);
    Say(Cat(report_.at_origin, " points at the origin, ", report_.at_mirror, " at the mirror"));
    return absl::OkStatus();
  }

  // Each into a new bucket at the origin, from what was read of the mirror.
  absl::Status RestoreSome() {
    const auto start = steady_clock::now();
    const size_t count = std::min(options_.restores, mirror_.probes.size());
    std::vector<size_t> chosen, steps;
    for (size_t i = 0; i < count; ++i) {
      chosen.push_back(i * mirror_.probes.size() / count);
      steps.push_back(mirror_.probes[chosen.back()]->step);
    }
    absl::Status status;
    size_t i = 0;
    writer_->log().Replay(steps, [&](size_t /*step*/, const Moment& moment) {
      if (!status.ok()) return;
      const Serving serving = i * options_.served / count != (i + 1) * options_.served / count
                                  ? Serving::kYes
                                  : Serving::kNo;
      status = Restore(*mirror_.probes[chosen[i]], mirror_.states[chosen[i]], moment, serving);
      if (++i % 100 == 0) Say(Cat(i, " points restored"));
    });
    report_.restore_seconds = SecondsSince(start);
    return status;
  }

  enum class Serving { kNo, kYes };
  absl::Status Restore(const Probe& probe, const State& read, const Moment& moment,
                       Serving serving) {
    replication::RestoreOptions options;
    options.target = world_->Origin();
    // A name of its own for each: nats-server deletes behind its answer.
    options.target.bucket = Cat("restored-", report_.restored);
    options.source = "the mirror";
    const int64_t bumped = read.points.current.value() + options.bump;
    const auto filled = RestoreBucket(options, replication::BucketStateOf(read));
    if (!filled.ok()) return filled.status();
    ++report_.restored;
    if (!filled->checked) Wrong("restore", Cat(ToText(probe.point), ": it was not checked"));
    auto state = replication::ReadState(options.target, {});
    if (!state.ok()) return state.status();
    if (state->revision.value() < bumped) {
      Wrong("restore", Cat(ToText(probe.point), ": revision ", state->revision.value(),
                           " is not above ", bumped));
    }
    state->revision = Revision(moment.revision);  // what is in it is compared
    if (const std::string wrong = Difference(moment, *state); !wrong.empty()) {
      Wrong("restore", Cat(ToText(probe.point), ": ", wrong));
    }
    if (serving == Serving::kYes) {
      if (absl::Status served = Serve(options.target.bucket, probe, moment); !served.ok())
        return served;
    }
    auto api = jetstream::ApiSession::Open(
        {.urls = options.target.nats_urls, .answer_timeout = kPatience});
    if (!api.ok()) return api.status();
    return (*api)
        ->Ask("", Cat("STREAM.DELETE.", jetstream::StreamName(options.target.bucket)))
        .status();
  }

  // What clients of a jetd see of a restored bucket.
  absl::Status Serve(const std::string& bucket, const Probe& probe, const Moment& moment) {
    const auto jetd = world_->Serve(bucket);
    if (!jetd.ok()) return jetd.status();
    const auto client = (*jetd)->Connect();
    if (!client.ok()) return client.status();
    ++report_.served;
    pb::RangeRequest range;
    range.set_key(std::string(1, '\0'));
    range.set_range_end(std::string(1, '\0'));
    const auto answer = (*client)->Call(range, kPatient);
    if (!answer.ok()) return answer.status();
    State state;
    state.revision = Revision(moment.revision);
    state.all_leases = false;
    for (const auto& kv : answer->kvs()) {
      state.keys[kv.key()] = {.value = kv.value(),
                              .create_revision = Revision(kv.create_revision()),
                              .mod_revision = Revision(kv.mod_revision()),
                              .version = kv.version(),
                              .lease = LeaseId(kv.lease())};
    }
    if (const std::string wrong = Difference(moment, state); !wrong.empty()) {
      Wrong("served", Cat(ToText(probe.point), ": ", wrong));
    }
    range.set_revision(moment.revision);
    const auto old = (*client)->Call(range, kPatient);
    if (old.ok() || MessageOf(old.status()).find("compacted") == std::string::npos) {
      Wrong("served", Cat(ToText(probe.point), ": a read of the past is answered with ",
                          old.ok() ? "OK" : MessageOf(old.status())));
    }
    return absl::OkStatus();
  }

  const PointsOptions& options_;
  const std::function<void(const std::string&)>& say_;
  std::mt19937_64 random_;
  std::unique_ptr<MirroredWorld> world_;
  std::unique_ptr<RandomWriter> writer_;
  std::vector<Probe> probes_;  // by step
  Read mirror_;
  PointsReport report_;
};

}  // namespace

absl::StatusOr<PointsReport> RunPoints(const PointsOptions& options,
                                       const std::function<void(const std::string& line)>& say) {
  return PointsRun(options, say).Run();
}

}  // namespace jetd::conformance
