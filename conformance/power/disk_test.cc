// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/disk.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::conformance::power {
namespace {

using testing::Contains;
using testing::ElementsAre;

using Node = Disk::Node;
using Kind = Disk::Kind;

constexpr int kSeeds = 400;
constexpr char kNotThere[] = "(not there)";

class Files {
 public:
  explicit Files(Disk::Options options = {}) : disk_(options) {}

  Disk& operator*() { return disk_; }
  Disk* operator->() { return &disk_; }

  Node Make(const std::string& name, Node folder = Disk::kRoot, Kind kind = Kind::kFile) {
    Node made = 0;
    EXPECT_EQ(disk_.Create(folder, name, kind, 0600, &made), 0);
    return made;
  }
  // A file that is there for good, with `content`.
  Node MakeDurable(const std::string& name, const std::string& content) {
    const Node made = Make(name);
    Write(made, 0, content);
    Sync(made);
    SyncRoot();
    return made;
  }
  void Write(Node file, uint64_t offset, const std::string& bytes) {
    EXPECT_EQ(disk_.Write(file, offset, bytes), 0);
  }
  void Rename(const std::string& name, const std::string& as) {
    EXPECT_EQ(disk_.Rename(Disk::kRoot, name, Disk::kRoot, as), 0);
  }
  void Sync(Node file) { disk_.SyncFile(file, disk_.newest()); }
  void SyncRoot() { disk_.SyncFolder(Disk::kRoot, disk_.newest()); }
  std::string Content(const std::string& name) {
    Node found = 0;
    if (disk_.Find(Disk::kRoot, name, &found) != 0) return kNotThere;
    return disk_.Read(found, 0, 1U << 20U);
  }

 private:
  Disk disk_;
};

// What `look` sees after a cut, for many seeds.
std::set<std::string> AfterCuts(const std::function<void(Files&)>& act,
                                const std::function<std::string(Files&)>& look,
                                Disk::Options options = {}) {
  std::set<std::string> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    Files files(options);
    act(files);
    files->Cut(static_cast<uint64_t>(seed));
    seen.insert(look(files));
  }
  return seen;
}

std::function<std::string(Files&)> ContentOf(const std::string& name) {
  return [name](Files& files) { return files.Content(name); };
}

TEST(DiskTest, WhatWasSyncedIsThere) {
  EXPECT_THAT(AfterCuts(
                  [](Files& files) {
                    const Node a = files.MakeDurable("a", "one");
                    files.Write(a, 3, "two");
                    files.Sync(a);
                  },
                  ContentOf("a")),
              ElementsAre("onetwo"));
}

TEST(DiskTest, WhatWasNotSyncedMayBeThereOrNot) {
  EXPECT_THAT(AfterCuts(
                  [](Files& files) {
                    const Node a = files.MakeDurable("a", "one");
                    files.Write(a, 3, "two");
                  },
                  ContentOf("a")),
              ElementsAre("one", std::string("one\0\0\0", 6), "onetwo"));
}

TEST(DiskTest, ASyncOfAFileSaysNothingOfItsName) {
  EXPECT_THAT(AfterCuts(
                  [](Files& files) {
                    const Node a = files.Make("a");
                    files.Write(a, 0, "one");
                    files.Sync(a);
                  },
                  ContentOf("a")),
              ElementsAre(kNotThere, "one"));
}

TEST(DiskTest, ASyncOfAFolderSaysNothingOfItsFiles) {
  EXPECT_THAT(AfterCuts(
                  [](Files& files) {
                    const Node a = files.Make("a");
                    files.Write(a, 0, "one");
                    files.SyncRoot();
                  },
                  ContentOf("a")),
              ElementsAre("", std::string("\0\0\0", 3), "one"));
}

TEST(DiskTest, ASyncCoversWhatWasThereWhenItBegan) {
  EXPECT_THAT(AfterCuts(
                  [](Files& files) {
                    const Node a = files.MakeDurable("a", "");
                    files.Write(a, 0, "one");
                    const uint64_t began = files->newest();
                    files.Write(a, 3, "two");
                    files->SyncFile(a, began);
                  },
                  ContentOf("a")),
              ElementsAre("one", std::string("one\0\0\0", 6), "onetwo"));
}

TEST(DiskTest, ARemovalWithoutASyncMayComeBack) {
  const auto remove = [](Files& files) {
    files.MakeDurable("a", "one");
    EXPECT_EQ(files->Remove(Disk::kRoot, "a", Kind::kFile), 0);
  };
  EXPECT_THAT(AfterCuts(remove, ContentOf("a")), ElementsAre(kNotThere, "one"));
  EXPECT_THAT(AfterCuts(
                  [&](Files& files) {
                    remove(files);
                    files.SyncRoot();
                  },
                  ContentOf("a")),
              ElementsAre(kNotThere));
}

TEST(DiskTest, ARenameOverAFileLeavesOneOfBothWhole) {
  const auto replace = [](Files& files) {
    files.MakeDurable("a", "old");
    const Node fresh = files.Make("a.tmp");
    files.Write(fresh, 0, "fresh");
    files.Rename("a.tmp", "a");
  };
  EXPECT_THAT(AfterCuts(replace, ContentOf("a")), ElementsAre("fresh", "old"));
  // Where the file system does not write the data first.
  EXPECT_THAT(AfterCuts(replace, ContentOf("a"), {.data_before_rename = false}),
              ElementsAre("", std::string("\0\0\0\0\0", 5), "fresh", "old"));
}

TEST(DiskTest, ARenameToANewNameDoesNotWriteTheData) {
  EXPECT_THAT(AfterCuts(
                  [](Files& files) {
                    files.Write(files.Make("a.tmp"), 0, "one");
                    files.Rename("a.tmp", "a");
                    files.SyncRoot();
                  },
                  ContentOf("a")),
              ElementsAre("", std::string("\0\0\0", 3), "one"));
}

TEST(DiskTest, NoFileHasTwoNames) {
  const auto names = AfterCuts(
      [](Files& files) {
        files.MakeDurable("a", "one");
        files.Rename("a", "b");
        files.Rename("b", "c");
      },
      [](Files& files) {
        std::string all;
        for (const auto& [name, node] : files->List(Disk::kRoot)) all += name;
        return all;
      });
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
}

TEST(DiskTest, NamesSurviveInAnyCombination) {
  const auto names = AfterCuts(
      [](Files& files) {
        files.MakeDurable("a", "");
        files.Make("b");
        EXPECT_EQ(files->Remove(Disk::kRoot, "a", Kind::kFile), 0);
      },
      [](Files& files) {
        std::string all;
        for (const auto& [name, node] : files->List(Disk::kRoot)) all += name;
        return all;
      });
  EXPECT_THAT(names, ElementsAre("", "a", "ab", "b"));
}

TEST(DiskTest, AFolderThatIsNotDurableTakesItsFilesAlong) {
  EXPECT_THAT(AfterCuts(
                  [](Files& files) {
                    const Node folder = files.Make("d", Disk::kRoot, Kind::kFolder);
                    const Node a = files.Make("a", folder);
                    files.Write(a, 0, "one");
                    files.Sync(a);
                    files->SyncFolder(folder, files->newest());
                  },
                  [](Files& files) -> std::string {
                    Node d = 0;
                    Node a = 0;
                    if (files->Find(Disk::kRoot, "d", &d) != 0) return kNotThere;
                    return files->Find(d, "a", &a) == 0 ? files->Read(a, 0, 9) : "empty";
                  }),
              ElementsAre(kNotThere, "one"));
}

TEST(DiskTest, WritesAreTornAtSectors) {
  const std::string old(3 * Disk::kSectorBytes, 'o');
  const auto seen = AfterCuts(
      [&](Files& files) {
        const Node a = files.MakeDurable("a", old);
        files.Write(a, 0, std::string(3 * Disk::kSectorBytes, 'n'));
      },
      [](Files& files) {
        const std::string content = files.Content("a");
        std::string heads;
        for (size_t at = 0; at < content.size(); at += Disk::kSectorBytes) {
          const std::string sector = content.substr(at, Disk::kSectorBytes);
          EXPECT_EQ(sector, std::string(Disk::kSectorBytes, sector[0]));
          heads += sector[0];
        }
        return heads;
      });
  EXPECT_EQ(seen.size(), 8U) << "all combinations";
}

TEST(DiskTest, WhatASyncFailedToWriteIsGoneThoughTheNextSucceeds) {
  EXPECT_THAT(AfterCuts(
                  [](Files& files) {
                    const Node a = files.MakeDurable("a", "one");
                    files.Write(a, 0, "two");
                    files->FailSync(a, files->newest());
                    EXPECT_EQ(files.Content("a"), "two");
                    files.Sync(a);
                  },
                  ContentOf("a")),
              ElementsAre("one"));
}

TEST(DiskTest, SaysWhatPosixSays) {
  Files files;
  const Node folder = files.Make("d", Disk::kRoot, Kind::kFolder);
  const Node a = files.Make("a", folder);
  Node other = 0;
  EXPECT_EQ(files->Create(folder, "a", Kind::kFile, 0600, &other), EEXIST);
  EXPECT_EQ(files->Find(folder, "b", &other), ENOENT);
  EXPECT_EQ(files->Find(a, "b", &other), ENOTDIR);
  EXPECT_EQ(files->Remove(Disk::kRoot, "d", Kind::kFolder), ENOTEMPTY);
  EXPECT_EQ(files->Remove(Disk::kRoot, "d", Kind::kFile), EISDIR);
  EXPECT_EQ(files->Remove(folder, "a", Kind::kFolder), ENOTDIR);
  EXPECT_EQ(files->Rename(folder, "b", folder, "c"), ENOENT);
  EXPECT_EQ(files->Rename(folder, "a", Disk::kRoot, "d"), EISDIR);
  EXPECT_EQ(files->Rename(folder, "a", folder, "a"), 0);
  files.Write(a, 2, "x");
  EXPECT_EQ(files->Look(a).size_bytes, 3U);
  // A file that was removed goes on for whoever has it open.
  EXPECT_EQ(files->Remove(folder, "a", Kind::kFile), 0);
  EXPECT_TRUE(files->Look(a).removed);
  EXPECT_EQ(files->Read(a, 0, 9), std::string("\0\0x", 3));
  EXPECT_EQ(files->Remove(Disk::kRoot, "d", Kind::kFolder), 0);
}

// One file: random writes, sizes and syncs, against all states that it has had since the sync. What
// a cut leaves has a size that it had, and each byte is what stood there in one of the states, or
// zero.
TEST(DiskTest, AgreesWithAllStatesSinceTheSync) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    std::mt19937_64 random(seed);
    Files files;
    const Node a = files.MakeDurable("a", "");
    std::vector<std::string> states = {""};
    for (int step = 0; step < 12; ++step) {
      const uint64_t kind = random() % 8;
      if (kind == 0) {
        files.Sync(a);
        states = {states.back()};
        continue;
      }
      std::string next = states.back();
      const size_t at = random() % 1500;
      if (kind == 1) {
        files->Resize(a, at);
        next.resize(at);
      } else {
        const std::string bytes(1 + random() % 900, static_cast<char>('a' + step));
        files.Write(a, at, bytes);
        next.resize(std::max(next.size(), at + bytes.size()));
        next.replace(at, bytes.size(), bytes);
      }
      states.push_back(next);
    }
    ASSERT_EQ(files.Content("a"), states.back());
    files->Cut(seed);
    const std::string left = files.Content("a");
    std::set<size_t> sizes;
    for (const std::string& state : states) sizes.insert(state.size());
    ASSERT_THAT(sizes, Contains(left.size())) << "seed " << seed;
    for (size_t at = 0; at < left.size(); ++at) {
      bool known = left[at] == '\0' && states.size() > 1;
      for (const std::string& state : states) {
        known = known || (at < state.size() && state[at] == left[at]);
      }
      ASSERT_TRUE(known) << "seed " << seed << ": byte " << at;
    }
  }
}

// Names in two folders: random creations, removals, renames and syncs. Behind a cut each name is
// what it was at one moment since its folder was synced, and no file has two.
TEST(DiskTest, AgreesWithAllNamesSinceTheSync) {
  using Place = std::pair<int, std::string>;  // folder and name
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    std::mt19937_64 random(seed);
    Files files;
    const Node folders[] = {Disk::kRoot, files.Make("d", Disk::kRoot, Kind::kFolder)};
    files.SyncRoot();
    std::map<Place, std::set<std::string>> possible;
    std::map<Place, std::string> now;
    for (const int folder : {0, 1}) {
      for (const char* name : {"a", "b", "c"}) {
        now[{folder, name}] = "";
        possible[{folder, name}] = {""};
      }
    }
    const auto any_place = [&] {
      return Place(static_cast<int>(random() % 2), std::string(1, "abc"[random() % 3]));
    };
    const auto set = [&](const Place& place, const std::string& content) {
      now[place] = content;
      possible[place].insert(content);
    };
    for (int step = 0; step < 15; ++step) {
      const Place place = any_place();
      const Place other = any_place();
      const Node folder = folders[place.first];
      const uint64_t kind = random() % 8;
      if (kind == 0) {
        files->SyncFolder(folder, files->newest());
        for (auto& [at, contents] : possible) {
          if (at.first == place.first) contents = {now[at]};
        }
      } else if (kind < 4 && now[place].empty()) {
        const Node made = files.Make(place.second, folder);
        files.Write(made, 0, Cat("file ", step));
        files.Sync(made);
        set(place, Cat("file ", step));
      } else if (kind < 6 && !now[place].empty()) {
        EXPECT_EQ(files->Remove(folder, place.second, Kind::kFile), 0);
        set(place, "");
      } else if (!now[place].empty() && place != other) {
        EXPECT_EQ(files->Rename(folder, place.second, folders[other.first], other.second), 0);
        set(other, now[place]);
        set(place, "");
      }
    }
    files->Cut(seed);
    Node d = 0;
    ASSERT_EQ(files->Find(Disk::kRoot, "d", &d), 0);
    std::multiset<std::string> found;
    for (const auto& [place, contents] : possible) {
      Node node = 0;
      std::string content;
      if (files->Find(place.first == 0 ? Disk::kRoot : d, place.second, &node) == 0) {
        content = files->Read(node, 0, 99);
        found.insert(content);
      }
      ASSERT_THAT(contents, Contains(content)) << "seed " << seed << ": " << place.second;
    }
    for (const std::string& content : found) ASSERT_EQ(found.count(content), 1U) << "seed " << seed;
  }
}

}  // namespace
}  // namespace jetd::conformance::power
