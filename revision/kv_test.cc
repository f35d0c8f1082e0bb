// SPDX-License-Identifier: Apache-2.0
#include "revision/kv.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/etcdpb/kv.pb.h"

namespace jetd::revision {
namespace {

std::string Generated(const KvBlock::Fields& f) {
  mvccpb::KeyValue kv;
  kv.set_key(std::string(f.key));
  kv.set_mod_revision(f.mod.main.value());
  if (!f.tombstone) {
    kv.set_value(std::string(f.value));
    kv.set_create_revision(f.create_revision.value());
    kv.set_version(f.version);
    kv.set_lease(f.lease.value());
  }
  return kv.SerializeAsString();
}

// Cold and hot again.
void ExpectSameWhenCold(const KvBlock& hot) {
  const ValueLocation location{
      .segment = 4, .offset = 5, .size = static_cast<uint32_t>(hot.encoded().size()), .crc = 6};
  const KvRef cold = KvBlock::MakeCold(hot, location);
  ASSERT_TRUE(cold->cold());
  ASSERT_EQ(cold->location(), location);
  ASSERT_EQ(cold->key(), hot.key());
  ASSERT_EQ(cold->mod(), hot.mod());
  ASSERT_EQ(cold->create_revision(), hot.create_revision());
  ASSERT_EQ(cold->version(), hot.version());
  ASSERT_EQ(cold->lease(), hot.lease());
  ASSERT_EQ(cold->seq(), hot.seq());
  ASSERT_FALSE(cold->tombstone());
  ASSERT_EQ(cold->encoded_key(), hot.encoded_key());
  ASSERT_EQ(cold->encoded_before_value(), hot.encoded_before_value());
  ASSERT_EQ(cold->encoded_after_value(), hot.encoded_after_value());
  ASSERT_EQ(cold->encoded_size(), hot.encoded_size());
  ASSERT_EQ(cold->hot_footprint(), hot.footprint());
  // A length and its tag at least are saved.
  ASSERT_LE(cold->footprint() + hot.value().size() + 2, hot.footprint() + sizeof(location));

  char* encoding = nullptr;
  const KvRef again = KvBlock::MakeHot(*cold, &encoding);
  std::memcpy(encoding, hot.encoded().data(), hot.encoded().size());
  ASSERT_FALSE(again->cold());
  ASSERT_EQ(again->encoded(), hot.encoded());
  ASSERT_EQ(again->value(), hot.value());
  ASSERT_EQ(again->lease(), hot.lease());
  ASSERT_EQ(again->seq(), hot.seq());
}

TEST(KvBlockTest, GoesThroughBytes) {
  const KvRef hot = KvBlock::Make({.key = "key",
                                   .value = "value",
                                   .mod = {Revision(7), 2},
                                   .create_revision = Revision(3),
                                   .version = 4,
                                   .lease = LeaseId(5),
                                   .seq = StreamSeq(6)});
  const KvRef cold = KvBlock::MakeCold(
      *hot, {.segment = 1, .offset = 2, .size = static_cast<uint32_t>(hot->encoded().size())});
  const KvRef deleted = KvBlock::Make(
      {.key = "key", .mod = {Revision(8), 0}, .seq = StreamSeq(9), .tombstone = true});
  std::string bytes;
  for (const KvRef& kv : {hot, cold, deleted}) kv->AppendTo(&bytes);
  std::string_view rest = bytes;
  const KvRef first = KvBlock::FromBytes(&rest);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->encoded(), hot->encoded());
  EXPECT_EQ(first->mod(), hot->mod());
  EXPECT_EQ(first->seq(), hot->seq());
  const KvRef second = KvBlock::FromBytes(&rest);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->location(), cold->location());
  EXPECT_EQ(second->key(), "key");
  EXPECT_EQ(second->lease(), LeaseId(5));
  const KvRef third = KvBlock::FromBytes(&rest);
  ASSERT_TRUE(third);
  EXPECT_TRUE(third->tombstone());
  EXPECT_EQ(third->encoded(), deleted->encoded());
  EXPECT_TRUE(rest.empty());
  EXPECT_FALSE(KvBlock::FromBytes(&rest));
  for (size_t size = 0; size < 32 + hot->encoded().size(); ++size) {
    std::string_view cut(bytes.data(), size);
    EXPECT_FALSE(KvBlock::FromBytes(&cut)) << size;
  }
}

TEST(KvBlockDeathTest, AColdVersionHasNoValue) {
  const KvRef hot = KvBlock::Make({.key = "a", .value = "b", .mod = {Revision(2), 0}});
  const KvRef cold =
      KvBlock::MakeCold(*hot, {.segment = 1, .size = static_cast<uint32_t>(hot->encoded().size())});
  EXPECT_DEATH((void)cold->value(), "the value of a cold version");
  EXPECT_DEATH((void)cold->encoded(), "the value of a cold version");
  EXPECT_DEATH((void)hot->location(), "the location of a hot version");
}

// Every length and number at which a varint grows, each with each other.
TEST(KvBlockTest, EncodesAsProtobufDoes) {
  const std::vector<size_t> sizes = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152};
  const std::vector<int64_t> numbers = {0, 1, 127, 128, 1LL << 35, INT64_MAX, -1, INT64_MIN};
  for (const size_t key_size : sizes) {
    for (const size_t value_size : sizes) {
      if (key_size > 20000 && value_size > 20000) continue;
      const std::string key(key_size, 'k');
      const std::string value(value_size, '\xff');
      for (size_t n = 0; n < numbers.size() * 4; ++n) {
        const auto number = [&](size_t i) {
          return i == n / numbers.size() ? numbers[n % numbers.size()] : 300;
        };
        KvBlock::Fields f{.key = key,
                          .value = value,
                          .mod = {Revision(number(0)), 3},
                          .create_revision = Revision(number(1)),
                          .version = number(2),
                          .lease = LeaseId(number(3)),
                          .seq = StreamSeq(9)};
        const KvRef kv = KvBlock::Make(f);
        ASSERT_EQ(kv->encoded(), Generated(f)) << key_size << ' ' << value_size << ' ' << n;
        ASSERT_EQ(kv->key(), key);
        ASSERT_EQ(kv->value(), value);
        ASSERT_EQ(kv->mod(), (ModRevision{Revision(number(0)), 3}));
        ASSERT_EQ(kv->create_revision(), Revision(number(1)));
        ASSERT_EQ(kv->version(), number(2));
        ASSERT_EQ(kv->lease(), LeaseId(number(3)));
        ASSERT_EQ(kv->seq(), StreamSeq(9));
        if (value_size > 0) ExpectSameWhenCold(*kv);
        f.value = {};
        ASSERT_EQ(std::string(kv->encoded_before_value()) + std::string(kv->encoded_after_value()),
                  Generated(f));
        if (key_size + value_size > 40000) break;
      }
    }
  }
}

TEST(KvBlockTest, ATombstoneHasItsKeyAndRevisionOnly) {
  const KvBlock::Fields f{.key = "a",
                          .value = "not kept",
                          .mod = {Revision(7), 2},
                          .create_revision = Revision(3),
                          .version = 4,
                          .lease = LeaseId(5),
                          .seq = StreamSeq(6),
                          .tombstone = true};
  const KvRef kv = KvBlock::Make(f);
  EXPECT_TRUE(kv->tombstone());
  EXPECT_EQ(kv->encoded(), Generated(f));
  EXPECT_EQ(kv->encoded_key(), std::string("\x0a\x01"
                                           "a"));
  EXPECT_EQ(kv->value(), "");
  EXPECT_EQ(kv->create_revision(), Revision(0));
  EXPECT_EQ(kv->version(), 0);
  EXPECT_EQ(kv->lease(), LeaseId(0));
  EXPECT_EQ(kv->encoded_before_value(), kv->encoded());
  EXPECT_EQ(kv->encoded_after_value(), "");
}

// A leak or an early end of a block is what AddressSanitizer would show here.
TEST(KvRefTest, CountsReferences) {
  KvRef a = KvBlock::Make({.key = "a", .value = "1", .mod = {Revision(2), 0}});
  KvRef b = a;
  KvRef c = std::move(a);
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): moved-from is null, as kv.h says
  EXPECT_EQ(b.get(), c.get());
  b = KvRef();
  EXPECT_EQ(c->value(), "1");
  KvRef d = KvRef::Share(c.get());
  c = KvRef();
  EXPECT_EQ(d->key(), "a");
  const KvBlock* given_away = d.release();
  EXPECT_FALSE(d);
  given_away->Unref();
  EXPECT_FALSE(KvRef::Share(nullptr));
}

// What is taken can be read to its ends, whatever was changed.
TEST(KvBlockTest, DamagedBytesAreRefusedOrRead) {
  const KvRef hot = KvBlock::Make({.key = "key",
                                   .value = std::string(200, 'v'),
                                   .mod = {Revision(300), 2},
                                   .create_revision = Revision(7),
                                   .version = 130,
                                   .lease = LeaseId(-1),
                                   .seq = StreamSeq(9)});
  const KvRef gone = KvBlock::Make({.key = "key", .mod = {Revision(300), 2}, .tombstone = true});
  const KvRef cold = KvBlock::MakeCold(
      *hot, {.segment = 1, .offset = 24, .size = static_cast<uint32_t>(hot->encoded_size())});
  for (const KvRef& kv : {hot, gone, cold}) {
    std::string bytes;
    kv->AppendTo(&bytes);
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
        std::string_view rest = changed;
        const KvRef read = KvBlock::FromBytes(&rest);
        if (!read) continue;
        EXPECT_LE(read->key().size(), 200U);
        EXPECT_GE(read->mod_revision(), Revision(0));
        (void)read->create_revision();
        (void)read->version();
        (void)read->lease();
        EXPECT_LE(read->encoded_after_value().size(), bytes.size());
        if (!read->cold()) {
          EXPECT_LE(read->value().size(), bytes.size());
        }
      }
    }
  }
}

}  // namespace
}  // namespace jetd::revision
