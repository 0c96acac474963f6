// The tree, users and machine that the tests of rpc speak of.
#pragma once

#include <memory>
#include <string>

#include "kezek/desk.h"
#include "rpc/tokens.h"

namespace kezek::rpc {

// universities/kaznu/{nlp,cv} and firms/acme/bot on 8 nodes of 8 H200; a user for every role.
// The token of a user is "kzk_" and the name.
struct World {
  static constexpr AccountId kUniversities{2};
  static constexpr AccountId kKaznu{3};
  static constexpr AccountId kNlp{4};
  static constexpr AccountId kCv{5};
  static constexpr AccountId kFirms{6};
  static constexpr AccountId kAcme{7};
  static constexpr AccountId kBot{8};
  static constexpr UserId kAizhan{11};  // researcher of nlp
  static constexpr UserId kBolat{12};   // lead of nlp
  static constexpr UserId kChief{13};   // admin of kaznu
  static constexpr UserId kDana{14};    // researcher of bot
  static constexpr UserId kRoot{15};    // cluster admin
  static constexpr UserId kAudit{16};
  static constexpr UserId kMeter{17};
  static constexpr UserId kBoth{18};  // researcher of nlp and cv
  static constexpr UserId kBare{19};  // researcher of nlp without a Unix account
  static constexpr TimeMs kExpiresMs = 4'000'000'000'000;

  World();

  std::string Bearer(const std::string& user) const { return "Bearer kzk_" + user; }

  std::shared_ptr<const View> MakeView() const;

  Directory directory;
  std::map<std::string, Node> nodes;

 private:
  void AddAccount(AccountId id, AccountId parent, const std::string& name, const std::string& kind,
                  const std::string& path);
  void AddUser(UserId id, const std::string& name, std::vector<RoleGrant> roles);
};

}  // namespace kezek::rpc
