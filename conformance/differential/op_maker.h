// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_OP_MAKER_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_OP_MAKER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "conformance/differential/keyspace.h"
#include "conformance/differential/model.h"
#include "conformance/differential/random.h"

namespace jetd::conformance::differential {

// Makes single operations that mostly succeed: with the help of the model it knows which keys are
// there and which revisions can be read. One thread.
class OpMaker {
 public:
  // Whether keys may hang on leases whose ids the servers chose. Their history then hashes
  // differently on each server.
  enum class GeneratedLeases { kNoKeys, kWithKeys };

  OpMaker(Random* random, const Keyspace* keys, const Model* model, GeneratedLeases generated)
      : random_(*random), keys_(*keys), model_(*model), generated_(generated) {}

  [[nodiscard]] pb::PutRequest Put();
  [[nodiscard]] pb::DeleteRangeRequest Delete();
  [[nodiscard]] pb::RangeRequest Range();
  // A Range within a transaction sees more revisions as errors.
  [[nodiscard]] pb::RangeRequest RangeInTxn();

  [[nodiscard]] std::string AnyKey() { return keys_.Any(random_); }
  [[nodiscard]] std::string ExistingKey();
  [[nodiscard]] std::string AbsentKey();
  [[nodiscard]] std::string Value();
  // Start and end of a range of some keys.
  [[nodiscard]] std::pair<std::string, std::string> SomeRange();
  // One to which keys can be attached; 0 if there is none.
  [[nodiscard]] int64_t LiveLease();
  // A revision that can be read; often the newest, or one of the two oldest.
  [[nodiscard]] int64_t OldRevision();

  [[nodiscard]] Random& random() { return random_; }
  [[nodiscard]] const Model& model() const { return model_; }

 private:
  void AddOptions(pb::RangeRequest& range);

  Random& random_;
  const Keyspace& keys_;
  const Model& model_;
  const GeneratedLeases generated_;
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_OP_MAKER_H_
