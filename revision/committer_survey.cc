// SPDX-License-Identifier: Apache-2.0
//
// Lists of what lives in the stream, after which the last delete markers may go (docs/adr/0019):
//
//   visit the store, a step at a time  ->  write the list  ->  once it is safe, remove the markers
//                                                              and the list before it
//
// Whatever happens in between, a list that is written says nothing wrong: of what was committed
// when it was begun, it leaves out only what a committed compaction had removed by then or
// meanwhile.
#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "revision/committer_impl.h"
#include "revision/live_list.h"

namespace jetd::revision {
namespace {

// A list costs two bytes or so for each version that it names, a marker some two hundred: worth it
// from a marker for eight versions on.
constexpr size_t kVersionsPerMarker = 8;
// What a sequence takes in a record when the listed ones lie far apart, in bytes.
constexpr size_t kBytesPerLive = 12;

}  // namespace

void Committer::Impl::SurveyIfWorthwhile() {
  if (survey != nullptr || stopped || phase != Phase::kLeading) return;
  const size_t worthwhile =
      std::max(options.min_markers_for_list, store->stats().versions / kVersionsPerMarker);
  if (last_markers.empty() || last_markers.size() < worthwhile) return;
  survey = std::make_unique<Survey>(committed_seq);
  survey->number = ++surveys;
  survey->markers = std::exchange(last_markers, {});
  survey->lists_before = system.live.size();
  for (const auto& [id, seq] : system.leases) survey->list.Note(seq);
  for (const SystemRecords::GoneLease& lease : system.gone_leases) {
    if (lease.grant != StreamSeq{}) survey->list.Note(lease.grant);
    survey->list.Note(lease.gone);
  }
  SurveyMore();
}

void Committer::Impl::SurveyMore() {
  survey->timer = 0;
  if (store->VisitVersions(&survey->next_key, options.survey_step,
                           [this](const KvBlock& v) { survey->list.Note(v.seq()); })) {
    WriteLive();
    return;
  }
  survey->timer = executor->RunAt(executor->Now(), [this] { SurveyMore(); });
}

// One record after the other, so that clients' writes go in between.
void Committer::Impl::WriteLive() {
  const size_t fits = std::max<size_t>(1, info.max_payload_bytes / kBytesPerLive);
  auto record = survey->list.NextRecord(std::min(options.max_live_per_record, fits));
  if (!record.has_value()) {
    Collector::Batch markers, lists;
    markers.hidden = std::move(survey->markers);
    const auto replaced = system.live.begin() + static_cast<std::ptrdiff_t>(survey->lists_before);
    lists.hidden.assign(system.live.begin(), replaced);
    system.live.erase(system.live.begin(), replaced);
    survey.reset();
    gate.Add(std::move(markers), RemovalGate::Kind::kLastMarkers);
    if (!lists.hidden.empty()) gate.Add(std::move(lists), RemovalGate::Kind::kSuperseded);
    return;
  }
  auto entry = std::make_unique<Entry>();
  entry->kind = Entry::Kind::kLive;
  entry->payload = EncodeLive(*record);
  entry->bytes = entry->payload.size();
  entry->revision_done = [this, number = survey->number](const absl::StatusOr<Revision>& answer) {
    if (survey != nullptr && survey->number == number) OnLiveWritten(answer.status());
  };
  Enqueue(std::move(entry));
}

void Committer::Impl::OnLiveWritten(const absl::Status& status) {
  if (status.ok()) {
    WriteLive();
  } else {
    EndSurvey();
  }
}

void Committer::Impl::EndSurvey() {
  if (survey == nullptr) return;
  executor->Cancel(survey->timer);
  std::move(survey->markers.begin(), survey->markers.end(), std::back_inserter(last_markers));
  survey.reset();
}

}  // namespace jetd::revision
