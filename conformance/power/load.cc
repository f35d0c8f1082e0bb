// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/load.h"

#include <chrono>
#include <set>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance::power {
namespace {

namespace pb = etcdclient::pb;
using Fate = LeaseWriter::Fate;

constexpr int kWritersPerClient = 8;
// Leases of different lease writers lie so far apart.
constexpr int64_t kLeaseStride = 1'000'000'000;

std::vector<std::string> KeysUnder(const Ledger::State& state, const std::string& prefix) {
  std::vector<std::string> keys;
  for (auto it = state.lower_bound(prefix); it != state.end() && it->first.starts_with(prefix);
       ++it) {
    keys.push_back(it->first);
  }
  return keys;
}

}  // namespace

Load::Load(Options options)
    : options_(std::move(options)),
      next_number_(static_cast<size_t>(options_.writers + options_.lease_writers)) {
  for (int i = 0; i < options_.lease_writers; ++i) next_lease_.push_back((i + 1) * kLeaseStride);
}

std::string Load::LeasePrefix(int number) const { return Cat(kPrefix, "l", number, "/"); }

absl::Status Load::Begin(const Ledger& ledger) {
  ++rounds_;
  clients_.clear();
  const int all = options_.writers + options_.lease_writers;
  for (int i = 0; i < all; i += kWritersPerClient) {
    auto client = etcdclient::Client::Connect({.endpoint = options_.endpoint});
    if (!client.ok()) return client.status();
    clients_.push_back(*std::move(client));
  }
  followers_.clear();
  for (int i = 0; i < options_.watchers; ++i) {
    followers_.push_back(std::make_unique<WatchFollower>(
        WatchFollower::Options{.name = Cat("watcher ", i),
                               .endpoint = options_.endpoint,
                               .prefix = kPrefix,
                               .start_revision = ledger.revision() + 1,
                               .reopen_after = i % 2 == 0 ? 0 : 50}));
  }
  const auto seed = [&](int number) {
    return (options_.seed * 100'000 + rounds_) * 1000 + static_cast<uint64_t>(number);
  };
  const auto client = [&](int number) {
    return clients_[static_cast<size_t>(number / kWritersPerClient)].get();
  };
  for (int i = 0; i < options_.writers; ++i) {
    Writer::Options options{.number = i, .seed = seed(i), .prefix = Cat(kPrefix, "w", i, "/")};
    options.first_number = next_number_[static_cast<size_t>(i)];
    for (const std::string& key : KeysUnder(ledger.state(), options.prefix)) {
      options.known[key] = ledger.state().at(key).value;
    }
    options.long_every = options_.long_every;
    options.long_bytes = options_.long_bytes;
    options.away = Writer::Options::Away::kEnd;
    writers_.push_back(std::make_unique<Writer>(std::move(options), client(i)));
  }
  for (int i = 0; i < options_.lease_writers; ++i) {
    const int number = options_.writers + i;
    LeaseWriter::Options options{.number = number, .seed = seed(number)};
    options.prefix = LeasePrefix(i);
    options.first_id = next_lease_[static_cast<size_t>(i)];
    options.first_number = next_number_[static_cast<size_t>(number)];
    for (const auto& [id, fate] : leases_) {
      if (id / kLeaseStride != i + 1) continue;
      options.left[id] = KeysUnder(ledger.state(), LeaseWriter::KeysOf(options.prefix, id));
    }
    lease_writers_.push_back(std::make_unique<LeaseWriter>(std::move(options), client(number)));
  }
  return absl::OkStatus();
}

size_t Load::acked() const {
  size_t acked = 0;
  for (const auto& writer : writers_) acked += writer->acked();
  return acked;
}

void Load::End(std::vector<WriteOp>* ops, Ledger* ledger) {
  const auto take = [&](size_t number, const std::vector<WriteOp>& done) {
    ops->insert(ops->end(), done.begin(), done.end());
    next_number_[number] += static_cast<int>(done.size());
  };
  for (size_t i = 0; i < writers_.size(); ++i) {
    writers_[i]->Stop();
    take(i, writers_[i]->ops());
    for (const std::string& violation : writers_[i]->violations()) ledger->NoteWrong(violation);
  }
  for (size_t i = 0; i < lease_writers_.size(); ++i) {
    lease_writers_[i]->Stop();
    take(writers_.size() + i, lease_writers_[i]->ops());
    for (const auto& [id, fate] : lease_writers_[i]->fates()) leases_[id] = fate;
    next_lease_[i] = lease_writers_[i]->next_id();
  }
  writers_.clear();
  lease_writers_.clear();
}

void Load::CompareLeases(etcdclient::Client& client, Ledger* ledger) {
  const auto answer =
      client.Call(pb::LeaseLeasesRequest(), {.timeout = std::chrono::milliseconds(30'000)});
  if (!answer.ok()) {
    ledger->NoteWrong(Cat("the leases cannot be listed: ", MessageOf(answer.status())));
    return;
  }
  std::set<int64_t> there;
  for (const auto& lease : answer->leases()) there.insert(lease.id());
  for (const auto& [id, fate] : leases_) {
    if (fate == Fate::kThere && there.count(id) == 0) {
      ledger->NoteWrong(Cat("lease ", id, ", whose grant was answered, is missing"));
    } else if (fate == Fate::kGone && there.count(id) > 0) {
      ledger->NoteWrong(Cat("lease ", id, ", whose end was answered, is there"));
    }
  }
  for (const int64_t id : there) {
    if (leases_.count(id) == 0) ledger->NoteWrong(Cat("lease ", id, " is nobody's"));
  }
  leases_.clear();
  for (const int64_t id : there) leases_[id] = Fate::kThere;
}

}  // namespace jetd::conformance::power
