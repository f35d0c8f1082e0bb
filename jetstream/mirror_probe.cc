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
        term_subject_(SubjectCodec(question_.bucket).TermSubject()),
        alarm_subject_(SubjectCodec(question_.bucket).AlarmSubject()),
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
    StreamSeq compared;    // the newest term record that was found in it
    StreamSeq other;       // the first one that was not
    bool differs = false;  // as the origin's alarms have it
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
    if (at_ == found_.size()) return AskTerms();
    mirrors_->Ask(domain(), info_, "", [self = shared_from_this()](const Json& answer) {
      auto facts = answer.ok() ? MirrorFactsOf(*answer) : answer.status();
      if (facts.ok()) {
        self->Heard(*std::move(facts));
      } else {
        self->Unheard(facts.status());
      }
      ++self->at_;
      self->AskMirror();
    });
  }

  void Heard(MirrorFacts facts) {
    Mirror& mirror = found_[at_];
    mirror.report.state.made_ns = facts.stream.created_ns;
    mirror.report.facts = std::move(facts);
    for (const MirrorState& known : question_.look.known) {
      const MirrorState& state = mirror.report.state;
      if (known.name == state.name && known.made_ns == state.made_ns) {
        mirror.compared = known.compared;
      }
    }
  }

  void Unheard(const absl::Status& why) {
    MirrorReport& report = found_[at_].report;
    const bool was_heard = report.facts.has_value();
    report.facts.reset();
    report.state.fit = MirrorState::Fit::kUnheard;
    report.state.what = std::string(MessageOf(why));
    if (was_heard) {
      // What was compared until then stays compared, or a link that often fails would never see the
      // end of many term records.
      report.state.compared = found_[at_].compared;
      return;
    }
    for (const MirrorState& known : question_.look.known) {
      if (known.name != report.state.name) continue;
      report.state.made_ns = known.made_ns;
      report.state.compared = known.compared;
    }
  }

  // Of the origin, those that some mirror must have and was not asked for yet.
  void AskTerms() {
    std::optional<StreamSeq> below;
    for (const Mirror& mirror : found_) {
      if (!mirror.report.facts.has_value()) continue;
      below = std::min(below.value_or(mirror.compared), mirror.compared);
      reached_ = std::max(reached_, mirror.report.facts->stream.state.last);
    }
    if (!below.has_value()) return AskOriginAgain();
    AskAlarms(*below);
  }

  void AskAlarms(StreamSeq below) {
    const nlohmann::json newest = {{"last_by_subj", alarm_subject_}};
    origin_->Ask(question_.domain, get_, newest.dump(),
                 [self = shared_from_this(), below](const Json& answer) {
                   if (!answer.ok() && !absl::IsNotFound(answer.status())) {
                     return self->done_(answer.status());
                   }
                   for (Mirror& mirror : self->found_) {
                     mirror.differs =
                         answer.ok() && SaysNoCopy(*answer, mirror.report.state.made_ns);
                   }
                   self->AskTermsAbove(below);
                 });
  }

  void AskTermsAbove(StreamSeq below) {
    if (question_.look.terms == MirrorsQuestion::Terms::kAll) return AskTermFrom(below.Next());
    AskTerm({{"last_by_subj", term_subject_}});
  }
  void AskTermFrom(StreamSeq from) {
    if (from > reached_) return AskOriginAgain();
    AskTerm({{"seq", from.value()}, {"next_by_subj", term_subject_}});
  }
  void AskTerm(const nlohmann::json& which) {
    origin_->Ask(question_.domain, get_, which.dump(),
                 [self = shared_from_this()](const Json& answer) {
                   if (absl::IsNotFound(answer.status())) return self->AskOriginAgain();
                   if (!answer.ok()) return self->done_(answer.status());
                   auto term = StoredMessageOf(*answer);
                   if (!term.ok()) return self->done_(term.status());
                   const StreamSeq seq = term->seq;
                   self->terms_.push_back(*std::move(term));
                   if (self->question_.look.terms == MirrorsQuestion::Terms::kNewest) {
                     return self->AskOriginAgain();
                   }
                   self->AskTermFrom(seq.Next());
                 });
  }

  void AskOriginAgain() {
    origin_->Ask(question_.domain, info_, "", [self = shared_from_this()](const Json& answer) {
      if (!answer.ok()) return self->done_(answer.status());
      auto facts = MirrorFactsOf(*answer);
      if (!facts.ok()) return self->done_(facts.status());
      self->origin_facts_ = *std::move(facts);
      self->at_ = 0;
      self->CompareTerms();
    });
  }

  // Goes on with the mirror `at_` and the term record `term_`.
  void CompareTerms() {
    for (; at_ < found_.size(); ++at_, term_ = 0) {
      const Mirror& mirror = found_[at_];
      if (!mirror.report.facts.has_value() || mirror.other != StreamSeq{}) continue;
      if (VerdictOn(mirror).fit != MirrorState::Fit::kFits) continue;
      while (term_ < terms_.size() && terms_[term_].seq <= mirror.compared) ++term_;
      if (term_ == terms_.size()) continue;
      if (terms_[term_].seq > mirror.report.facts->stream.state.last) continue;
      return AskMirrorTerm();
    }
    Finish();
  }

  void AskMirrorTerm() {
    const nlohmann::json there = {{"seq", terms_[term_].seq.value()}};
    mirrors_->Ask(domain(), get_, there.dump(), [self = shared_from_this()](const Json& answer) {
      if (absl::IsNotFound(answer.status())) return self->AskBehindHole();
      self->OnMirrorHas(answer, self->terms_[self->term_]);
    });
  }

  // A mirror without it may be none that ever had it (it was removed here, and nats-server brought
  // it back), or have been ahead of a sequence that was removed before it was given out again: what
  // the mirror has next tells.
  void AskBehindHole() {
    const nlohmann::json next = {{"seq", terms_[term_].seq.value()}, {"next_by_subj", ">"}};
    mirrors_->Ask(domain(), get_, next.dump(), [self = shared_from_this()](const Json& answer) {
      if (absl::IsNotFound(answer.status())) return self->NextTerm();
      auto message = answer.ok() ? StoredMessageOf(*answer) : answer.status();
      if (!message.ok()) return self->OnMirrorHas(message.status(), {});
      const nlohmann::json same = {{"seq", message->seq.value()}};
      self->origin_->Ask(self->question_.domain, self->get_, same.dump(),
                         [self, answer](const Json& here) {
                           if (absl::IsNotFound(here.status())) return self->NextTerm();
                           auto record = here.ok() ? StoredMessageOf(*here) : here.status();
                           if (!record.ok()) return self->done_(record.status());
                           self->OnMirrorHas(answer, *record);
                         });
    });
  }

  void OnMirrorHas(const Json& answer, const StoredMessage& wanted) {
    const auto message = answer.ok() ? StoredMessageOf(*answer) : answer.status();
    if (!message.ok()) {
      Unheard(message.status());
    } else if (*message == wanted) {
      return NextTerm();
    } else {
      found_[at_].other = terms_[term_].seq;
    }
    CompareTerms();
  }

  void NextTerm() {
    // Nothing is said of those before the newest one.
    if (question_.look.terms == MirrorsQuestion::Terms::kAll) {
      found_[at_].compared = terms_[term_].seq;
    }
    ++term_;
    CompareTerms();
  }

  [[nodiscard]] MirrorVerdict VerdictOn(const Mirror& mirror) const {
    return JudgeMirror({.origin = origin_facts_.stream,
                        .mirror = *mirror.report.facts,
                        .other = mirror.other,
                        .differs = mirror.differs});
  }

  void Finish() {
    std::vector<MirrorReport> reports;
    for (Mirror& mirror : found_) {
      MirrorState& state = mirror.report.state;
      state.last = origin_facts_.stream.state.last;
      if (mirror.report.facts.has_value()) {
        MirrorVerdict verdict = VerdictOn(mirror);
        state.fit = verdict.fit;
        state.what = std::move(verdict.what);
        state.compared = mirror.compared;
        if (state.fit == MirrorState::Fit::kFits) {
          state.reached = mirror.report.facts->stream.state.last;
          const int64_t lag_ns = origin_facts_.newest_ns - mirror.report.facts->newest_ns;
          state.lag_ns = state.reached < state.last ? std::max<int64_t>(0, lag_ns) : int64_t{0};
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
  const std::string info_, get_, term_subject_, alarm_subject_;
  const DoneFn done_;
  std::vector<Mirror> found_;
  size_t at_ = 0;                     // the one that is asked
  StreamSeq reached_;                 // by the one that is farthest
  std::vector<StoredMessage> terms_;  // of the origin, ascending
  size_t term_ = 0;                   // the one that is compared
  MirrorFacts origin_facts_;
};

}  // namespace

void AskMirrors(DomainApi* origin, DomainApi* mirrors, const MirrorQuestion& question,
                std::function<void(absl::StatusOr<std::vector<MirrorReport>>)> done) {
  std::make_shared<Probe>(origin, mirrors, question, std::move(done))->Begin();
}

}  // namespace jetd::jetstream
