// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_DISK_H_
#define JETD_CONFORMANCE_POWER_DISK_H_

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace jetd::conformance::power {

// Disk is a file system in memory that forgets what was not synced. Beside what programs see, the
// live state, it keeps the durable one, and every change that is in the first and not in the
// second. Cut() makes the durable state, with some of the changes, the live one, as a power cut
// does:
//
//   Create(root, "a")  Write(a, "xy")  SyncFolder(root)  Cut   "a" is there, and holds "", "xy", or
//                                                              two zeros
//   Create(root, "a")  Write(a, "xy")  SyncFile(a)       Cut   "a" is there with "xy", or is not
//
// The rules, which are no kinder than those of a file system that POSIX allows:
//   F1  What a file holds, its size included, is durable after SyncFile of it. SyncFile says
//   nothing
//       about its name. (ext4 makes the name durable too.)
//   F2  Of what was written to a file since, each sector of 512 bytes has, behind a cut, any of its
//       states since then, one by one: writes are torn, and later ones survive where earlier ones
//       do not. The size is any of its sizes since then; what never came to the disk is zeros.
//       (ext4 with data=ordered shows such zeros where a block was not yet allocated, and in the
//       last.)
//   F3  Creations, removals and renames are durable after SyncFolder of their folder. Before, each
//   of
//       them by itself may be, in any combination that leaves a file no two names; at some cuts
//       those up to a moment are, which is all that a journal allows. (With ext4, a sync of
//       anything makes all earlier ones durable.)
//   F4  A rename is whole or not at all. Over an existing file, what the new one held at that
//   moment
//       is durable where the rename is (data_before_rename: ext4's auto_da_alloc, btrfs).
//   F5  After a sync that failed (FailSync), what it was for is never durable: a later sync that
//       succeeds does not make up for it. (Linux marks such pages clean.)
// Not there: links, device files, owners, mapped writing. Removed files stay until the next Cut.
//
// Calls that can fail return an errno, 0 for success. Thread rules: one thread at a time.
class Disk {
 public:
  using Node = uint64_t;
  static constexpr Node kRoot = 1;
  static constexpr size_t kSectorBytes = 512;

  enum class Kind { kFile, kFolder };
  struct Options {
    bool data_before_rename = true;
    uint64_t capacity_bytes = 16ULL << 30;
  };
  struct Attributes {
    Node node = 0;
    Kind kind = Kind::kFile;
    uint32_t mode = 0;
    uint64_t size_bytes = 0;
    bool removed = false;
    timespec changed{};
  };

  explicit Disk(Options options);

  // --- what programs do -------------------------------------------------------------------------
  [[nodiscard]] int Find(Node folder, const std::string& name, Node* found) const;
  [[nodiscard]] Attributes Look(Node node) const;
  // Name and node of everything in a folder.
  [[nodiscard]] std::vector<std::pair<std::string, Node>> List(Node folder) const;
  [[nodiscard]] int Create(Node folder, const std::string& name, Kind kind, uint32_t mode,
                           Node* made);
  [[nodiscard]] int Remove(Node folder, const std::string& name, Kind kind);
  [[nodiscard]] int Rename(Node from, const std::string& name, Node to, const std::string& as);
  [[nodiscard]] int Write(Node file, uint64_t offset, std::string_view bytes);
  void Resize(Node file, uint64_t size_bytes);
  [[nodiscard]] std::string Read(Node file, uint64_t offset, size_t size) const;
  void SetMode(Node node, uint32_t mode);
  void SetTime(Node node, timespec time);
  // The last name that `node` was given.
  [[nodiscard]] const std::string& NameOf(Node node) const;

  // --- what makes it durable --------------------------------------------------------------------
  // The number of the newest change.
  [[nodiscard]] uint64_t newest() const { return newest_; }
  // Changes up to number `until`: a sync that was asked for then need not cover more.
  void SyncFile(Node file, uint64_t until);
  void SyncFolder(Node folder, uint64_t until);
  void FailSync(Node file, uint64_t until);

  // Power is gone and is back; all nodes but the root get new numbers. `seed` says what survives.
  void Cut(uint64_t seed);

  // Of the live state.
  [[nodiscard]] uint64_t used_bytes() const;
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  struct FileChange {
    uint64_t number = 0;
    bool resize = false;
    uint64_t at = 0;  // of the bytes; the new size
    std::string bytes{};
  };
  struct Item {
    Kind kind = Kind::kFile;
    uint32_t mode = 0;
    timespec changed{};
    std::string name{};
    bool removed = false;
    // Of a file.
    std::string live{}, durable{};
    std::vector<FileChange> pending{};  // oldest first
    // Of a folder.
    std::map<std::string, Node> live_names{}, durable_names{};
  };
  struct NamePlace {
    Node folder = 0;
    std::string name{};
    Node node = 0;  // that the name has now; 0: none
  };
  struct NameChange {
    uint64_t number = 0;
    std::vector<NamePlace> places{};
    Node data_of = 0;  // a file whose data this makes durable (F4); 0: none
  };

  [[nodiscard]] Item& At(Node node) { return *items_.at(node); }
  [[nodiscard]] const Item& At(Node node) const { return *items_.at(node); }
  Node NewItem(Kind kind, uint32_t mode);
  void Note(NameChange change);
  void MakeDurable(const NameChange& change);
  static void Apply(const FileChange& change, std::string* content);
  // disk_cut.cc
  void CutNames(std::mt19937_64& random);
  static std::string CutContent(const Item& file, std::mt19937_64& random);
  // Fills item `node` of `items` with what is durable below `old`.
  void Rebuild(Node old, Node node, std::map<Node, std::unique_ptr<Item>>* items,
               std::mt19937_64& random);

  const Options options_;
  uint64_t newest_ = 0;
  Node last_node_ = kRoot;
  std::map<Node, std::unique_ptr<Item>> items_;
  std::vector<NameChange> pending_names_;  // oldest first
};

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_DISK_H_
