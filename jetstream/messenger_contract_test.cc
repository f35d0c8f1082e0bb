// SPDX-License-Identifier: Apache-2.0
#include "jetstream/messenger_contract_test.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/error.h"
#include "base/strings.h"
#include "gmock/gmock.h"

namespace jetd::jetstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

using Answer = std::optional<absl::StatusOr<std::string>>;

void Ask(Messenger& messenger, const std::string& topic, const std::string& request, Answer* answer,
         std::chrono::nanoseconds patience = seconds(60)) {
  messenger.Request(topic, request, patience, [answer](absl::StatusOr<std::string> told) {
    EXPECT_FALSE(answer->has_value()) << "a second answer";
    *answer = std::move(told);
  });
  EXPECT_FALSE(answer->has_value()) << "an answer from inside the call";
}

// Answers what it gets, with its name in front.
void Echo(Messenger& messenger, const std::string& topic, const std::string& name) {
  messenger.Serve(topic, [name](std::string_view request, const Messenger::AnswerFn& answer) {
    answer(Cat(name, ":", request));
  });
}

TEST_P(MessengerContractTest, WhoServesATopicAnswers) {
  Echo(world().member(0), "lead.1", "a");
  Echo(world().member(1), "lead.2", "b");
  world().Settle();
  Answer one;
  Answer two;
  Ask(world().member(2), "lead.1", "x", &one);
  Ask(world().member(2), "lead.2", "y", &two);
  ASSERT_TRUE(world().RunUntil([&] { return one.has_value() && two.has_value(); }));
  EXPECT_EQ(**one, "a:x");
  EXPECT_EQ(**two, "b:y");
}

TEST_P(MessengerContractTest, ManyAtOnceGetEachTheirOwn) {
  std::vector<std::pair<std::string, Messenger::AnswerFn>> held;
  world().member(0).Serve("lead.1", [&](std::string_view request, Messenger::AnswerFn answer) {
    held.emplace_back(request, std::move(answer));
  });
  world().Settle();
  for (int round = 0; round < 2; ++round) {
    std::vector<Answer> answers(100);
    for (size_t i = 0; i < answers.size(); ++i) {
      Ask(world().member(1), "lead.1", Cat(i), &answers[i]);
    }
    ASSERT_TRUE(world().RunUntil([&] { return held.size() == answers.size(); }));
    for (size_t i = held.size(); i > 0; --i) {
      EXPECT_EQ(held[i - 1].first, Cat(i - 1)) << "in order";
      held[i - 1].second(Cat("answer ", held[i - 1].first));
    }
    held.clear();
    ASSERT_TRUE(world().RunUntil([&] {
      return std::all_of(answers.begin(), answers.end(),
                         [](const auto& a) { return a.has_value(); });
    }));
    for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(**answers[i], Cat("answer ", i));
  }
}

TEST_P(MessengerContractTest, NobodyServes) {
  Echo(world().member(0), "lead.1", "a");
  const uint64_t other = world().member(0).Serve(
      "lead.2", [](std::string_view, const Messenger::AnswerFn&) { ADD_FAILURE() << "dropped"; });
  world().member(0).Drop(other);
  world().Settle();
  for (const std::string& request : {std::string("x"), std::string(1 << 20, 'x')}) {
    Answer none;
    Answer dropped;
    Answer good;
    Ask(world().member(1), "lead.9", request, &none);
    Ask(world().member(1), "lead.2", request, &dropped);
    Ask(world().member(1), "lead.1", request, &good);
    ASSERT_TRUE(world().RunUntil(
        [&] { return none.has_value() && dropped.has_value() && good.has_value(); }));
    EXPECT_EQ(GetErrc(none->status()), Errc::kNoLeader);
    EXPECT_EQ(GetErrc(dropped->status()), Errc::kNoLeader);
    EXPECT_EQ(**good, "a:" + request);
  }
}

TEST_P(MessengerContractTest, LargeOnesArriveWhole) {
  Echo(world().member(0), "lead.1", "a");
  world().Settle();
  for (const size_t size : {size_t{0}, size_t{262'144}, size_t{262'145}, size_t{5'000'000}}) {
    std::string request(size, 'r');
    for (size_t i = 0; i < size; i += 1000) request[i] = static_cast<char>('a' + i / 1000 % 26);
    Answer answer;
    Ask(world().member(1), "lead.1", request, &answer);
    ASSERT_TRUE(world().RunUntil([&] { return answer.has_value(); })) << size;
    ASSERT_TRUE(answer->ok()) << answer->status();
    EXPECT_TRUE(**answer == "a:" + request) << size;
  }
}

TEST_P(MessengerContractTest, NoAnswerInTime) {
  std::optional<Messenger::AnswerFn> late;
  world().member(0).Serve("lead.1", [&](std::string_view request, Messenger::AnswerFn answer) {
    if (request == "slow") {
      late = std::move(answer);
    } else {
      answer("quick");
    }
  });
  world().Settle();
  Answer slow;
  Ask(world().member(1), "lead.1", "slow", &slow, milliseconds(50));
  ASSERT_TRUE(world().RunUntil([&] { return slow.has_value() && late.has_value(); }));
  EXPECT_EQ(GetErrc(slow->status()), Errc::kTimeout);
  // What comes too late is nobody's.
  Answer next;
  (*late)("late");
  Ask(world().member(1), "lead.1", "next", &next);
  ASSERT_TRUE(world().RunUntil([&] { return next.has_value(); }));
  EXPECT_EQ(**next, "quick");
}

TEST_P(MessengerContractTest, NewsGoToAllOthersInOrder) {
  std::vector<std::string> one;
  std::vector<std::string> two;
  world().member(0).Subscribe("news", [](std::string_view) { ADD_FAILURE() << "one's own"; });
  world().member(1).Subscribe("news", [&](std::string_view news) { one.emplace_back(news); });
  const uint64_t id =
      world().member(2).Subscribe("news", [&](std::string_view news) { two.emplace_back(news); });
  world().Settle();
  world().member(0).Publish("news", "1");
  world().member(0).Publish("news", "2");
  ASSERT_TRUE(world().RunUntil([&] { return one.size() == 2 && two.size() == 2; }));
  world().member(2).Drop(id);
  world().Settle();
  world().member(0).Publish("news", "3");
  ASSERT_TRUE(world().RunUntil([&] { return one.size() == 3; }));
  EXPECT_THAT(one, ElementsAre("1", "2", "3"));
  EXPECT_THAT(two, ElementsAre("1", "2"));
}

TEST_P(MessengerContractTest, ABrokenConnection) {
  std::optional<Messenger::AnswerFn> held;
  world().member(0).Serve("lead.1", [&](std::string_view request, Messenger::AnswerFn answer) {
    if (request == "hold") {
      held = std::move(answer);
    } else {
      answer("again");
    }
  });
  world().Settle();
  Answer asked;
  Ask(world().member(1), "lead.1", "hold", &asked);
  ASSERT_TRUE(world().RunUntil([&] { return held.has_value(); }));
  world().Break(1);
  ASSERT_TRUE(world().RunUntil([&] { return asked.has_value(); }));
  EXPECT_EQ(GetErrc(asked->status()), Errc::kTimeout) << "it may have been got";
  (*held)("for nobody");
  Answer unsent;
  Ask(world().member(1), "lead.1", "x", &unsent);
  ASSERT_TRUE(world().RunUntil([&] { return unsent.has_value(); }));
  EXPECT_EQ(GetErrc(unsent->status()), Errc::kUnavailable) << "it was not sent";
  world().Restore(1);
  // Topics are served on the new connection too.
  world().Break(0);
  world().Restore(0);
  world().Settle();
  Answer again;
  Ask(world().member(1), "lead.1", "x", &again);
  ASSERT_TRUE(world().RunUntil([&] { return again.has_value(); }));
  ASSERT_TRUE(again->ok()) << again->status();
  EXPECT_EQ(**again, "again");
}

}  // namespace
}  // namespace jetd::jetstream
