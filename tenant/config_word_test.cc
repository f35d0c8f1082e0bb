// SPDX-License-Identifier: Apache-2.0
#include "tenant/config_word.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "base/testing/scratch_folder.h"
#include "gtest/gtest.h"

namespace jetd::tenant {
namespace {

class ConfigWordTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  [[nodiscard]] std::string Find(const std::string& word) const {
    const auto found = FindConfigWord(folder_ + "/nats.conf", folder_ + "/own/tenants.conf", word);
    return found.ok() ? *found : found.status().ToString();
  }

  const ScratchFolder scratch_;
  const std::string& folder_ = scratch_.path();
};

TEST_F(ConfigWordTest, IsLookedForInAllButItsOwnFile) {
  std::filesystem::create_directory(folder_ + "/own");
  Write("own/tenants.conf", "\"acme\": { }\n");
  Write("more.conf", "include \"nats.conf\"\nleaf-hub { users: [] }");
  Write("nats.conf",
        "listen: 127.0.0.1:4222\n"
        "accounts {\n"
        "  include \"own/tenants.conf\"\n"
        "  hub: { jetstream: enabled }\n"
        "  \"quoted\" { }\n"
        "}\n"
        "include ./more.conf\n");
  EXPECT_EQ(Find("acme"), "");
  EXPECT_EQ(Find("hub"), folder_ + "/nats.conf:4");
  EXPECT_EQ(Find("quoted"), folder_ + "/nats.conf:5");
  EXPECT_EQ(Find("leaf-hub"), folder_ + "/./more.conf:2");
  EXPECT_EQ(Find("leaf"), "") << "a part of a word is none";
  EXPECT_EQ(Find("own"), "") << "of a file's name";
}

TEST_F(ConfigWordTest, AFileThatIsNotThereIsNamed) {
  Write("nats.conf", "accounts { include 'none.conf' }\ninclude gone.conf\n");
  EXPECT_NE(Find("hub").find(folder_ + "/gone.conf"), std::string::npos) << Find("hub");
}

}  // namespace
}  // namespace jetd::tenant
