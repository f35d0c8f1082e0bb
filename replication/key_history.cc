// SPDX-License-Identifier: Apache-2.0
#include "replication/key_history.h"

#include "base/strings.h"

namespace jetd::replication {
namespace {

using Version = KeyHistory::Version;

// What a version's own numbers say.
std::string WrongInItself(const Version& v) {
  if (v.deleted()) return v.create == Revision{} ? "" : "a delete with a create revision";
  const int64_t create = v.create.value();
  const int64_t mod = v.mod.value();
  // The empty store is at revision 1.
  if (create < 2 || create > mod) {
    return Cat("created at ", create, ", changed at ", mod);
  }
  if ((v.version == 1) != (create == mod)) {
    return Cat("version ", v.version, ", created at ", create, ", changed at ", mod);
  }
  // Each version has a revision of its own.
  if (v.version > mod - create + 1) {
    return Cat("version ", v.version, " at revision ", mod, ", created at ", create);
  }
  return "";
}

// Nothing between the two was ever removed.
std::string WrongBehindWholeHistory(const Version& v, const Version& before) {
  const bool there = before.mod != Revision{} && !before.deleted();
  if (v.deleted()) return there ? "" : "deleted, and it was not there";
  if (v.version == 1) {
    return there ? Cat("made anew, and it was there since revision ", before.create.value()) : "";
  }
  if (!there) return Cat("version ", v.version, ", and the one before it is missing");
  if (v.version != before.version + 1) {
    return Cat("version ", v.version, " follows version ", before.version);
  }
  if (v.create != before.create) {
    return Cat("created at ", v.create.value(), ", the version before it at ",
               before.create.value());
  }
  return "";
}

// Parts of what was between may have been removed.
std::string WrongBehindParts(const Version& v, const Version& before) {
  if (before.mod == Revision{} || v.deleted()) return "";
  if (before.deleted()) {
    // A put of the delete's own revision is possible: one transaction may do both.
    return v.create < before.mod
               ? Cat("created at ", v.create.value(), ", deleted at ", before.mod.value())
               : "";
  }
  if (v.create == before.create) {
    return v.version <= before.version
               ? Cat("version ", v.version, " follows version ", before.version)
               : "";
  }
  return v.create <= before.mod ? Cat("created at ", v.create.value(), ", and a version of ",
                                      before.mod.value(), " is of another life of the key")
                                : "";
}

}  // namespace

KeyHistory::Change KeyHistory::Apply(std::string_view key, const jetstream::RecordHeader& header,
                                     StreamSeq seq, bool is_delete, Revision compacted) {
  const Version now{.mod = header.revision,
                    .create = header.create_revision,
                    .version = is_delete ? 0 : header.version,
                    .lease = header.lease,
                    .seq = seq};
  Version& newest = newest_.try_emplace(std::string(key)).first->second;
  Change change{.wrong = {}, .before = newest};
  if (is_delete && (header.version != 0 || header.lease != LeaseId{})) {
    change.wrong = "a delete with a version or a lease";
  } else if (!is_delete && header.version < 1) {
    change.wrong = "a value without a version";
  } else {
    change.wrong = WrongInItself(now);
  }
  if (change.wrong.empty()) {
    change.wrong =
        now.mod > compacted ? WrongBehindWholeHistory(now, newest) : WrongBehindParts(now, newest);
  }
  if (newest.mod != Revision{} && !newest.deleted()) --live_;
  newest = now;
  // A value stays a value, whatever its header says.
  if (!is_delete && newest.version < 1) newest.version = 1;
  if (!newest.deleted()) ++live_;
  return change;
}

const Version* KeyHistory::Find(std::string_view key) const {
  const auto found = newest_.find(ToAbsl(key));
  return found == newest_.end() ? nullptr : &found->second;
}

void KeyHistory::Visit(
    const std::function<void(const std::string& key, const Version& newest)>& fn) const {
  for (const auto& [key, newest] : newest_) fn(key, newest);
}

}  // namespace jetd::replication
