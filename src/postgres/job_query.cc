#include "postgres/job_query.h"

#include "kezek/names.h"
#include "postgres/array_literal.h"

namespace kezek::postgres {
namespace {

// Conditions joined by "and"; "$" in a condition becomes the next parameter.
class Where {
 public:
  void Add(const std::string& condition, std::string param) {
    params_.push_back(std::move(param));
    std::string text = condition;
    const auto at = text.find('$');
    text.replace(at, 1, "$" + std::to_string(params_.size()));
    AddPlain(text);
  }
  void AddPlain(const std::string& condition) {
    text_ += (text_.empty() ? " where " : " and ") + condition;
  }
  template <class Id>
  void AddIds(const std::string& column, const std::vector<Id>& ids) {
    if (ids.empty()) return;
    ArrayLiteral literal;
    for (const Id& id : ids) literal.AddInt(id.value);
    Add(column + " = any($::bigint[])", literal.Text());
  }
  // The number of a further parameter, as "$3".
  std::string Param(std::string param) {
    params_.push_back(std::move(param));
    return "$" + std::to_string(params_.size());
  }
  const std::string& text() const { return text_; }
  std::vector<std::string>& params() { return params_; }

 private:
  std::string text_;
  std::vector<std::string> params_;
};

void AddRefs(const JobQuery& query, Where& where) {
  if (query.refs.empty()) return;
  ArrayLiteral whole;  // with all elements
  ArrayLiteral ids;
  ArrayLiteral elements;
  bool any_whole = false;
  bool any_element = false;
  for (const JobRef& ref : query.refs) {
    if (ref.element == kNoElement) {
      whole.AddInt(ref.id.value);
      any_whole = true;
    } else {
      ids.AddInt(ref.id.value);
      elements.AddInt(ref.element);
      any_element = true;
    }
  }
  std::string named;
  if (any_whole) named = "j.id = any(" + where.Param(whole.Text()) + "::bigint[])";
  if (any_element) {
    const std::string id = where.Param(ids.Text()) + "::bigint[]";
    const std::string element = where.Param(elements.Text()) + "::integer[]";
    named +=
        (any_whole ? " or " : "") + ("(j.id, j.element) in (select r.id, r.element from unnest(" +
                                     id + ", " + element + ") as r(id, element))");
  }
  where.AddPlain("(" + named + ")");
}

// Continues behind query.after, and returns the order.
std::string AddOrder(const JobQuery& query, Where& where) {
  const bool descending = query.order == JobQuery::Order::kIdDescending;
  if (query.after) {
    const std::string id = where.Param(std::to_string(query.after->id.value)) + "::bigint";
    const std::string element = where.Param(std::to_string(query.after->element)) + "::integer";
    where.AddPlain(std::string("(j.id, j.element) ") + (descending ? "<" : ">") + " (" + id + ", " +
                   element + ")");
  }
  return descending ? "j.id desc, j.element desc" : "j.id, j.element";
}

}  // namespace

Sql JobQuerySql(const JobQuery& query, const std::string& fields) {
  Where where;
  AddRefs(query, where);
  if (!query.elements) where.AddPlain("j.element = -1");
  if (!query.states.empty()) {
    ArrayLiteral states;
    for (const JobState state : query.states) states.AddText(NameOf(state));
    where.Add("j.state = any($::text[])", states.Text());
  }
  where.AddIds("j.user_id", query.users);
  where.AddIds("j.project_id", query.projects);
  if (!query.classes.empty()) {
    ArrayLiteral classes;
    for (const std::string& name : query.classes) classes.AddText(name);
    where.Add("j.job_class = any($::text[])", classes.Text());
  }
  if (query.submitted_since_ms != 0) {
    where.Add("j.submitted_ms >= $::bigint", std::to_string(query.submitted_since_ms));
  }
  if (query.submitted_until_ms != 0) {
    where.Add("j.submitted_ms < $::bigint", std::to_string(query.submitted_until_ms));
  }
  const std::string order = AddOrder(query, where);
  const std::string limit = where.Param(std::to_string(query.limit));
  return {"select " + fields + " from jobs j" + where.text() + " order by " + order + " limit " +
              limit + "::bigint",
          std::move(where.params())};
}

}  // namespace kezek::postgres
