// SPDX-License-Identifier: Apache-2.0
#include "cli/diff_view.h"

#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using replication::State;
using replication::StateKey;

StateKey Key(const std::string& value, int64_t create, int64_t mod, int64_t version) {
  return {.value = value,
          .create_revision = Revision(create),
          .mod_revision = Revision(mod),
          .version = version};
}

class DiffViewTest : public ::testing::Test {
 protected:
  DiffViewTest() {
    const std::string widget = "/registry/example.com/widgets/team-a/w";
    from_.keys[widget] = Key(R"({"spec":{"size":1,"color":"red"}})", 2, 2, 1);
    to_.keys[widget] = Key(R"({"spec":{"size":2,"color":"red"}})", 2, 9, 2);
    from_.keys["/registry/secrets/team-a/s"] = Key("k8s:enc:aesgcm:v1:k:xxxx", 3, 3, 1);
    to_.keys["/registry/secrets/team-a/s"] = Key("k8s:enc:aesgcm:v1:k:yyyyy", 3, 8, 2);
    from_.keys["/registry/minions/n1"] = Key(std::string("k8s\0a", 5), 4, 4, 1);
    to_.keys["/registry/minions/n1"] = Key(std::string("k8s\0bc", 6), 4, 7, 2);
    from_.keys["/registry/pods/team-a/gone"] = Key("x", 5, 5, 1);
    to_.keys["plain"] = Key("new", 6, 6, 1);
  }
  [[nodiscard]] DiffView View(DiffView::Values values) {
    changes_ = DiffStates(from_, to_);
    return {changes_, values};
  }

  State from_, to_;
  std::vector<replication::StateChange> changes_;
};

TEST_F(DiffViewTest, ATable) {
  EXPECT_EQ(
      View(DiffView::Values::kYes).ToTable().ToText(),
      "CHANGE   KIND                 NAMESPACE  NAME   REVISION  BYTES     VALUE\n"
      "added    -                               plain  6         3         bytes\n"
      "changed  nodes                           n1     4 -> 7    5 -> 6    protobuf, sha256 "
      "a07a09a0aebb -> 35bdbd171266\n"
      "deleted  pods                 team-a     gone   5         1         bytes\n"
      "changed  secrets              team-a     s      3 -> 8    24 -> 25  encrypted, opaque\n"
      "changed  widgets.example.com  team-a     w      2 -> 9    33        json: /spec/size\n"
      "                                                                      /spec/size: 1 -> 2\n");
}

TEST_F(DiffViewTest, Json) {
  const auto json =
      nlohmann::json::parse("{" + View(DiffView::Values::kNo).ToJson() + "}", nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["counts"],
            (nlohmann::json{{"added", 1}, {"changed", 3}, {"deleted", 1}, {"encrypted", 1}}));
  const auto& widget = json["changes"].back();
  EXPECT_EQ(widget["change"], "changed");
  EXPECT_EQ(widget["kind"], "widgets.example.com");
  EXPECT_EQ(widget["namespace"], "team-a");
  EXPECT_EQ(widget["object"], "w");
  EXPECT_EQ(widget["from"]["mod_revision"], 2);
  EXPECT_EQ(widget["to"]["value_bytes"], 33);
  EXPECT_FALSE(widget["to"].contains("value"));
  EXPECT_EQ(widget["fields"], (nlohmann::json::array({{{"path", "/spec/size"}}})));
  const auto shown =
      nlohmann::json::parse("{" + View(DiffView::Values::kYes).ToJson() + "}", nullptr, false);
  EXPECT_EQ(shown["changes"].back()["fields"][0]["to"], "2");
  EXPECT_EQ(shown["changes"].front()["to"]["value"], "bmV3");
}

TEST_F(DiffViewTest, ASummary) {
  EXPECT_EQ(View(DiffView::Values::kNo).Summary(),
            "1 added, 3 changed, 1 deleted; 1 of them is encrypted by Kubernetes: only that it "
            "changed can be said");
  to_ = from_;
  EXPECT_EQ(View(DiffView::Values::kNo).Summary(), "0 added, 0 changed, 0 deleted");
}

TEST_F(DiffViewTest, MadeAnewWithTheSameValue) {
  from_.keys.clear();
  to_.keys.clear();
  from_.keys["a"] = Key("v", 2, 2, 1);
  to_.keys["a"] = Key("v", 5, 5, 1);
  EXPECT_NE(
      View(DiffView::Values::kNo).ToTable().ToText().find("bytes, made anew, the same value\n"),
      std::string::npos);
}

}  // namespace
}  // namespace jetd::cli
