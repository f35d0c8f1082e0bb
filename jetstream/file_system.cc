// SPDX-License-Identifier: Apache-2.0
#include "jetstream/file_system.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/strings.h"

namespace jetd::jetstream {
namespace {

bool HasOption(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const size_t comma = options.find(',');
    if (options.substr(0, comma) == wanted) return true;
    if (comma == std::string_view::npos) return false;
    options.remove_prefix(comma + 1);
  }
  return false;
}

}  // namespace

std::string CaveatOf(std::string_view type, std::string_view options) {
  if (type == "tmpfs" || type == "ramfs") {
    return Cat("the data folder is on ", type, ": nothing survives a restart of this machine");
  }
  for (const char* const option : {"nobarrier", "barrier=0"}) {
    if (HasOption(options, option)) {
      return Cat("the data folder is on ", type, " mounted with ", option,
                 ": a power cut can lose answered writes");
    }
  }
  if (type == "btrfs") return "";
  const char* const risk =
      ": a power cut while nats-server rewrites a file can lose answered writes in it";
  if (type != "ext4") return Cat("the data folder is on ", type, ", not ext4", risk);
  for (const char* const option : {"data=writeback", "noauto_da_alloc"}) {
    if (HasOption(options, option)) {
      return Cat("the data folder is on ext4 mounted with ", option, risk);
    }
  }
  return "";
}

uint64_t FreeBytes(const std::string& folder) {
  struct statvfs disk {};
  if (statvfs(folder.c_str(), &disk) != 0) return 0;
  return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
}

uint64_t MayGrowTo(const std::string& folder) {
  struct statvfs disk {};
  if (statvfs(folder.c_str(), &disk) != 0) return 0;
  uint64_t used = 0;
  std::error_code error;
  auto entry = std::filesystem::recursive_directory_iterator(folder, error);
  for (; !error && entry != std::filesystem::end(entry); entry.increment(error)) {
    std::error_code gone;  // or a folder
    const uint64_t size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
    if (!gone) used += size;
  }
  return used + static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize / 4 * 3;
}

std::string FileSystemCaveat(const std::string& folder) {
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) return Cat("the data folder ", folder, " cannot be seen");
  const std::string device = Cat(major(info.st_dev), ":", minor(info.st_dev));
  // <id> <parent> <major:minor> <root> <mount point> <options> [<tag>…] - <type> <source> <options>
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream words(line);
    std::string id, parent, of, root, point, options, word, type, source, super_options;
    words >> id >> parent >> of >> root >> point >> options;
    if (of != device) continue;
    while (words >> word && word != "-") {
    }
    words >> type >> source >> super_options;
    return CaveatOf(type, Cat(options, ",", super_options));
  }
  return "the data folder's file system is unknown: what a power cut can cost there is not known";
}

}  // namespace jetd::jetstream
