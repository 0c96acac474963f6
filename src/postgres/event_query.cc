#include "postgres/event_query.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "kezek/names.h"
#include "kezek/reason_text.h"
#include "postgres/array_literal.h"

namespace kezek::postgres {
namespace {

// Conditions on events e, joined by "and", and their parameters.
class EventConditions {
 public:
  // The number of a further parameter, as "$3::bigint".
  std::string Param(std::string value, const char* type) {
    sql_.params.push_back(std::move(value));
    return "$" + std::to_string(sql_.params.size()) + "::" + type;
  }
  void Add(const std::string& condition) {
    sql_.text += (sql_.text.empty() ? " where " : " and ") + condition;
  }
  Sql Finish(const std::string& front, const std::string& back) {
    return {front + sql_.text + back, std::move(sql_.params)};
  }

 private:
  Sql sql_;
};

std::string NumbersOfAccounts(const std::vector<AccountId>& accounts) {
  ArrayLiteral numbers;
  for (const AccountId& account : accounts) numbers.AddInt(account.value);
  return numbers.Text();
}

template <class Enums, class Name>
std::string NamesOfEach(const Enums& values, Name name) {
  ArrayLiteral names;
  for (const auto value : values) names.AddText(name(value));
  return names.Text();
}

// In the words of the indexes events_of_job and events_of_others, or they do not serve.
void AddAbout(const EventQuery& query, EventConditions& where) {
  if (query.AboutAnything()) return;
  std::string any;
  const auto either = [&any](const std::string& condition) {
    any += (any.empty() ? "" : " or ") + condition;
  };
  if (!query.name.empty()) {
    either("(e.subject <> 'job' and e.subject <> 'account' and e.name = " +
           where.Param(query.name, "text") + ")");
  }
  if (!query.accounts.empty()) {
    either("(e.subject = 'account' and e.project_id = any(" +
           where.Param(NumbersOfAccounts(query.accounts), "bigint[]") + "))");
  }
  if (!query.job) where.Add("e.subject <> 'job'");
  if (query.job) {
    either("(e.job_id > 0 and e.job_id = " +
           where.Param(std::to_string(query.job->id.value), "bigint") + " and " +
           where.Param(std::to_string(query.job->element), "integer") + " in (-1, e.element))");
  }
  where.Add("(" + any + ")");
}

}  // namespace

Sql EventListSql(const EventQuery& query, const EventRange& range, const std::string& fields) {
  EventConditions where;
  std::int64_t first = range.first;
  std::int64_t end = range.end;
  if (query.after_seq != 0 && query.oldest_first) first = std::max(first, query.after_seq + 1);
  if (query.after_seq != 0 && !query.oldest_first) end = std::min(end, query.after_seq);
  where.Add("e.seq >= " + where.Param(std::to_string(first), "bigint"));
  where.Add("e.seq < " + where.Param(std::to_string(end), "bigint"));
  AddAbout(query, where);
  if (!query.subjects.empty()) {
    const std::string names =
        NamesOfEach(query.subjects, [](Subject subject) { return NameOf(subject); });
    where.Add("e.subject = any(" + where.Param(names, "text[]") + ")");
    if (!query.subjects.contains(Subject::kJob)) where.Add("e.subject <> 'job'");
  }
  if (!query.reasons.empty()) {
    const std::string codes =
        NamesOfEach(query.reasons, [](ReasonCode code) { return WireName(code); });
    where.Add("e.reason ->> 'code' = any(" + where.Param(codes, "text[]") + ")");
  }
  if (!query.actor.empty()) where.Add("e.actor = " + where.Param(query.actor, "text"));
  if (query.within) {
    where.Add("e.project_id = any(" + where.Param(NumbersOfAccounts(*query.within), "bigint[]") +
              ")");
  }
  std::string order = query.oldest_first ? " order by e.seq" : " order by e.seq desc";
  order += " limit " + where.Param(std::to_string(query.limit), "integer");
  return where.Finish("select " + fields + " from events e", order);
}

}  // namespace kezek::postgres
