// SPDX-License-Identifier: Apache-2.0
#include "replication/kube_object.h"

#include <string>

#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::replication {
namespace {

std::string Parsed(std::string_view key) {
  const auto object = ParseKubeKey(key);
  return object.has_value() ? Cat(object->resource, " ", object->space, " ", object->name) : "";
}

TEST(KubeObjectTest, Keys) {
  EXPECT_EQ(Parsed("/registry/pods/default/web"), "pods default web");
  EXPECT_EQ(Parsed("/registry/namespaces/default"), "namespaces  default");
  EXPECT_EQ(Parsed("/registry/minions/node-1"), "nodes  node-1");
  EXPECT_EQ(Parsed("/registry/services/specs/default/web"), "services default web");
  EXPECT_EQ(Parsed("/registry/services/endpoints/default/web"), "endpoints default web");
  EXPECT_EQ(Parsed("/registry/example.com/widgets/default/w"), "widgets.example.com default w");
  EXPECT_EQ(Parsed("/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.com"),
            "customresourcedefinitions.apiextensions.k8s.io  widgets.example.com");
  EXPECT_EQ(Parsed("/registry/clusterroles/system:node"), "clusterroles  system:node");
  EXPECT_EQ(Parsed("/registry/ranges/serviceips"), "ranges  serviceips");
  for (const char* other : {"", "/a/b", "/registry/", "/registry/health", "/registry/pods//web",
                            "/registry/pods/a/b/c", "/registry/example.com/widgets"}) {
    EXPECT_EQ(Parsed(other), "") << other;
  }
}

TEST(KubeObjectTest, Encodings) {
  EXPECT_EQ(EncodingOf("k8s:enc:aescbc:v1:key1:\x01\x02"), Encoding::kEncrypted);
  EXPECT_EQ(EncodingOf(std::string_view("k8s\0\x0a", 5)), Encoding::kProtobuf);
  EXPECT_EQ(EncodingOf("k8s"), Encoding::kOther);
  EXPECT_EQ(EncodingOf(R"({"kind":"Widget"})"), Encoding::kJson);
  EXPECT_EQ(EncodingOf(""), Encoding::kOther);
}

std::string Changes(std::string_view from, std::string_view to) {
  std::string text;
  for (const FieldChange& change : FieldChanges(from, to)) {
    CatTo(text, change.path, ": ", change.from, " -> ", change.to, "\n");
  }
  return text;
}

TEST(KubeObjectTest, Fields) {
  EXPECT_EQ(Changes(R"({"spec":{"replicas":1,"a":[1,2]},"gone":"x"})",
                    R"({"spec":{"replicas":3,"a":[1,2]},"new":{"b":true}})"),
            "/gone: \"x\" -> \n/new/b:  -> true\n/spec/replicas: 1 -> 3\n");
  EXPECT_EQ(Changes(R"({"a":1})", R"({"a":1})"), "");
  EXPECT_EQ(Changes("{", R"({"a":1})"), "");
  EXPECT_EQ(Changes("[1]", "[2]"), "");
  // Nested as deep as a value is long.
  const std::string deep = R"({"a":)" + std::string(500'000, '[') + std::string(500'000, ']') + "}";
  EXPECT_EQ(Changes(deep, R"({"a":1})"), "");
}

// A field of a protobuf message that is bytes, a text or a message.
std::string Field(int number, const std::string& value) {
  return Cat(std::string(1, static_cast<char>(number << 3 | 2)),
             std::string(1, static_cast<char>(value.size())), value);
}

TEST(KubeObjectTest, BeingDeleted) {
  EXPECT_EQ(IsBeingDeleted(R"({"kind":"W","metadata":{"name":"w"}})"), false);
  EXPECT_EQ(IsBeingDeleted(R"({"metadata":{"name":"w","deletionTimestamp":null}})"), false);
  EXPECT_EQ(IsBeingDeleted(R"({"metadata":{"deletionTimestamp":"2026-11-20T15:10:00Z"}})"), true);
  // Not that of something else in it.
  EXPECT_EQ(IsBeingDeleted(R"({"metadata":{},"spec":{"deletionTimestamp":"x"}})"), false);
  const std::string deep = R"({"a":)" + std::string(500'000, '[') + std::string(500'000, ']') + "}";
  for (const std::string& other : {std::string("k8s:enc:aescbc:v1:key1:x"), std::string("ns"),
                                   std::string("{"), std::string(R"({"spec":{}})"), deep}) {
    EXPECT_EQ(IsBeingDeleted(other), std::nullopt) << other.substr(0, 20);
  }
  const std::string type = Field(1, Field(1, "v1") + Field(2, "Namespace"));
  const auto stored = [&type](const std::string& meta, const std::string& encoding = "") {
    return std::string("k8s\0", 4) + type +
           Field(2, Field(1, meta) + Field(3, Field(1, "Active"))) + Field(3, encoding) +
           Field(4, "");
  };
  const std::string meta = Field(1, "web") + Field(5, "uid") + Field(8, "\x08\x01");
  EXPECT_EQ(IsBeingDeleted(stored(meta)), false);
  EXPECT_EQ(IsBeingDeleted(stored(meta + Field(9, "\x08\x02") + Field(14, "f"))), true);
  EXPECT_EQ(IsBeingDeleted(stored(meta, "gzip")), std::nullopt);
  EXPECT_EQ(IsBeingDeleted(stored("")), std::nullopt);
  EXPECT_EQ(IsBeingDeleted(stored(meta).substr(0, 40)), std::nullopt);
}

TEST(KubeObjectTest, Hash) {
  EXPECT_EQ(HashText("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace jetd::replication
