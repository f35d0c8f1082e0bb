// SPDX-License-Identifier: Apache-2.0
#include "revision/mirror_bound.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::revision {
namespace {

using jetstream::MirrorState;
using Fit = MirrorState::Fit;

constexpr uint64_t kCap = 1'000;

MirrorState Fits(const std::string& name, uint64_t reached, uint64_t last) {
  return {.name = name,
          .cap_records = kCap,
          .fit = Fit::kFits,
          .reached = StreamSeq(reached),
          .last = StreamSeq(last)};
}
MirrorState Away(const std::string& name, uint64_t last, Fit fit = Fit::kUnheard) {
  return {.name = name, .cap_records = kCap, .fit = fit, .last = StreamSeq(last)};
}

class MirrorBoundTest : public ::testing::Test {
 protected:
  void Expect(std::vector<MirrorState> mirrors, StreamSeq superseded, StreamSeq last_markers) {
    bound_.Update(mirrors);
    EXPECT_EQ(bound_.superseded(), superseded);
    EXPECT_EQ(bound_.last_markers(), last_markers);
  }
  MirrorBound bound_;
};

constexpr StreamSeq kNone = MirrorBound::kNone;

TEST_F(MirrorBoundTest, WithoutMirrorsThereIsNone) {
  EXPECT_EQ(bound_.superseded(), kNone);
  Expect({}, kNone, kNone);
  Expect({Fits("a", 5, 10)}, StreamSeq(5), StreamSeq(5));
  Expect({}, kNone, kNone);
}

TEST_F(MirrorBoundTest, TheSlowestCounts) {
  Expect({Fits("a", 4'700, 5'000), Fits("b", 4'600, 5'000)}, StreamSeq(4'600), StreamSeq(4'600));
}

TEST_F(MirrorBoundTest, PastItsCapItHoldsBackLastMarkersOnly) {
  Expect({Fits("a", 4'000, 5'000)}, StreamSeq(4'000), StreamSeq(4'000));
  Expect({Fits("a", 4'000, 5'001)}, kNone, StreamSeq(4'000));
  Expect({Fits("a", 4'700, 5'000), Fits("b", 1'200, 5'000)}, StreamSeq(4'700), StreamSeq(1'200));
}

TEST_F(MirrorBoundTest, OneThatIsAwayStaysWhereItWas) {
  Expect({Fits("a", 4'000, 4'100)}, StreamSeq(4'000), StreamSeq(4'000));
  Expect({Away("a", 5'000)}, StreamSeq(4'000), StreamSeq(4'000));
  Expect({Away("a", 5'001)}, kNone, StreamSeq(4'000));
  Expect({Fits("a", 5'100, 5'200)}, StreamSeq(5'100), StreamSeq(5'100));
}

// After a restart: nothing is known of it, and its cap is counted from now.
TEST_F(MirrorBoundTest, OneThatWasNeverHeardOfHoldsBackAll) {
  Expect({Away("a", 1'000'000)}, StreamSeq(0), StreamSeq(0));
  Expect({Away("a", 1'001'000)}, StreamSeq(0), StreamSeq(0));
  Expect({Away("a", 1'001'001)}, kNone, StreamSeq(0));
}

// Nothing that it had counts, and its cap runs from when it was last a copy.
TEST_F(MirrorBoundTest, OneThatDoesNotFitHasNoPosition) {
  Expect({Fits("a", 4'000, 4'100)}, StreamSeq(4'000), StreamSeq(4'000));
  Expect({Away("a", 4'200, Fit::kOther)}, StreamSeq(0), StreamSeq(0));
  Expect({Away("a", 4'300)}, StreamSeq(0), StreamSeq(0));
  Expect({Away("a", 5'001, Fit::kOther)}, kNone, StreamSeq(0));
}

TEST_F(MirrorBoundTest, APositionOfAnotherLeadershipIsNone) {
  Expect({Fits("a", 4'000, 4'100)}, StreamSeq(4'000), StreamSeq(4'000));
  bound_.Distrust();
  Expect({Away("a", 4'200)}, StreamSeq(0), StreamSeq(0));
  Expect({Away("a", 5'001)}, kNone, StreamSeq(0));
  Expect({Fits("a", 4'100, 5'001)}, StreamSeq(4'100), StreamSeq(4'100));
}

TEST_F(MirrorBoundTest, OneThatIsMadeAnewBeginsAnew) {
  Expect({Fits("a", 4'000, 4'100)}, StreamSeq(4'000), StreamSeq(4'000));
  Expect({Fits("a", 3'500, 4'100)}, StreamSeq(3'500), StreamSeq(3'500));
  // Taken back, and declared again.
  Expect({}, kNone, kNone);
  Expect({Away("a", 9'000)}, StreamSeq(0), StreamSeq(0));
}

}  // namespace
}  // namespace jetd::revision
