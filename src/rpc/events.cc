// ClusterService: the record of what happened.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/reason_text.h"
#include "rpc/cluster_service.h"
#include "rpc/field_checks.h"
#include "rpc/job_convert.h"
#include "rpc/job_refs.h"
#include "rpc/paging.h"

namespace kezek::rpc {
namespace {

// Which of the subjects that have names like this are asked about, by any of their names.
Result<void> ReadName(const Caller& caller, const std::string& name, EventQuery* query) {
  const auto asks = [query](Subject subject) {
    return query->subjects.empty() || query->subjects.contains(subject);
  };
  const bool only = query->subjects.size() == 1;
  query->name = name;
  if (asks(Subject::kJob)) {
    const auto job = ParseJob(name, "name");
    if (!job && only) return job.error();
    if (job) query->job = *job;
  }
  if (asks(Subject::kAccount)) {
    const auto top = FindVisibleAccount(caller, name, "name");
    if (!top && only) return top.error();
    for (const auto& [id, account] : caller.directory().accounts) {
      if (top && IsWithin(caller.directory(), id, *top)) query->accounts.push_back(id);
    }
  }
  return {};
}

// What the caller may see of what is asked for; one more than the page, to know of the next.
Result<EventQuery> PlanEvents(const Caller& caller, const v1::ListEventsRequest& request) {
  const auto place = PlaceOf(request.page());
  if (!place) return place.error();
  EventQuery query;
  query.limit = place->size + 1;
  query.after_seq = place->behind;
  query.oldest_first = request.oldest_first();
  FieldChecks checks;
  for (int i = 0; i < request.subjects_size(); ++i) {
    const int subject = request.subjects(i);
    checks.Range("subjects[" + std::to_string(i) + "]", subject, 0, v1::SUBJECT_CLUSTER);
    if (subject > 0) query.subjects.insert(static_cast<Subject>(subject - 1));
  }
  for (int i = 0; i < request.reasons_size(); ++i) {
    const auto code = ReasonFromWire(request.reasons(i));
    checks.Require(code.has_value(), "reasons[" + std::to_string(i) + "]", "is no reason's code");
    if (code) query.reasons.insert(*code);
  }
  checks.Line("name", request.name(), 4096);
  checks.Line("actor", request.actor(), 4096);
  checks.Range("time.since_ms", request.time().since_ms(), 0, kLatestMs);
  checks.Range("time.until_ms", request.time().until_ms(), 0, kLatestMs);
  if (!checks.ok()) return checks.error();
  query.actor = request.actor();
  query.since_ms = request.time().since_ms();
  query.until_ms = request.time().until_ms();
  if (!request.name().empty()) {
    const auto named = ReadName(caller, request.name(), &query);
    if (!named) return named.error();
  }
  if (caller.everywhere) return query;
  query.within.emplace();
  for (const auto& [id, account] : caller.directory().accounts) {
    if (caller.ReachesAccount(id)) query.within->push_back(id);
  }
  return query;
}

}  // namespace

grpc::ServerUnaryReactor* ClusterServiceImpl::ListEvents(grpc::CallbackServerContext* context,
                                                         const v1::ListEventsRequest* request,
                                                         v1::ListEventsResponse* response) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    auto query = PlanEvents(*caller, *request);
    if (!query) return reply.Fail(query.error());
    long_reads_->Work(caller->user, [query = std::move(*query), cluster = settings_.cluster,
                                     response, reply](Reader& reader) {
      const auto events = reader.ListEvents(query);
      if (!events) return reply.Fail(events.error());
      const auto most = static_cast<std::size_t>(query.limit) - 1;
      for (std::size_t i = 0; i < events->size() && i < most; ++i) {
        FillEvent(events->at(i), cluster, response->add_events());
      }
      if (events->size() > most) {
        response->mutable_page()->set_next_token(std::to_string(events->at(most - 1).seq));
      }
      reply.Ok();
    });
  };
  return Serve(context, parts_, Method("ListEvents"), *request,
               ForThisCluster(settings_, request, handle));
}

}  // namespace kezek::rpc
