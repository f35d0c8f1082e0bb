// SPDX-License-Identifier: Apache-2.0
#include "bench/phase_spec.h"

#include <string>

#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::bench {
namespace {

TEST(PhaseSpecTest, EveryNameIsAPhase) {
  for (const std::string& name : PhaseNames()) {
    const auto spec = ParsePhase(name);
    ASSERT_TRUE(spec.ok()) << name;
    EXPECT_EQ(spec->name, name);
  }
}

TEST(PhaseSpecTest, TakesOptions) {
  const auto spec = ParsePhase("watch,clients=4,seconds=2.5,warmup=0,value=100000,watchers=7");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->kind, PhaseKind::kWatch);
  EXPECT_EQ(spec->clients, 4);
  EXPECT_EQ(spec->seconds, 2.5);
  EXPECT_EQ(spec->warmup_seconds, 0);
  EXPECT_EQ(spec->value_bytes, 100'000U);
  EXPECT_EQ(spec->watchers, 7);
}

TEST(PhaseSpecTest, ACompactionKeepsRevisions) {
  const auto spec = ParsePhase("compact,keep=850000");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->kind, PhaseKind::kCompact);
  EXPECT_EQ(spec->keep, 850'000);
  EXPECT_FALSE(ParsePhase("compact,keep=-1").ok());
}

TEST(PhaseSpecTest, FixedWorkHasNoWarmUp) {
  const auto spec = ParsePhase("create,ops=100");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->ops, 100);
  EXPECT_EQ(spec->warmup_seconds, 0);
}

TEST(PhaseSpecTest, ARateMayHaveManyUnderWay) {
  EXPECT_EQ(ParsePhase("get,rate=100")->clients, 256);
  EXPECT_EQ(ParsePhase("get,clients=3,rate=100")->clients, 3);
}

TEST(PhaseSpecTest, NamesWhatIsWrong) {
  const auto message = [](std::string_view text) {
    const auto spec = ParsePhase(text);
    return spec.ok() ? std::string("ok") : std::string(MessageOf(spec.status()));
  };
  EXPECT_EQ(message("gett"), "\"gett\" is no phase");
  EXPECT_EQ(message(""), "\"\" is no phase");
  EXPECT_EQ(message("get,clients"), "\"clients\" is not name=value");
  EXPECT_EQ(message("get,client=3"), "\"client\" is no option of a phase");
  EXPECT_EQ(message("get,clients=0"), "\"clients=0\" is out of range");
  EXPECT_EQ(message("get,clients=3x"), "\"clients=3x\" is out of range");
  EXPECT_EQ(message("get,value=15"), "\"value=15\" is out of range");
  EXPECT_EQ(message("get,"), "\"\" is not name=value");
}

}  // namespace
}  // namespace jetd::bench
