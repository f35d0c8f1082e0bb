// SPDX-License-Identifier: Apache-2.0
#include "replication/mirror_attendant.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/strings.h"
#include "jetstream/domain_api.h"
#include "jetstream/mirror_config.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/no_answer.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::replication {
namespace {

using jetstream::NatsConnection;
using jetstream::NatsMessage;
using Json = absl::StatusOr<nlohmann::json>;

// Which version of the API the asking server wants.
constexpr char kApiLevel[] = "Nats-Required-Api-Level";
constexpr std::chrono::milliseconds kConnect{5'000};
constexpr std::chrono::milliseconds kAnswer{1'000};

class Attendant {
 public:
  explicit Attendant(const AttendOptions& options)
      : options_(options),
        info_(Cat("STREAM.INFO.", jetstream::StreamName(options.mirror.bucket))) {}
  ~Attendant() {
    if (connection_ == nullptr) return;
    api_.reset();
    connection_->Stop();
  }
  Attendant(const Attendant&) = delete;
  Attendant& operator=(const Attendant&) = delete;

  absl::Status Run() {
    if (options_.mirror.nats_urls.empty() || !options_.mirror.domain.empty()) {
      return absl::InvalidArgumentError(
          "it stands beside the mirror's nats-server: give that one's URL by --nats-url, and no "
          "--nats-domain");
    }
    if (absl::Status status = Connect(); !status.ok()) return status;
    loop_.AddRoundHook([this] { connection_->Flush(); });
    connection_->Start([this](const absl::Status& why) { End(why); });
    loop_.Post([this] {
      Look();
      Tick();
    });
    loop_.Run();
    return end_;
  }

 private:
  // Of the mirror's server, to the origin's.
  struct Question {
    std::string reply, level, payload;
    MonoTime asked;
  };

  absl::Status Connect() {
    const auto endpoints =
        jetstream::RotateEndpoints(options_.mirror.nats_urls, options_.mirror.credentials);
    absl::Status why;
    for (size_t i = 0; i < options_.mirror.nats_urls.size(); ++i) {
      auto endpoint = endpoints();
      if (!endpoint.ok()) return endpoint.status();
      auto connection = NatsConnection::Connect(&loop_, *endpoint, "jetctl", kConnect);
      if (connection.ok()) {
        connection_ = *std::move(connection);
        api_ = std::make_unique<jetstream::DomainApi>(&loop_, connection_.get(), kAnswer);
        return absl::OkStatus();
      }
      why = connection.status();
    }
    return why;
  }

  void End(const absl::Status& why) {
    end_ = why;
    loop_.Stop();
  }

  // What the mirror is one of.
  void Look() {
    api_->Ask("", "INFO", "", [this](const Json& account) {
      if (!account.ok()) return End(account.status());
      own_domain_ = jetstream::TextOf(*account, "domain");
      api_->Ask("", info_, "", [this](const Json& answer) {
        const auto facts = answer.ok() ? jetstream::MirrorFactsOf(*answer) : answer.status();
        if (!facts.ok()) return End(facts.status());
        if (!facts->mirrors || facts->origin.created_ns == 0) {
          return End(absl::FailedPreconditionError(
              "the stream there is no mirror that `jetctl mirror add` has made"));
        }
        Listen(facts->origin.domain);
      });
    });
  }

  void Listen(const std::string& origin) {
    origin_ = origin;
    const std::string rest =
        Cat(".API.CONSUMER.CREATE.", jetstream::StreamName(options_.mirror.bucket));
    create_ = Cat("$JS.", origin, rest);
    // With a wildcard: the origin's server ends the connection of a leaf node that wants to hear of
    // its own API by name, and only keeps back what is sent there from one that wants to hear more.
    heard_ = Cat("$JS.*", rest);
    connection_->Subscribe(heard_, [this](const NatsMessage& message) {
      if (message.subject() == create_) Note(message);
    });
    Say(Cat("beside the mirror in the domain ", own_domain_, " of the bucket in ", origin));
  }

  void Say(std::string_view line) const {
    if (options_.say) options_.say(line);
  }

  // Others may make consumers there, and other mirrors too.
  [[nodiscard]] bool IsOfMirror(const NatsMessage& message) const {
    const nlohmann::json request = jetstream::ParseAnswer(message.payload());
    const auto config = request.find("config");
    if (config == request.end() || !config->is_object()) return false;
    const auto direct = config->find("direct");
    if (direct == config->end() || *direct != true) return false;
    const auto metadata = config->find("metadata");
    if (metadata == config->end() || !metadata->is_object()) return true;  // of an older server
    const std::string domain = jetstream::TextOf(*metadata, "_nats.mirror.domain");
    return domain.empty() || domain == own_domain_;
  }

  void Note(const NatsMessage& message) {
    if (message.reply().empty() || message.reply() == repeated_ || !IsOfMirror(message)) return;
    const bool first = !question_.has_value();
    question_ = Question{.reply = std::string(message.reply()),
                         .level = std::string(message.Header(kApiLevel)),
                         .payload = std::string(message.payload()),
                         .asked = loop_.Now()};
    if (first) Say("the mirror's server asks for its origin");
  }

  // Who may not hear or ask stands there for nothing.
  [[nodiscard]] absl::Status MayWork() const {
    for (const std::string* subject : {&heard_, &create_}) {
      const std::string refusal = jetstream::RefusalOf(*connection_, *subject);
      if (refusal.empty()) continue;
      return absl::FailedPreconditionError(Cat("it cannot do its work: ", refusal));
    }
    return absl::OkStatus();
  }

  void Tick() {
    if (options_.interrupted->load()) return End(absl::OkStatus());
    if (absl::Status may = MayWork(); !may.ok()) return End(may);
    if (question_.has_value() && loop_.Now() - question_->asked > options_.patience) {
      question_.reset();
    }
    if (question_.has_value() && !std::exchange(looking_, true)) AskOrigin();
    loop_.RunAfter(options_.poll, [this] { Tick(); });
  }

  void AskOrigin() {
    api_->Ask(origin_, info_, "", [this](const Json& answer) {
      if (!answer.ok()) {
        looking_ = false;
        return;
      }
      api_->Ask("", info_, "", [this](const Json& own) { Judge(own); });
    });
  }

  void Judge(const Json& own) {
    looking_ = false;
    const auto facts = own.ok() ? jetstream::MirrorFactsOf(*own) : own.status();
    if (!facts.ok() || !question_.has_value()) return;
    const auto since = loop_.Now() - question_->asked;
    const bool attached =
        facts->silent_ns >= 0 && std::chrono::nanoseconds(facts->silent_ns) < since;
    if (!attached && facts->mirrors) {
      std::vector<NatsConnection::HeaderLine> headers;
      if (!question_->level.empty()) headers.push_back({kApiLevel, question_->level.c_str()});
      repeated_ = question_->reply;
      connection_->Publish(create_, question_->reply, question_->payload, headers);
      Say("the origin answers: asked it again for the mirror");
    }
    question_.reset();
  }

  const AttendOptions& options_;
  const std::string info_;
  Loop loop_;
  std::unique_ptr<NatsConnection> connection_;
  std::unique_ptr<jetstream::DomainApi> api_;
  std::string own_domain_, origin_;
  std::string heard_, create_;        // subjects: what is listened to, and what is asked
  std::optional<Question> question_;  // that may still be waited for
  std::string repeated_;              // the newest that was asked again, by its reply subject
  bool looking_ = false;
  absl::Status end_;
};

}  // namespace

absl::Status AttendMirror(const AttendOptions& options) { return Attendant(options).Run(); }

}  // namespace jetd::replication
