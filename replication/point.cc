// SPDX-License-Identifier: Apache-2.0
#include "replication/point.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "absl/time/time.h"
#include "base/strings.h"

namespace jetd::replication {
namespace {

constexpr std::string_view kBefore = "before:";
constexpr std::string_view kBeforeDeletion = "before-deletion:";
constexpr std::string_view kAgo = " ago";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string RangeText(const Points::Range& range) {
  std::string text = Cat("revisions ", range.first.value(), " to ", range.last.value());
  if (range.last_ns != 0) {
    CatTo(text, " (", TimeText(range.first_ns), " to ", TimeText(range.last_ns), ")");
  }
  return text;
}

}  // namespace

absl::StatusOr<Point> ParsePoint(std::string_view text, int64_t now_ns) {
  Point point;
  if (text == "now") return point;
  if (text.starts_with(kBefore) && text.size() > kBefore.size()) {
    point.kind = Point::Kind::kBeforeChange;
    point.key = std::string(text.substr(kBefore.size()));
    return point;
  }
  if (text.starts_with(kBeforeDeletion) && text.size() > kBeforeDeletion.size()) {
    point.kind = Point::Kind::kBeforeDeletion;
    point.key = std::string(text.substr(kBeforeDeletion.size()));
    return point;
  }
  const bool number_only = !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
  if (number_only) {
    int64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec == std::errc() && number > 0) {
      point.kind = Point::Kind::kRevision;
      point.revision = Revision(number);
      return point;
    }
  }
  point.kind = Point::Kind::kTime;
  const std::string whole(text);
  absl::Time time;
  std::string error;
  if (!text.empty() && IsDigit(text[0]) &&
      absl::ParseTime(absl::RFC3339_full, whole, &time, &error)) {
    point.time_ns = absl::ToUnixNanos(time);
    return point;
  }
  std::string_view ago = text;
  if (ago.ends_with(kAgo)) ago.remove_suffix(kAgo.size());
  if (ago.starts_with('-')) ago.remove_prefix(1);
  absl::Duration before;
  if (!number_only && !ago.empty() && IsDigit(ago[0]) &&
      absl::ParseDuration(ToAbsl(ago), &before)) {
    point.time_ns = absl::ToUnixNanos(absl::FromUnixNanos(now_ns) - before);
    return point;
  }
  return MakeStatus(
      absl::StatusCode::kInvalidArgument, "\"", text,
      "\" is no point; give a revision (17), a time (2026-11-20T15:10:00Z), how long "
      "ago (10m, 1h30m), before:KEY for what was before that key's last change, "
      "before-deletion:KEY for what was before Kubernetes began to delete it, or now");
}

std::string TimeText(int64_t time_ns) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", absl::FromUnixNanos(time_ns),
                          absl::UTCTimeZone());
}

std::string ToText(const Point& point) {
  switch (point.kind) {
    case Point::Kind::kRevision:
      return Cat("revision ", point.revision.value());
    case Point::Kind::kTime:
      return TimeText(point.time_ns);
    case Point::Kind::kBeforeChange:
      return Cat("before the last change of ", point.key);
    case Point::Kind::kBeforeDeletion:
      return Cat("before the deletion of ", point.key);
    case Point::Kind::kNewest:
      break;
  }
  return "now";
}

absl::Status Points::Restorable(Revision at) const {
  for (const Range& range : ranges) {
    if (range.first <= at && at <= range.last) return absl::OkStatus();
  }
  if (at > current && !damage.ok()) {
    return MakeStatus(absl::StatusCode::kDataLoss, "behind revision ", current.value(),
                      " nothing can be read: ", MessageOf(damage));
  }
  if (at == current.Next() && undecided) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "revision ", at.value(),
                      " is not decided: its transaction is not whole in the stream yet; the newest "
                      "that is committed is ",
                      current.value());
  }
  if (at > current) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "revision ", at.value(),
                      " is in the future: the newest is ", current.value());
  }
  std::string text = Cat("revision ", at.value(), " cannot be read any more");
  for (const Gap& gap : gaps) {
    if (gap.first <= at && at <= gap.last) {
      CatTo(text, ": of revisions ", gap.first.value(), " to ", gap.last.value(), " ", gap.why);
    }
  }
  text += ranges.empty() ? "; nothing is left that can" : "; what can: ";
  for (const Range& range : ranges) {
    CatTo(text, &range == &ranges.front() ? "" : ", ", RangeText(range));
  }
  return absl::FailedPreconditionError(text);
}

}  // namespace jetd::replication
