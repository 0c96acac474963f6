// The account tree: one immutable value made from the accounts of a Directory, with dense indices
// for everything that is computed per account.
//
// Indices are in pre-order, children ascending by id: parents come before their children, and what
// is below an account is the contiguous range [index, subtree_end(index)).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/account.h"
#include "kezek/check.h"
#include "kezek/ids.h"
#include "kezek/node.h"
#include "kezek/resources.h"
#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek::quota {

using AccountIndex = std::int32_t;
inline constexpr AccountIndex kNoAccount = -1;
inline constexpr AccountIndex kRootIndex = 0;

// Largest figures settings may hold; they keep every product in its integer.
inline constexpr std::int64_t kMaxWeightMilli = 1'000'000'000;
inline constexpr MilliGpus kMaxMilliGpus = 1'000'000'000;
inline constexpr std::int32_t kMaxDepth = 32;

// What settings are checked against.
struct TreeRules {
  std::map<std::string, MilliGpus> configured_milli;  // the configured machine, by GPU type
  std::map<std::string, ClassRules> classes;
  std::map<std::string, Node> nodes = {};    // configured ones, by name
  std::vector<std::string> classifications;  // lowest first; empty: there are none
};

// Something that settings may not say. Two are about the same if their subject, field and reason
// are, and the class or node they name; `excess` tells which of them is worse.
struct SettingProblem {
  Error error;
  AccountIndex subject = kNoAccount;  // whose settings allow too little, or are wrong themselves
  std::int64_t excess = 0;            // by how much more than allowed; 0: no matter of more or less
};

class AccountTree {
 public:
  // An empty tree; use Build.
  AccountTree() = default;

  // Checks the structure: one root (kRootAccount, without a parent), every parent known, no cycle,
  // depth at most kMaxDepth, names that match [a-z0-9][a-z0-9._-]* with at most 64 characters and
  // differ among siblings, kinds [a-z][a-z0-9_-]*, nothing below an account of kind "project".
  // INVALID_ARGUMENT; the field is one of the API's AccountChange, the value `account` a path or
  // name.
  static Result<AccountTree> Build(const std::map<AccountId, Account>& accounts);

  // Checks the settings: shares (weight 1…kMaxWeightMilli; guarantee, borrow_max, lend_max
  // 0…kMaxMilliGpus; open children's guarantees fit in the parent's, the root's in the shared
  // nodes; known GPU types), dedicated nodes known, of no lane, of one account or some on one path,
  // limits not negative, classes known and among the parent's, classification known and not above
  // the parent's. A default class is one that the account allows. INVALID_ARGUMENT is of the first
  // account (in index order), e.g. "settings.shares[h200].guarantee_milli_gpus" with the account
  // "universities/kaznu".
  Result<void> Validate(const TreeRules& rules) const;
  // All that Validate could say of what was fine once and may stand no more, since machine, classes
  // and classifications are configuration; of the rest, the first of each kind for an account.
  std::vector<SettingProblem> Problems(const TreeRules& rules) const;

  std::int32_t size() const { return static_cast<std::int32_t>(places_.size()); }
  // kNoAccount: not in the tree.
  AccountIndex IndexOf(AccountId id) const;
  // All of them, sorted by id.
  std::span<const std::pair<AccountId, AccountIndex>> by_id() const { return by_id_; }
  // By path, "universities/kaznu/nlp"; "" is the root. kNoAccount: none.
  AccountIndex Find(std::string_view path) const;

  const Account& account(AccountIndex i) const { return node(i).account; }
  AccountId id(AccountIndex i) const { return place(i).id; }
  AccountIndex parent(AccountIndex i) const { return place(i).parent; }  // root: kNoAccount
  std::span<const AccountIndex> children(AccountIndex i) const {
    return std::span(children_).subspan(place(i).first_child, place(i).children);
  }
  std::int32_t depth(AccountIndex i) const { return place(i).depth; }  // root: 0
  AccountIndex subtree_end(AccountIndex i) const { return place(i).subtree_end; }
  const std::string& path(AccountIndex i) const { return node(i).path; }

  // True for an account and itself.
  bool IsAncestor(AccountIndex above, AccountIndex below) const {
    return above <= below && below < subtree_end(above);
  }
  AccountIndex LowestCommonAncestor(AccountIndex a, AccountIndex b) const;
  // The account of the path from `below` up that lies just under `above`.
  AccountIndex ChildToward(AccountIndex above, AccountIndex below) const;
  // Jobs belong to childless accounts of kind "project".
  bool HoldsJobs(AccountIndex i) const;
  // Itself or an account above it is closed.
  bool IsClosed(AccountIndex i) const { return place(i).closed; }

  // As it is set. A type without an entry has Share{}.
  const Share& share(AccountIndex i, const std::string& gpu_type) const;
  // What is closed has no guarantee, whatever it was set to: others may be given it.
  MilliGpus Guarantee(AccountIndex i, const std::string& gpu_type) const;
  // Of all of them, by index.
  std::vector<MilliGpus> Guarantees(const std::string& gpu_type) const;
  // guarantee + borrow_max; none: no cap of its own.
  std::optional<MilliGpus> ShareCap(AccountIndex i, const std::string& gpu_type) const;

  // Inherited settings: the account's own, else the nearest above that has one, else "".
  const std::string& SlurmAccount(AccountIndex i) const;
  const std::string& SlurmQos(AccountIndex i) const;
  // Empty: every class is allowed.
  const std::vector<std::string>& Classes(AccountIndex i) const;
  // "": not restricted.
  const std::string& HighestClassification(AccountIndex i) const;
  // "": the configuration's.
  const std::string& DefaultClass(AccountIndex i) const;
  // The nearest that is set, else the class's own default.
  DurationMs DefaultTimeLimit(AccountIndex i, const ClassRules& job_class) const;

 private:
  struct Node {
    Account account;
    std::string path;
  };
  // What each tick asks of all accounts: close together, unlike their settings.
  struct Place {
    AccountId id;
    AccountIndex parent = kNoAccount;
    std::int32_t depth = 0;
    AccountIndex subtree_end = 0;
    std::uint32_t first_child = 0;  // in `children_`
    std::uint32_t children = 0;
    bool closed = false;  // it or one above it
  };
  const Node& node(AccountIndex i) const;
  const Place& place(AccountIndex i) const {
    KEZEK_CHECK(i >= 0 && i < size(), "no account has this index");
    return places_[static_cast<std::size_t>(i)];
  }
  void PlaceChildren();
  Result<void> ValidateShares(AccountIndex i, const TreeRules& rules) const;
  void AddGuarantees(AccountIndex i, const std::map<std::string, MilliGpus>& shared_milli,
                     std::vector<SettingProblem>* problems) const;
  void AddTargets(AccountIndex i, const TreeRules& rules,
                  std::vector<SettingProblem>* problems) const;
  void AddNodes(AccountIndex i, const TreeRules& rules, std::map<std::string, AccountIndex>& lowest,
                std::vector<SettingProblem>* problems) const;
  void AddClasses(AccountIndex i, const TreeRules& rules,
                  std::vector<SettingProblem>* problems) const;
  void AddClassification(AccountIndex i, const TreeRules& rules,
                         std::vector<SettingProblem>* problems) const;

  std::vector<Node> nodes_;
  std::vector<Place> places_;
  std::vector<AccountIndex> children_;                     // those of each account in a row
  std::vector<std::pair<AccountId, AccountIndex>> by_id_;  // sorted
  // Of ids from 0 up to some; ids come one after the other, so that is nearly all of them.
  std::vector<AccountIndex> of_low_ids_;
  std::map<std::string, AccountIndex, std::less<>> by_path_;
};

// Whether all accounts that there were are there and have the parents that they had. There may be
// new ones: nobody has run or asked for anything there yet, so sums over the tree stay as they are.
bool SameParents(const std::map<AccountId, Account>& before,
                 const std::map<AccountId, Account>& after);
// Whether the accounts from this one up to the root are the same.
bool SamePath(const AccountTree& before, const AccountTree& after, AccountId account);

}  // namespace kezek::quota
