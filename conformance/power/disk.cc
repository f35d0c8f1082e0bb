// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

namespace jetd::conformance::power {
namespace {

timespec Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

}  // namespace

Disk::Disk(Options options) : options_(options) {
  items_[kRoot] = std::make_unique<Item>();
  At(kRoot).kind = Kind::kFolder;
  At(kRoot).mode = 0700;
  At(kRoot).changed = Now();
}

int Disk::Find(Node folder, const std::string& name, Node* found) const {
  const Item& item = At(folder);
  if (item.kind != Kind::kFolder) return ENOTDIR;
  const auto it = item.live_names.find(name);
  if (it == item.live_names.end()) return ENOENT;
  *found = it->second;
  return 0;
}

Disk::Attributes Disk::Look(Node node) const {
  const Item& item = At(node);
  return {.node = node,
          .kind = item.kind,
          .mode = item.mode,
          .size_bytes = item.live.size(),
          .removed = item.removed,
          .changed = item.changed};
}

std::vector<std::pair<std::string, Disk::Node>> Disk::List(Node folder) const {
  const auto& names = At(folder).live_names;
  return {names.begin(), names.end()};
}

Disk::Node Disk::NewItem(Kind kind, uint32_t mode) {
  const Node node = ++last_node_;
  auto item = std::make_unique<Item>();
  item->kind = kind;
  item->mode = mode;
  item->changed = Now();
  items_[node] = std::move(item);
  return node;
}

void Disk::Note(NameChange change) {
  change.number = ++newest_;
  for (const NamePlace& place : change.places) {
    Item& folder = At(place.folder);
    folder.changed = Now();
    if (place.node == 0) {
      folder.live_names.erase(place.name);
    } else {
      folder.live_names[place.name] = place.node;
      At(place.node).name = place.name;
    }
  }
  pending_names_.push_back(std::move(change));
}

int Disk::Create(Node folder, const std::string& name, Kind kind, uint32_t mode, Node* made) {
  if (At(folder).removed) return ENOENT;
  if (At(folder).live_names.count(name) > 0) return EEXIST;
  *made = NewItem(kind, mode);
  Note({.places = {{folder, name, *made}}});
  return 0;
}

int Disk::Remove(Node folder, const std::string& name, Kind kind) {
  Node node = 0;
  if (const int error = Find(folder, name, &node); error != 0) return error;
  Item& item = At(node);
  if (item.kind != kind) return kind == Kind::kFile ? EISDIR : ENOTDIR;
  if (!item.live_names.empty()) return ENOTEMPTY;
  item.removed = true;
  Note({.places = {{folder, name, 0}}});
  return 0;
}

int Disk::Rename(Node from, const std::string& name, Node to, const std::string& as) {
  Node node = 0;
  if (const int error = Find(from, name, &node); error != 0) return error;
  NameChange change{.places = {{from, name, 0}, {to, as, node}}};
  Node there = 0;
  if (Find(to, as, &there) == 0) {
    if (there == node) return 0;
    Item& old = At(there);
    if (old.kind != At(node).kind) return old.kind == Kind::kFolder ? EISDIR : ENOTDIR;
    if (!old.live_names.empty()) return ENOTEMPTY;
    old.removed = true;
    if (old.kind == Kind::kFile && options_.data_before_rename) change.data_of = node;
  }
  Note(std::move(change));
  return 0;
}

void Disk::Apply(const FileChange& change, std::string* content) {
  if (change.resize) {
    content->resize(change.at);
    return;
  }
  const size_t end = change.at + change.bytes.size();
  if (content->size() < end) content->resize(end);
  std::memcpy(content->data() + change.at, change.bytes.data(), change.bytes.size());
}

int Disk::Write(Node file, uint64_t offset, std::string_view bytes) {
  if (offset + bytes.size() > options_.capacity_bytes) return ENOSPC;
  Item& item = At(file);
  item.pending.push_back({.number = ++newest_, .at = offset, .bytes = std::string(bytes)});
  Apply(item.pending.back(), &item.live);
  item.changed = Now();
  return 0;
}

void Disk::Resize(Node file, uint64_t size_bytes) {
  Item& item = At(file);
  item.pending.push_back({.number = ++newest_, .resize = true, .at = size_bytes});
  Apply(item.pending.back(), &item.live);
  item.changed = Now();
}

std::string Disk::Read(Node file, uint64_t offset, size_t size) const {
  const std::string& content = At(file).live;
  return offset >= content.size() ? std::string() : content.substr(offset, size);
}

void Disk::SetMode(Node node, uint32_t mode) { At(node).mode = mode; }

void Disk::SetTime(Node node, timespec time) { At(node).changed = time; }

const std::string& Disk::NameOf(Node node) const { return At(node).name; }

void Disk::SyncFile(Node file, uint64_t until) {
  Item& item = At(file);
  size_t done = 0;
  for (; done < item.pending.size() && item.pending[done].number <= until; ++done) {
    Apply(item.pending[done], &item.durable);
  }
  item.pending.erase(item.pending.begin(),
                     item.pending.begin() + static_cast<std::ptrdiff_t>(done));
}

void Disk::FailSync(Node file, uint64_t until) {
  std::erase_if(At(file).pending,
                [until](const FileChange& change) { return change.number <= until; });
}

void Disk::MakeDurable(const NameChange& change) {
  if (change.data_of != 0) SyncFile(change.data_of, change.number);
  for (const NamePlace& place : change.places) {
    auto& names = At(place.folder).durable_names;
    if (place.node == 0) {
      names.erase(place.name);
    } else {
      names[place.name] = place.node;
    }
  }
}

void Disk::SyncFolder(Node folder, uint64_t until) {
  // A rename from one folder into another takes along what came before it in both.
  std::set<Node> folders = {folder};
  std::vector<bool> durable(pending_names_.size());
  for (size_t i = pending_names_.size(); i-- > 0;) {
    const NameChange& change = pending_names_[i];
    if (change.number > until) continue;
    durable[i] =
        std::any_of(change.places.begin(), change.places.end(),
                    [&](const NamePlace& place) { return folders.count(place.folder) > 0; });
    if (!durable[i]) continue;
    for (const NamePlace& place : change.places) folders.insert(place.folder);
  }
  std::vector<NameChange> left;
  for (size_t i = 0; i < pending_names_.size(); ++i) {
    if (durable[i]) {
      MakeDurable(pending_names_[i]);
    } else {
      left.push_back(std::move(pending_names_[i]));
    }
  }
  pending_names_ = std::move(left);
}

uint64_t Disk::used_bytes() const {
  uint64_t used = 0;
  for (const auto& [node, item] : items_) used += item->removed ? 0 : item->live.size();
  return used;
}

}  // namespace jetd::conformance::power
