// SPDX-License-Identifier: Apache-2.0
#include "jetstream/bucket_access.h"

#include "base/strings.h"
#include "jetstream/nats_api.h"
#include "jetstream/stream_setup.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {

std::string InboxPrefix(const std::string& bucket) { return Cat("_jetd.", bucket, ".inbox"); }

Permissions PermissionsOf(const std::string& bucket) {
  const std::string api = ApiPrefix("");
  const std::string stream = StreamName(bucket);
  const std::string records(SubjectCodec(bucket).all());
  // Among members: requests to a leader, its news, and the answers.
  const std::vector<std::string> members = {Cat("_jetd.", bucket, ".lead.*"),
                                            Cat("_jetd.", bucket, ".news"),
                                            Cat(InboxPrefix(bucket), ".>")};
  Permissions permissions;
  permissions.publish = {
      records,
      Cat(api, "INFO"),
      Cat(api, "STREAM.CREATE.", stream),
      Cat(api, "STREAM.INFO.", stream),
      Cat(api, "STREAM.MSG.GET.", stream),
      Cat(api, "STREAM.MSG.DELETE.", stream),
      Cat(api, "DIRECT.GET.", stream),
      Cat(api, "CONSUMER.CREATE.", stream, ".*"),
      Cat(api, "CONSUMER.MSG.NEXT.", stream, ".*"),
      Cat(api, "CONSUMER.DELETE.", stream, ".*"),
      // Of mirrors in other JetStream domains, whichever: how far they are (mirror_probe.h).
      Cat("$JS.*.API.STREAM.INFO.", stream),
      Cat("$JS.*.API.STREAM.MSG.GET.", stream),
  };
  // What others write, and what others ask for that removes records (StreamGuard).
  permissions.subscribe = {
      records,
      Cat("$JS.EVENT.ADVISORY.STREAM.UPDATED.", stream),
      Cat(api, "STREAM.PURGE.", stream),
      Cat(api, "STREAM.MSG.DELETE.", stream),
      Cat(api, "STREAM.UPDATE.", stream),
      Cat(api, "STREAM.DELETE.", stream),
  };
  for (auto* list : {&permissions.publish, &permissions.subscribe}) {
    list->insert(list->end(), members.begin(), members.end());
  }
  return permissions;
}

}  // namespace jetd::jetstream
