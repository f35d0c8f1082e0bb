// SPDX-License-Identifier: Apache-2.0
//
// The rules of messenger.h as one test suite that every Messenger passes; see log_contract_test.h
// for how it is put together.
#ifndef JETD_JETSTREAM_MESSENGER_CONTRACT_TEST_H_
#define JETD_JETSTREAM_MESSENGER_CONTRACT_TEST_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "gtest/gtest.h"
#include "jetstream/messenger.h"

namespace jetd::jetstream {

// Members of one bucket. Made anew for every test; everything on the test's thread.
class MessengerWorld {
 public:
  virtual ~MessengerWorld() = default;
  // Member number 0, 1 or 2: connected, and gone with the world.
  virtual Messenger& member(int number) = 0;
  [[nodiscard]] virtual bool RunUntil(const std::function<bool()>& done) = 0;
  // What was listened to is known to all.
  virtual void Settle() = 0;
  virtual void Break(int number) = 0;
  // Returns when it is connected again.
  virtual void Restore(int number) = 0;
};

struct MessengerWorldFactory {
  std::string name;
  std::function<std::unique_ptr<MessengerWorld>()> make;
  friend std::ostream& operator<<(std::ostream& out, const MessengerWorldFactory& f) {
    return out << f.name;
  }
};

class MessengerContractTest : public testing::TestWithParam<MessengerWorldFactory> {
 protected:
  void SetUp() override { world_ = GetParam().make(); }
  MessengerWorld& world() { return *world_; }

 private:
  std::unique_ptr<MessengerWorld> world_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_MESSENGER_CONTRACT_TEST_H_
