// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_TXN_MAKER_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_TXN_MAKER_H_

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conformance/differential/op_maker.h"

namespace jetd::conformance::differential {

// Makes transactions: those of a control plane, and free ones with compares of every kind, every
// mix of operations and transactions inside. Most of them are valid and most of their compares
// hold. One thread.
class TxnMaker {
 public:
  explicit TxnMaker(OpMaker* ops) : ops_(*ops), random_(ops->random()), model_(ops->model()) {}

  [[nodiscard]] pb::TxnRequest Make();

 private:
  // What the branches of one transaction write. No key may be written twice, or written and
  // deleted; being stricter than etcd here only costs a little variety.
  struct Written {
    std::set<std::string> puts;
    std::vector<std::pair<std::string, std::string>> deletes;
  };

  [[nodiscard]] pb::TxnRequest KubeTxn();
  [[nodiscard]] pb::TxnRequest FreeTxn(int depth, Written& written);
  void AddOps(google::protobuf::RepeatedPtrField<pb::RequestOp>& ops, int depth, Written& written);
  [[nodiscard]] pb::Compare MakeCompare();
  void SetNumber(pb::Compare& compare, int64_t truth);

  OpMaker& ops_;
  Random& random_;
  const Model& model_;
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_TXN_MAKER_H_
