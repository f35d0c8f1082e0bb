// SPDX-License-Identifier: Apache-2.0
#include "conformance/disarm.h"

namespace jetd::conformance {

namespace pb = etcdclient::pb;

void DisarmAlarms(etcdclient::Client* client, const etcdclient::CallOptions& options) {
  auto alarms = client->Call(pb::AlarmRequest(), options);
  if (!alarms.ok()) return;
  for (const auto& raised : alarms->alarms()) {
    pb::AlarmRequest disarm;
    disarm.set_action(pb::AlarmRequest::DEACTIVATE);
    disarm.set_alarm(raised.alarm());
    disarm.set_memberid(raised.memberid());
    (void)client->Call(disarm, options);
  }
}

}  // namespace jetd::conformance
