// SPDX-License-Identifier: Apache-2.0
#include "revision/value_cache.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace jetd::revision {
namespace {

// What a Balance takes out beside twice what came in: a backlog that a full disk left behind.
constexpr size_t kBacklogBytes = 256UL << 10;
constexpr size_t kCleanBytes = 256UL << 10;

}  // namespace

void ValueCache::Use(std::unique_ptr<ValueFiles> files, const Options& options) {
  JETD_CHECK(index_->size() == 0) << "versions are there already";
  files_ = std::move(files);
  options_ = options;
  options_.min_value_bytes = std::max<size_t>(options_.min_value_bytes, 1);
  index_->set_observer(this);
}

KvRef ValueCache::Load(const KvBlock* v, ValueFiles::How how) const {
  if (v == nullptr || !v->cold()) return KvRef::Share(v);
  return files_->Load(*v, how);
}

bool ValueCache::Queues(const KvBlock* v) const {
  return files_ != nullptr && !v->cold() && v->value().size() >= options_.min_value_bytes;
}

void ValueCache::Add(const KvBlock* v) {
  if (!Queues(v)) return;
  queue_.push_back({v->mod_revision(), v});
  hot_bytes_ += v->footprint();
  added_bytes_ += v->footprint();
}

void ValueCache::OnDrop(const KvBlock* v) {
  if (v->cold()) {
    files_->Drop(v->location());
  } else if (Queues(v)) {
    Unqueue(v);
  }
}

void ValueCache::Unqueue(const KvBlock* v) {
  auto it = std::partition_point(
      queue_.begin(), queue_.end(),
      [main = v->mod_revision()](const Item& item) { return item.main < main; });
  while (it != queue_.end() && it->kv != v) ++it;
  JETD_CHECK(it != queue_.end()) << "version " << v->mod_revision() << " does not queue";
  it->kv = nullptr;
  hot_bytes_ -= v->footprint();
  // Half of it empty: close the gaps, so that what stays for long does not keep them.
  if (++dropped_ * 2 <= queue_.size()) return;
  std::erase_if(queue_, [](const Item& item) { return item.kv == nullptr; });
  dropped_ = 0;
}

void ValueCache::Balance() {
  size_t left = kBacklogBytes + 2 * std::exchange(added_bytes_, 0);
  while (hot_bytes_ > options_.budget_bytes && !queue_.empty()) {
    const KvBlock* oldest = queue_.front().kv;
    if (oldest == nullptr) {
      --dropped_;
    } else {
      const size_t bytes = oldest->footprint();
      if (left == 0 || !MakeCold(oldest)) return;
      left -= std::min(left, bytes);
      hot_bytes_ -= bytes;
    }
    queue_.pop_front();
  }
}

bool ValueCache::MakeCold(const KvBlock* hot) {
  const std::optional<ValueLocation> location = files_->Append(hot->mod(), hot->encoded());
  if (!location.has_value()) return false;
  // Those who hold a pointer to it still compare it.
  const KvRef kept = KvRef::Share(hot);
  KvRef cold = KvBlock::MakeCold(*hot, *location);
  const KvBlock* now = cold.get();
  index_->Replace(hot, std::move(cold));
  log_->Replace(hot, now);
  leases_->Replace(hot, now);
  return true;
}

bool ValueCache::Clean() {
  if (files_ == nullptr || files_->pinned()) return true;
  if (!cleaning_.has_value() || !files_->Has(*cleaning_)) {
    cleaning_ = files_->MostlyWaste();
    cleaned_ = 0;
    if (!cleaning_.has_value()) return true;
  }
  bool refused = false;
  const bool end =
      files_->Scan(*cleaning_, &cleaned_, kCleanBytes, [&](const ValueFiles::Record& record) {
        const KvBlock* v = index_->FindVersion(record.key, record.mod);
        if (v == nullptr || !v->cold() || v->location() != record.location) return true;
        const auto moved = files_->Append(record.mod, record.encoded);
        refused = !moved.has_value();
        if (refused) return false;
        JETD_CHECK(moved->crc == record.location.crc)
            << "the value of revision " << record.mod.main << " is not what was written";
        v->set_location(*moved);
        files_->Drop(record.location);
        return true;
      });
  JETD_CHECK(!end || !files_->Has(*cleaning_)) << "segment " << *cleaning_ << " is still in use";
  return refused;
}

}  // namespace jetd::revision
