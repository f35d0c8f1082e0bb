// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/fuse_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/power/mount.h"

namespace jetd::conformance::power {
namespace {

// Nobody else changes what the kernel has been told, and a cut makes a new mount.
constexpr double kForSeconds = 3600;

Mount& MountOf(fuse_req_t request) { return *static_cast<Mount*>(fuse_req_userdata(request)); }

struct stat StatOf(const Disk::Attributes& attributes) {
  struct stat out {};
  const bool folder = attributes.kind == Disk::Kind::kFolder;
  out.st_ino = attributes.node;
  out.st_mode = attributes.mode | (folder ? S_IFDIR : S_IFREG);
  out.st_nlink = attributes.removed ? 0 : (folder ? 2 : 1);
  out.st_size = static_cast<off_t>(attributes.size_bytes);
  out.st_blocks = (out.st_size + 511) / 512;
  out.st_blksize = 4096;
  out.st_mtim = out.st_ctim = out.st_atim = attributes.changed;
  out.st_uid = getuid();
  out.st_gid = getgid();
  return out;
}

fuse_entry_param EntryOf(const Disk::Attributes& attributes) {
  fuse_entry_param entry{};
  entry.ino = attributes.node;
  entry.attr = StatOf(attributes);
  entry.attr_timeout = entry.entry_timeout = kForSeconds;
  return entry;
}

void UseNoCache(fuse_file_info* file) { file->direct_io = 1; }

}  // namespace

void FuseCalls::Lookup(fuse_req_t request, fuse_ino_t folder, const char* name) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.Admit(request)) return;
  Disk::Node found = 0;
  if (const int error = mount.disk_.Find(folder, name, &found); error != 0) {
    fuse_reply_err(request, error);
    return;
  }
  const fuse_entry_param entry = EntryOf(mount.disk_.Look(found));
  fuse_reply_entry(request, &entry);
}

void FuseCalls::GetAttributes(fuse_req_t request, fuse_ino_t node, fuse_file_info* /*file*/) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.Admit(request)) return;
  const struct stat out = StatOf(mount.disk_.Look(node));
  fuse_reply_attr(request, &out, kForSeconds);
}

void FuseCalls::SetAttributes(fuse_req_t request, fuse_ino_t node, struct stat* attributes,
                              int which, fuse_file_info* /*file*/) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  const bool resize = (which & FUSE_SET_ATTR_SIZE) != 0;
  if (resize ? !mount.AdmitOp(request, {FileOp::kWrite, mount.disk_.NameOf(node)})
             : !mount.Admit(request)) {
    return;
  }
  if (resize) mount.disk_.Resize(node, static_cast<uint64_t>(attributes->st_size));
  if ((which & FUSE_SET_ATTR_MODE) != 0) mount.disk_.SetMode(node, attributes->st_mode & 07777U);
  if ((which & FUSE_SET_ATTR_MTIME) != 0 && (which & FUSE_SET_ATTR_MTIME_NOW) == 0) {
    mount.disk_.SetTime(node, attributes->st_mtim);
  }
  const struct stat out = StatOf(mount.disk_.Look(node));
  mount.Answer(request, [&] { fuse_reply_attr(request, &out, kForSeconds); });
}

void FuseCalls::MakeFolder(fuse_req_t request, fuse_ino_t folder, const char* name, mode_t mode) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.AdmitOp(request, {FileOp::kCreate, name})) return;
  Disk::Node made = 0;
  const int error = mount.disk_.Create(folder, name, Disk::Kind::kFolder, mode & 07777U, &made);
  const fuse_entry_param entry = error == 0 ? EntryOf(mount.disk_.Look(made)) : fuse_entry_param{};
  mount.Answer(request, [&] {
    if (error != 0) {
      fuse_reply_err(request, error);
    } else {
      fuse_reply_entry(request, &entry);
    }
  });
}

void FuseCalls::Remove(fuse_req_t request, fuse_ino_t folder, const char* name, bool is_folder) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.AdmitOp(request, {FileOp::kRemove, name})) return;
  const int error =
      mount.disk_.Remove(folder, name, is_folder ? Disk::Kind::kFolder : Disk::Kind::kFile);
  mount.Answer(request, [&] { fuse_reply_err(request, error); });
}

void FuseCalls::RemoveFile(fuse_req_t request, fuse_ino_t folder, const char* name) {
  Remove(request, folder, name, /*is_folder=*/false);
}

void FuseCalls::RemoveFolder(fuse_req_t request, fuse_ino_t folder, const char* name) {
  Remove(request, folder, name, /*is_folder=*/true);
}

void FuseCalls::Rename(fuse_req_t request, fuse_ino_t from, const char* name, fuse_ino_t to,
                       const char* as, unsigned int flags) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.AdmitOp(request, {FileOp::kRename, as})) return;
  const int error = flags != 0 ? EINVAL : mount.disk_.Rename(from, name, to, as);
  mount.Answer(request, [&] { fuse_reply_err(request, error); });
}

void FuseCalls::Create(fuse_req_t request, fuse_ino_t folder, const char* name, mode_t mode,
                       fuse_file_info* file) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.AdmitOp(request, {FileOp::kCreate, name})) return;
  Disk::Node made = 0;
  const int error = mount.disk_.Create(folder, name, Disk::Kind::kFile, mode & 07777U, &made);
  const fuse_entry_param entry = error == 0 ? EntryOf(mount.disk_.Look(made)) : fuse_entry_param{};
  mount.Answer(request, [&] {
    if (error != 0) {
      fuse_reply_err(request, error);
      return;
    }
    UseNoCache(file);
    fuse_reply_create(request, &entry, file);
  });
}

void FuseCalls::Open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if ((file->flags & O_TRUNC) != 0) {
    if (!mount.AdmitOp(request, {FileOp::kWrite, mount.disk_.NameOf(node)})) return;
    mount.disk_.Resize(node, 0);
  } else if (!mount.Admit(request)) {
    return;
  }
  UseNoCache(file);
  mount.Answer(request, [&] { fuse_reply_open(request, file); });
}

void FuseCalls::Read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                     fuse_file_info* /*file*/) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.Admit(request)) return;
  const std::string bytes = mount.disk_.Read(node, static_cast<uint64_t>(offset), size);
  fuse_reply_buf(request, bytes.data(), bytes.size());
}

void FuseCalls::Write(fuse_req_t request, fuse_ino_t node, const char* bytes, size_t size,
                      off_t offset, fuse_file_info* /*file*/) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.AdmitOp(request, {FileOp::kWrite, mount.disk_.NameOf(node)})) return;
  const int error =
      mount.disk_.Write(node, static_cast<uint64_t>(offset), std::string_view(bytes, size));
  mount.Answer(request, [&] {
    if (error != 0) {
      fuse_reply_err(request, error);
    } else {
      fuse_reply_write(request, size);
    }
  });
}

void FuseCalls::SyncFile(fuse_req_t request, fuse_ino_t node, int /*data_only*/,
                         fuse_file_info* /*file*/) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  mount.Sync(request, node, FileOp::kSync);
}

void FuseCalls::SyncFolder(fuse_req_t request, fuse_ino_t node, int /*data_only*/,
                           fuse_file_info* /*file*/) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  mount.Sync(request, node, FileOp::kSyncFolder);
}

void FuseCalls::OpenFolder(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.Admit(request)) return;
  file->fh = ++mount.last_list_;
  mount.lists_[file->fh] = mount.disk_.List(node);
  fuse_reply_open(request, file);
}

void FuseCalls::ReadFolder(fuse_req_t request, fuse_ino_t /*node*/, size_t size, off_t offset,
                           fuse_file_info* file) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.Admit(request)) return;
  const auto& list = mount.lists_.at(file->fh);
  std::vector<char> out(size);
  size_t used = 0;
  for (auto i = static_cast<size_t>(offset); i < list.size(); ++i) {
    const struct stat attributes = StatOf(mount.disk_.Look(list[i].second));
    const size_t more =
        fuse_add_direntry(request, out.data() + used, size - used, list[i].first.c_str(),
                          &attributes, static_cast<off_t>(i + 1));
    if (more > size - used) break;
    used += more;
  }
  fuse_reply_buf(request, out.data(), used);
}

void FuseCalls::CloseFolder(fuse_req_t request, fuse_ino_t /*node*/, fuse_file_info* file) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  mount.lists_.erase(file->fh);
  fuse_reply_err(request, 0);
}

void FuseCalls::Space(fuse_req_t request, fuse_ino_t /*node*/) {
  Mount& mount = MountOf(request);
  MutexLock lock(mount.mutex_);
  if (!mount.Admit(request)) return;
  struct statvfs out {};
  out.f_bsize = out.f_frsize = 4096;
  out.f_blocks = mount.disk_.options().capacity_bytes / out.f_frsize;
  out.f_bfree = out.f_blocks - std::min(out.f_blocks, mount.disk_.used_bytes() / out.f_frsize);
  out.f_bavail = out.f_bfree;
  out.f_files = out.f_ffree = out.f_favail = 1 << 20;
  out.f_namemax = 255;
  fuse_reply_statfs(request, &out);
}

fuse_lowlevel_ops FuseCalls::Table() {
  fuse_lowlevel_ops calls{};
  calls.lookup = &Lookup;
  calls.getattr = &GetAttributes;
  calls.setattr = &SetAttributes;
  calls.mkdir = &MakeFolder;
  calls.unlink = &RemoveFile;
  calls.rmdir = &RemoveFolder;
  calls.rename = &Rename;
  calls.create = &Create;
  calls.open = &Open;
  calls.read = &Read;
  calls.write = &Write;
  calls.fsync = &SyncFile;
  calls.fsyncdir = &SyncFolder;
  calls.opendir = &OpenFolder;
  calls.readdir = &ReadFolder;
  calls.releasedir = &CloseFolder;
  calls.statfs = &Space;
  return calls;
}

}  // namespace jetd::conformance::power
