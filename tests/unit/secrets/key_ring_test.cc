// Goal: what is sealed opens again with the same key and context and with nothing else; the newest
// key seals, older ones still open; a key file that is wrong is refused by name and line, and no
// message holds a key. Method: rings from texts, every byte of a sealed text flipped once.

#include "secrets/key_ring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace kezek::secrets {
namespace {

const std::string kOne(64, 'a');
const std::string kTwo(64, 'B');

std::shared_ptr<const KeyRing> Ring(const std::string& text) {
  auto ring = KeyRing::Parse(text, "keys");
  EXPECT_TRUE(ring) << (ring ? "" : ring.error().message);
  return ring ? *ring : nullptr;
}

std::string Refusal(const std::string& text) {
  const auto ring = KeyRing::Parse(text, "keys");
  return ring ? "taken" : ring.error().message;
}

TEST(KeyRingTest, WhatIsSealedOpensAgain) {
  const auto ring = Ring("k1 " + kOne + "\n");
  for (const std::string& plain : {std::string(), std::string("A=1"), std::string(300'000, 'x')}) {
    const Sealed sealed = ring->Seal(plain, "user 3");
    EXPECT_EQ(sealed.key, "k1");
    EXPECT_EQ(sealed.bytes.size(), plain.size() + 28);
    const auto opened = ring->Open(sealed, "user 3");
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(*opened, plain);
  }
}

TEST(KeyRingTest, NothingShowsAndNothingRepeats) {
  const auto ring = Ring("k1 " + kOne + "\n");
  const Sealed first = ring->Seal("TOKEN=secret", "c");
  const Sealed second = ring->Seal("TOKEN=secret", "c");
  EXPECT_NE(first.bytes, second.bytes) << "a nonce of its own each time";
  EXPECT_EQ(first.bytes.find("secret"), std::string::npos);
}

TEST(KeyRingTest, AnotherContextKeyOrByteDoesNotOpen) {
  const auto ring = Ring("k1 " + kOne + "\n");
  const Sealed sealed = ring->Seal("A=1", "user 3");
  EXPECT_EQ(ring->Open(sealed, "user 4").error().code, Code::kDataLoss);
  EXPECT_EQ(Ring("k1 " + kTwo)->Open(sealed, "user 3").error().code, Code::kDataLoss);
  EXPECT_EQ(Ring("k2 " + kOne)->Open(sealed, "user 3").error().code, Code::kNotFound);
  for (std::size_t i = 0; i < sealed.bytes.size(); ++i) {
    Sealed spoilt = sealed;
    spoilt.bytes[i] = static_cast<char>(spoilt.bytes[i] ^ 1);
    EXPECT_EQ(ring->Open(spoilt, "user 3").error().code, Code::kDataLoss) << i;
  }
  EXPECT_EQ(ring->Open({"k1", sealed.bytes.substr(0, 27)}, "user 3").error().code, Code::kDataLoss);
  EXPECT_EQ(ring->Open({"k1", ""}, "user 3").error().code, Code::kDataLoss);
}

TEST(KeyRingTest, TheLastKeySealsAndAllOpen) {
  const Sealed old = Ring("k1 " + kOne)->Seal("A=1", "c");
  const auto both = Ring("# keys\nk1 " + kOne + "\n\n  k2\t" + kTwo + "\n");
  EXPECT_EQ(both->newest(), "k2");
  EXPECT_EQ(both->Seal("A=1", "c").key, "k2");
  EXPECT_EQ(*both->Open(old, "c"), "A=1");
}

TEST(KeyRingTest, AFingerprintIsTheKeysAndDoesNotTellIt) {
  const auto ring = Ring("k1 " + kOne + "\nk2 " + kTwo + "\n");
  const auto& prints = ring->fingerprints();
  ASSERT_EQ(prints.size(), 2U);
  EXPECT_NE(prints.at("k1"), prints.at("k2"));
  EXPECT_EQ(Ring("other " + kOne)->fingerprints().at("other"), prints.at("k1"));
  EXPECT_EQ(kOne.find(prints.at("k1")), std::string::npos);
}

TEST(KeyRingTest, AWrongFileIsRefusedByLineWithoutShowingKeys) {
  EXPECT_EQ(Refusal(""), "keys holds no key");
  EXPECT_EQ(Refusal("# only a comment\n"), "keys holds no key");
  EXPECT_EQ(Refusal("k1 " + kOne + "\nk1 " + kTwo), "keys line 2: the key's name is there twice");
  const std::string no_key =
      "keys line 1: expected a key's name and 64 hexadecimal digits, such as "
      "`k1 $(openssl rand -hex 32)` gives";
  EXPECT_EQ(Refusal("k1"), no_key);
  EXPECT_EQ(Refusal("k1 " + kOne + "0"), no_key);
  EXPECT_EQ(Refusal("k1 " + kOne.substr(1) + "g"), no_key);
  EXPECT_EQ(Refusal("k1 " + kOne + " more"), no_key);
  EXPECT_EQ(Refusal("k/1 " + kOne), no_key);
  EXPECT_EQ(Refusal(std::string(64, 'n') + " " + kOne), no_key);
}

TEST(KeyRingTest, AFileThatOthersCanReadIsRefused) {
  const auto path = std::filesystem::temp_directory_path() / ("keys-" + std::to_string(getpid()));
  EXPECT_EQ(KeyRing::Load(path.string()).error().code, Code::kNotFound);
  std::ofstream(path) << "k1 " << kOne << "\n";
  chmod(path.c_str(), 0640);
  EXPECT_EQ(KeyRing::Load(path.string()).error().code, Code::kInvalidArgument);
  chmod(path.c_str(), 0400);
  EXPECT_TRUE(KeyRing::Load(path.string()));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace kezek::secrets
