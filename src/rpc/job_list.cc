#include "rpc/job_list.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "rpc/job_convert.h"
#include "rpc/match.h"
#include "rpc/paging.h"

namespace kezek::rpc {
namespace {

constexpr std::int32_t kBatch = 1000;

// Where a row stands in an order: its key, then its id.
struct Position {
  std::int64_t number = 0;
  std::string text;
  JobRef ref;
  auto operator<=>(const Position&) const = default;
};

Position PositionOf(const ListPlan& plan, const JobRecord& record, const Desk& desk) {
  Position position{.ref = record.job.ref};
  const Attempt* last = record.attempts.empty() ? nullptr : &record.attempts.back();
  switch (plan.key) {
    case ListKey::kId:
      break;
    case ListKey::kStarted:
      position.number = last == nullptr ? 0 : last->start_ms;
      break;
    case ListKey::kEnded:
      position.number = record.job.ended_ms;
      break;
    case ListKey::kGpus:
      position.number = last != nullptr && last->counted_milli > 0 ? last->counted_milli
                                                                   : desk.Counted(*record.job.spec);
      break;
    case ListKey::kUser: {
      const auto& users = plan.caller->directory().users;
      const auto found = users.find(record.job.user);
      if (found != users.end()) position.text = found->second.name;
      break;
    }
    case ListKey::kProject:
      position.text = PathOf(plan.caller->directory(), record.job.spec->project);
      break;
    case ListKey::kState:
      position.number = static_cast<std::int64_t>(StateOf(record));
      break;
  }
  return position;
}

std::string WritePosition(const Position& position) {
  return std::to_string(position.number) + " " + std::to_string(position.ref.id.value) + " " +
         std::to_string(position.ref.element) + " " + position.text;
}

std::optional<Position> ReadPosition(const std::string& text) {
  Position position;
  const char* at = text.data();
  const char* end = text.data() + text.size();
  const auto number = [&](auto* value) {
    const auto [next, error] = std::from_chars(at, end, *value);
    if (error != std::errc() || next == end || *next != ' ') return false;
    at = next + 1;
    return true;
  };
  if (!number(&position.number) || !number(&position.ref.id.value) ||
      !number(&position.ref.element)) {
    return std::nullopt;
  }
  position.text.assign(at, end);
  return position;
}

bool RanInSpan(const ListPlan& plan, const Attempt& attempt) {
  return attempt.start_ms > 0 && attempt.start_ms < plan.active_until_ms &&
         (attempt.state != AttemptState::kEnded || attempt.end_ms > plan.active_since_ms);
}

bool OnNodes(const ListPlan& plan, const JobRecord& record) {
  return !record.attempts.empty() &&
         std::any_of(record.attempts.back().placement.begin(),
                     record.attempts.back().placement.end(),
                     [&](const NodeGrant& grant) { return plan.nodes.contains(grant.node); });
}

// Conditions on runs; of an array they hold if they hold for one element.
Result<bool> RunsMatch(const ListPlan& plan, const JobRecord& record, Reader& reader) {
  if (plan.nodes.empty() && plan.active_until_ms == 0) return true;
  if (IsArrayRow(record.job)) {
    JobQuery query;
    query.refs = {record.job.ref};
    query.limit = 10'001;
    query.all_attempts = plan.query.all_attempts;
    const auto elements = reader.ListJobs(query);
    if (!elements) return elements.error();
    for (const auto& element : *elements) {
      if (element.job.ref.element == kNoElement) continue;
      const auto matches = RunsMatch(plan, element, reader);
      if (!matches || *matches) return matches;
    }
    return false;
  }
  if (!plan.nodes.empty() && !OnNodes(plan, record)) return false;
  if (plan.active_until_ms == 0) return true;
  const auto in_span = [&](const Attempt& attempt) { return RanInSpan(plan, attempt); };
  return std::any_of(record.attempts.begin(), record.attempts.end(), in_span);
}

bool Named(const ListPlan& plan, const JobRef& ref) {
  return std::find(plan.query.refs.begin(), plan.query.refs.end(), ref) != plan.query.refs.end();
}

bool InScope(const ListPlan& plan, const Job& job) {
  if (plan.scope == v1::JOB_SCOPE_MINE) return job.user == plan.caller->user;
  return plan.scope != v1::JOB_SCOPE_PROJECTS || plan.caller->ReachesAccount(job.spec->project);
}

Result<std::vector<JobRecord>> Matching(const ListPlan& plan, std::vector<JobRecord> rows,
                                        Reader& reader) {
  std::vector<JobRecord> matching;
  for (auto& row : rows) {
    const auto matches = Matches(plan, row, reader);
    if (!matches) return matches.error();
    if (*matches) matching.push_back(std::move(row));
  }
  return matching;
}

// In order of ids, which the store has.
Result<ListedPage> PageById(const ListPlan& plan, std::size_t size,
                            const std::optional<Position>& after, const TokenSealer& sealer,
                            Reader& reader) {
  ListedPage page;
  JobQuery query = plan.query;
  // Most pages need no more rows than they show, and one to know whether another follows.
  query.limit = static_cast<std::int32_t>(size) + 1;
  if (after) query.after = after->ref;
  for (std::int64_t scanned = 0;;) {
    const auto rows = reader.ListJobs(query);
    if (!rows) return rows.error();
    for (const auto& row : *rows) {
      if (page.rows.size() == size || scanned == kScanMax) {
        page.next_token = sealer.Seal(WritePosition({.ref = *query.after}), plan.request_hash);
        return page;
      }
      const auto matches = Matches(plan, row, reader);
      if (!matches) return matches.error();
      if (*matches) page.rows.push_back(row);
      query.after = row.job.ref;
      ++scanned;
    }
    if (rows->size() < static_cast<std::size_t>(query.limit)) return page;
    query.limit = kBatch;
  }
}

// In an order the store does not have: all that match, sorted here.
Result<ListedPage> PageByKey(const ListPlan& plan, std::size_t size,
                             const std::optional<Position>& after, const TokenSealer& sealer,
                             Reader& reader, const Desk& desk) {
  JobQuery query = plan.query;
  query.limit = static_cast<std::int32_t>(kScanMax) + 1;
  auto rows = reader.ListJobs(query);
  if (!rows) return rows.error();
  if (rows->size() > static_cast<std::size_t>(kScanMax)) {
    return FieldProblem(Code::kInvalidArgument,
                        {"order_by",
                         "ORDER_INVALID",
                         "more than " + std::to_string(kScanMax) +
                             " jobs are too many for this order: narrow the filter, or order by id",
                         {}});
  }
  auto matching = Matching(plan, std::move(*rows), reader);
  if (!matching) return matching.error();
  std::vector<std::pair<Position, JobRecord>> ordered;
  for (auto& row : *matching) {
    Position position = PositionOf(plan, row, desk);
    const bool behind = !after || (plan.descending ? position < *after : *after < position);
    if (behind) ordered.emplace_back(std::move(position), std::move(row));
  }
  std::sort(ordered.begin(), ordered.end(), [&](const auto& a, const auto& b) {
    return plan.descending ? b.first < a.first : a.first < b.first;
  });
  ListedPage page;
  for (std::size_t i = 0; i < ordered.size() && i < size; ++i) {
    page.rows.push_back(std::move(ordered[i].second));
  }
  if (ordered.size() > size) {
    page.next_token = sealer.Seal(WritePosition(ordered[size - 1].first), plan.request_hash);
  }
  return page;
}

}  // namespace

Result<bool> Matches(const ListPlan& plan, const JobRecord& record, Reader& reader) {
  const Job& job = record.job;
  const JobSpec& spec = *job.spec;
  if (job.ref.element != kNoElement && !plan.expand_arrays && !Named(plan, job.ref)) return false;
  if (!plan.states.contains(StateOf(record)) || !InScope(plan, job)) return false;
  if (!plan.caller->Reaches(job.user, spec.project)) {
    if (!plan.redacted_rows) return false;
    return RunsMatch(plan, record, reader);
  }
  if (plan.by_users && !plan.users.contains(job.user)) return false;
  if (!plan.projects.empty() && !plan.projects.contains(spec.project)) return false;
  if (!plan.names.empty() &&
      std::none_of(plan.names.begin(), plan.names.end(), [&](const std::string& pattern) {
        return MatchesPattern(pattern, spec.name);
      })) {
    return false;
  }
  for (const auto& [key, value] : plan.labels) {
    const auto label = spec.labels.find(key);
    if (label == spec.labels.end() || (!value.empty() && label->second != value)) return false;
  }
  if (!plan.reasons.empty() && (job.state != JobState::kQueued ||
                                !plan.reasons.contains(ReasonOf(*plan.caller->view, job).code))) {
    return false;
  }
  return RunsMatch(plan, record, reader);
}

Result<ListedPage> ReadPageOfJobs(const ListPlan& plan, const v1::PageRequest& request,
                                  const TokenSealer& sealer, Reader& reader, const Desk& desk) {
  const auto size = ReadPageSize(request);
  if (!size) return size.error();
  std::optional<Position> after;
  if (!request.token().empty()) {
    const auto content = sealer.Open(request.token(), plan.request_hash);
    if (!content) return PageTokenInvalid();
    after = ReadPosition(*content);
    if (!after) return PageTokenInvalid();
  }
  // Nobody of that name: nothing can match.
  if (plan.by_users && plan.users.empty()) return ListedPage{};
  const auto rows = static_cast<std::size_t>(*size);
  return plan.key == ListKey::kId ? PageById(plan, rows, after, sealer, reader)
                                  : PageByKey(plan, rows, after, sealer, reader, desk);
}

}  // namespace kezek::rpc
