// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "base/log.h"
#include "conformance/sim/matching.h"
#include "conformance/sim/runner.h"
#include "gtest/gtest.h"

namespace jetd::conformance::sim {
namespace {

struct Kind {
  Server server = Server::kOutside;
  bool together = false;
  const char* name = "";

  friend std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }
};

class SimTest : public testing::TestWithParam<Kind> {
 protected:
  SimTest() { log::Init({.level = log::Level::kError}); }
  static SimOptions Options() {
    SimOptions options;
    options.server = GetParam().server;
    options.together = GetParam().together;
    return options;
  }
};

// Long runs are the program's: `sim --seeds 10000`.
TEST_P(SimTest, NothingIsWrong) {
  const SeedsReport report = RunSeeds(1, 25, Options(), nullptr);
  EXPECT_EQ(report.failure, "");
  std::printf("%s\n", report.tally.Text().c_str());
  const Tally& tally = report.tally;
  EXPECT_GT(tally.writes, 3'000U);
  EXPECT_GT(tally.reads, 1'000U);
  EXPECT_GT(tally.leases, 300U);
  EXPECT_GT(tally.events, 3'000U);
  EXPECT_GT(tally.progress, 100U);
  EXPECT_GT(tally.expired, 20U);
  EXPECT_GT(tally.unknown, 20U);
  if (GetParam().together) {
    EXPECT_GT(tally.followers, 50U);
    EXPECT_GT(tally.follower_reads, 500U);
    EXPECT_GT(tally.forwarded, 500U);
  } else {
    EXPECT_EQ(tally.followers, 0U);
  }
}

TEST_P(SimTest, ASeedRepeatsExactly) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SimOptions options = Options();
    const SeedReport first = RunSeed(seed, options);
    std::vector<std::string> trace;
    options.trace = [&trace](const std::string& line) { trace.push_back(line); };
    const SeedReport second = RunSeed(seed, options);
    EXPECT_EQ(first.digest, second.digest) << "seed " << seed;
    EXPECT_EQ(first.tally.Text(), second.tally.Text()) << "seed " << seed;
    EXPECT_GT(trace.size(), 1'000U);
    EXPECT_NE(first.digest, RunSeed(seed + 100, options).digest);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, SimTest,
                         testing::Values(Kind{Server::kOutside, true, "Outside"},
                                         Kind{Server::kReplicated, true, "Replicated"},
                                         Kind{Server::kOutside, false, "OutsideBlind"},
                                         Kind{Server::kReplicated, false, "ReplicatedBlind"},
                                         Kind{Server::kEmbedded, false, "Embedded"}),
                         [](const auto& info) { return std::string(info.param.name); });

// A start that has to read much, one record at a time, gets the time for it.
TEST(SimSeedTest, AStartReadsALongStreamSlowly) {
  log::Init({.level = log::Level::kError});
  SimOptions options;
  options.server = Server::kReplicated;
  options.together = true;
  EXPECT_EQ(RunSeeds(2'278, 1, options, nullptr).failure, "");
}

TEST(MatchingTest, MovesOthersToMakeRoom) {
  // 0 fits 0 and 1, 1 fits 0 only, 2 fits nothing.
  const auto fits = [](size_t left, size_t right) {
    return left == 0 ? right < 2 : left == 1 && right == 0;
  };
  EXPECT_EQ(FindUnmatched(2, 2, fits), std::nullopt);
  EXPECT_EQ(FindUnmatched(3, 3, fits), 2U);
  EXPECT_EQ(FindUnmatched(2, 1, fits).has_value(), true);
  EXPECT_EQ(FindUnmatched(0, 0, fits), std::nullopt);
}

}  // namespace
}  // namespace jetd::conformance::sim
