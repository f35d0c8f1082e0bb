// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_ask.h"

#include <memory>
#include <utility>

#include "base/loop.h"
#include "base/strings.h"
#include "jetstream/nats_connection.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::milliseconds kConnectTimeout{5'000};

}  // namespace

absl::StatusOr<std::string> AskNats(const NatsEndpoint& endpoint, const NatsQuestion& question,
                                    std::chrono::milliseconds timeout) {
  Loop loop;
  auto made = NatsConnection::Connect(&loop, endpoint, "jetctl", kConnectTimeout,
                                      {.inbox_prefix = std::string(question.inbox_prefix)});
  if (!made.ok()) return made.status();
  NatsConnection& connection = **made;
  absl::StatusOr<std::string> answer =
      MakeStatus(absl::StatusCode::kDeadlineExceeded, UrlWithoutSecrets(endpoint.url),
                 " gives no answer on ", question.subject);
  const auto end = [&](absl::StatusOr<std::string> with) {
    answer = std::move(with);
    loop.Stop();
  };
  connection.Start([&](const absl::Status& why) { end(why); });
  const std::string reply = connection.inbox() + ".1";
  connection.Subscribe(
      reply, [&](const NatsMessage& message) { end(std::string(message.payload())); },
      [&] {
        end(MakeStatus(absl::StatusCode::kNotFound, "nobody serves ", question.subject, " at ",
                       UrlWithoutSecrets(endpoint.url)));
      });
  connection.Publish(question.subject, reply, question.payload);
  connection.Flush();
  loop.RunAfter(timeout, [&] { loop.Stop(); });
  loop.Run();
  connection.Stop();
  return answer;
}

}  // namespace jetd::jetstream
