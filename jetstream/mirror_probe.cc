// SPDX-License-Identifier: Apache-2.0
#include "jetstream/mirror_probe.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/strings.h"
#include "jetstream/nats_api.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

using Json = absl::StatusOr<nlohmann::json>;

// One round of questions. The question that is under way holds it.
class Probe : public std::enable_shared_from_this<Probe> {
 public:
  using DoneFn = std::function<void(absl::StatusOr<std::vector<MirrorReport>>)>;

  Probe(DomainApi* origin, DomainApi* mirrors, MirrorQuestion question, DoneFn done)
      : origin_(origin),
        mirrors_(mirrors),
        question_(std::move(question)),
        info_(Cat("STREAM.INFO.", StreamName(question_.bucket))),
        get_(Cat("STREAM.MSG.GET.", StreamName(question_.bucket))),
        newest_term_(
            Cat("{\"last_by_subj\":\"", SubjectCodec(question_.bucket).TermSubject(), "\"}")),
        done_(std::move(done)) {}

  void Begin() {
    origin_->Ask(question_.domain, info_, "", [self = shared_from_this()](const Json& answer) {
      if (!answer.ok()) return self->done_(answer.status());
      self->OnDeclared(answer->at("config"));
    });
  }

 private:
  struct Mirror {
    MirrorReport report;
    std::optional<TermMark> term;
  };

  void OnDeclared(const nlohmann::json& config) {
    for (const MirrorDeclaration& declared : DeclaredMirrors(config)) {
      if (!question_.only_domain.empty() && declared.domain != question_.only_domain) continue;
      AddMirror(declared);
    }
    if (found_.empty() && !question_.only_domain.empty()) {
      AddMirror({.name = question_.only_domain, .domain = question_.only_domain});
    }
    if (found_.empty()) return done_(std::vector<MirrorReport>());
    AskMirror();
  }

  void AddMirror(const MirrorDeclaration& declared) {
    MirrorState& state = found_.emplace_back().report.state;
    state.name = declared.name;
    state.domain = declared.domain;
    state.cap_records = declared.cap_records;
  }

  void AskMirror() {
    if (at_ == found_.size()) return AskOriginTerm();
    mirrors_->Ask(domain(), info_, "", [self = shared_from_this()](const Json& answer) {
      Mirror& mirror = self->found_[self->at_];
      if (!answer.ok()) return self->Unheard(answer.status());
      auto facts = MirrorFactsOf(*answer);
      if (!facts.ok()) return self->Unheard(facts.status());
      mirror.report.facts = *std::move(facts);
      self->AskMirrorTerm();
    });
  }

  void AskMirrorTerm() {
    mirrors_->Ask(domain(), get_, newest_term_, [self = shared_from_this()](const Json& answer) {
      Mirror& mirror = self->found_[self->at_];
      if (!answer.ok() && !absl::IsNotFound(answer.status())) {
        mirror.report.facts.reset();
        return self->Unheard(answer.status());
      }
      if (answer.ok()) {
        if (auto mark = TermMarkOf(*answer); mark.ok()) mirror.term = *std::move(mark);
      }
      ++self->at_;
      self->AskMirror();
    });
  }

  void Unheard(const absl::Status& why) {
    MirrorState& state = found_[at_].report.state;
    state.fit = MirrorState::Fit::kUnheard;
    state.what = std::string(MessageOf(why));
    ++at_;
    AskMirror();
  }

  void AskOriginTerm() {
    origin_->Ask(question_.domain, get_, newest_term_,
                 [self = shared_from_this()](const Json& answer) {
                   if (answer.ok()) {
                     auto mark = TermMarkOf(*answer);
                     if (!mark.ok()) return self->done_(mark.status());
                     self->origin_term_ = *std::move(mark);
                   } else if (!absl::IsNotFound(answer.status())) {
                     return self->done_(answer.status());
                   }
                   self->AskOriginAgain();
                 });
  }

  void AskOriginAgain() {
    origin_->Ask(question_.domain, info_, "", [self = shared_from_this()](const Json& answer) {
      if (!answer.ok()) return self->done_(answer.status());
      auto origin = MirrorFactsOf(*answer);
      if (!origin.ok()) return self->done_(origin.status());
      self->Judge(*origin);
    });
  }

  void Judge(const MirrorFacts& origin) {
    std::vector<MirrorReport> reports;
    for (Mirror& mirror : found_) {
      MirrorState& state = mirror.report.state;
      state.last = origin.stream.state.last;
      if (mirror.report.facts.has_value()) {
        const MirrorFacts& facts = *mirror.report.facts;
        MirrorVerdict verdict = JudgeMirror({.origin = origin.stream,
                                             .origin_term = origin_term_,
                                             .mirror = facts,
                                             .mirror_term = mirror.term});
        state.fit = verdict.fit;
        state.what = std::move(verdict.what);
        if (state.fit == MirrorState::Fit::kFits) {
          state.reached = facts.stream.state.last;
          const bool behind = state.reached < state.last;
          state.lag_ns =
              behind ? std::max<int64_t>(0, origin.newest_ns - facts.newest_ns) : int64_t{0};
        }
      }
      reports.push_back(std::move(mirror.report));
    }
    done_(std::move(reports));
  }

  [[nodiscard]] const std::string& domain() const { return found_[at_].report.state.domain; }

  DomainApi* const origin_;
  DomainApi* const mirrors_;
  const MirrorQuestion question_;
  const std::string info_, get_, newest_term_;
  const DoneFn done_;
  std::vector<Mirror> found_;
  size_t at_ = 0;  // the one that is asked
  std::optional<TermMark> origin_term_;
};

}  // namespace

void AskMirrors(DomainApi* origin, DomainApi* mirrors, const MirrorQuestion& question,
                std::function<void(absl::StatusOr<std::vector<MirrorReport>>)> done) {
  std::make_shared<Probe>(origin, mirrors, question, std::move(done))->Begin();
}

}  // namespace jetd::jetstream
