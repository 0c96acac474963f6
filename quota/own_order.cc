#include "quota/own_order.h"

#include <algorithm>
#include <utility>

namespace kezek::quota {

std::size_t OwnOrder::AddUser(const UsageValue& usage) {
  usage_.push_back(usage);
  return usage_.size() - 1;
}

void OwnOrder::AddGroup(const WaitingJobs::GroupKey& key, std::size_t user,
                        std::shared_ptr<const WaitingJobs::Rows> rows) {
  size_ += rows->rows.size();
  groups_.push_back({key.scavenger, key.class_rank, user, std::move(rows)});
}

std::vector<WaitingJobs::Row> OwnOrder::InOrder() const {
  std::vector<WaitingJobs::Row> order;
  order.reserve(size_);
  std::vector<UsageValue> usage = usage_;
  bool scavengers = false;
  for (auto begin = groups_.begin(); begin != groups_.end();) {
    const auto end = std::find_if(begin, groups_.end(), [&](const Group& group) {
      return group.scavenger != begin->scavenger || group.class_rank != begin->class_rank;
    });
    if (begin->scavenger && !std::exchange(scavengers, true)) usage = usage_;
    if (begin->user == kAll) {
      ByPlace(begin, end, order);
    } else {
      Fairly(begin, end, usage, order);
    }
    begin = end;
  }
  return order;
}

bool OwnOrder::Has(const JobRef& job) const {
  return std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
    return std::any_of(group.rows->rows.begin(), group.rows->rows.end(),
                       [&](const WaitingJobs::Row& row) { return row.ref == job; });
  });
}

void OwnOrder::ByPlace(At begin, At end, std::vector<WaitingJobs::Row>& order) {
  const auto first = std::ssize(order);
  for (auto group = begin; group != end; ++group) {
    order.insert(order.end(), group->rows->rows.begin(), group->rows->rows.end());
  }
  std::sort(order.begin() + first, order.end(),
            [](const auto& a, const auto& b) { return a.place < b.place; });
}

void OwnOrder::Fairly(At begin, At end, std::vector<UsageValue>& usage,
                      std::vector<WaitingJobs::Row>& order) const {
  struct Next {
    const std::vector<WaitingJobs::Row>* rows = nullptr;
    std::size_t at = 0;
    UsageValue* usage = nullptr;
  };
  std::vector<Next> users;
  for (auto group = begin; group != end; ++group) {
    users.push_back({&group->rows->rows, 0, &usage[group->user]});
  }
  const auto later = [](const Next& a, const Next& b) {
    const auto used = *a.usage <=> *b.usage;
    return used != 0 ? used > 0 : (*b.rows)[b.at].place < (*a.rows)[a.at].place;
  };
  std::make_heap(users.begin(), users.end(), later);
  while (!users.empty()) {
    std::pop_heap(users.begin(), users.end(), later);
    Next& next = users.back();
    const WaitingJobs::Row& row = (*next.rows)[next.at];
    order.push_back(row);
    UsageValue charge = unit_;
    charge *= static_cast<std::uint64_t>(row.expected_charge);
    *next.usage += charge;
    if (++next.at == next.rows->size()) {
      users.pop_back();
    } else {
      std::push_heap(users.begin(), users.end(), later);
    }
  }
}

}  // namespace kezek::quota
