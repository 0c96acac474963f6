#include "rpc/entitlement_convert.h"

#include <algorithm>
#include <optional>
#include <string>

#include "kezek/names.h"
#include "kezek/reason_text.h"
#include "rpc/caller.h"

namespace kezek::rpc {
namespace {

// It or one above it.
bool IsClosed(const Directory& directory, const Account& account) {
  if (account.closed) return true;
  const auto parent = directory.accounts.find(account.parent);
  return parent != directory.accounts.end() && IsClosed(directory, parent->second);
}

// What is closed has no guarantee.
Share ShareOf(const Directory& directory, const Account& account, const std::string& type) {
  const auto found = account.settings.shares.find(type);
  Share share = found == account.settings.shares.end() ? Share{} : found->second;
  if (IsClosed(directory, account)) share.guarantee_milli = 0;
  return share;
}

// The most it may have: none, if nothing bounds it.
std::optional<MilliGpus> CapOf(const Account& account, const Share& share) {
  std::optional<MilliGpus> cap = account.settings.account_limits.running_milli;
  if (!share.borrow_max_milli) return cap;
  const MilliGpus borrowing = share.guarantee_milli + *share.borrow_max_milli;
  return cap ? std::min(*cap, borrowing) : borrowing;
}

std::string UpperCase(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::string SentenceOf(EntitledBy by, const std::string& limit) {
  switch (by) {
    case EntitledBy::kShare:
      return "Its weight gives it this much.";
    case EntitledBy::kGuarantee:
      return "Its guarantee: its weight alone would give it less.";
    case EntitledBy::kDemand:
      return "It asks for no more.";
    case EntitledBy::kBorrowMax:
      return "It may borrow no more than " + limit + " GPUs above its guarantee.";
    case EntitledBy::kRunningLimit:
      return "It may run no more than " + limit + " GPUs.";
    case EntitledBy::kScaled:
      return "Guarantees in demand exceed the GPUs in service: all are cut in proportion.";
  }
  return "";
}

v1::Reason BoundOf(EntitledBy by, const Account& account, const Share& share) {
  v1::Reason reason;
  reason.set_code(UpperCase(NameOf(by)));
  std::string limit;
  if (by == EntitledBy::kBorrowMax) limit = GpuText(share.borrow_max_milli.value_or(0));
  if (by == EntitledBy::kRunningLimit) {
    limit = GpuText(account.settings.account_limits.running_milli.value_or(0));
  }
  if (!limit.empty()) (*reason.mutable_fields())["limit"] = limit;
  reason.set_sentence(SentenceOf(by, limit));
  return reason;
}

}  // namespace

v1::EntitlementRow ToEntitlementRow(const View& view, AccountId id, const std::string& type) {
  const Account& account = view.directory->accounts.at(id);
  const Share share = ShareOf(*view.directory, account, type);
  v1::EntitlementRow row;
  row.set_account(PathOf(*view.directory, id));
  row.set_gpu_type(type);
  row.set_weight_milli(share.weight_milli);
  row.set_guarantee_milli_gpus(share.guarantee_milli);
  if (const auto cap = CapOf(account, share)) row.set_cap_milli_gpus(*cap);
  const auto found = view.standings.find({id, type});
  if (found == view.standings.end()) return row;
  const Standing& standing = found->second;
  row.set_guarantee_now_milli_gpus(standing.guarantee_now_milli);
  row.set_demand_milli_gpus(standing.demand_milli);
  row.set_entitlement_milli_gpus(standing.entitled_milli);
  row.set_entitlement_gpus(standing.entitled_gpus);
  row.set_running_milli_gpus(standing.allocated_milli);
  row.set_guaranteed_milli_gpus(standing.Inside());
  row.set_borrowed_milli_gpus(standing.Borrowed());
  row.set_lent_milli_gpus(standing.lent_milli);
  row.set_kept_idle_milli_gpus(standing.idle_milli);
  row.set_owed_milli_gpus(standing.Owed());
  row.set_apart_milli_gpus(standing.apart_milli);
  *row.mutable_bound_by() = BoundOf(standing.entitled_by, account, share);
  return row;
}

}  // namespace kezek::rpc
