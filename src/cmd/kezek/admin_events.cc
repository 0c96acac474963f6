// admin events: the record of what happened, latest first.
#include <kezek/v1/cluster.pb.h>
#include <kezek/v1/site.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/help.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

constexpr int kEventsPage = 1000;

struct EventFlags {
  std::string name;
  std::vector<std::string> subjects;
  std::string actor;
  std::vector<std::string> reasons;
  ReportTimes times;
  bool oldest_first = false;
  int limit = 100;
};

// In the order of v1::Subject, which begins with "not set".
const std::vector<std::string>& Subjects() {
  static const std::vector<std::string> subjects = {"job",   "account", "user",
                                                    "token", "node",    "cluster"};
  return subjects;
}

// Empty: a newer daemon's.
std::string SubjectName(int subject) {
  const bool known = subject > 0 && subject <= static_cast<int>(Subjects().size());
  return known ? Subjects()[static_cast<std::size_t>(subject - 1)] : "";
}

void PrintEventsCsv(const Host& host, const v1::ListEventsResponse& all) {
  PrintCsv(host, {"seq", "time_ms", "subject", "name", "attempt", "from", "to", "actor", "reason",
                  "sentence"});
  for (const v1::Event& event : all.events()) {
    PrintCsv(host, {std::to_string(event.seq()), std::to_string(event.time_ms()),
                    SubjectName(event.subject()), event.name(), std::to_string(event.attempt()),
                    event.from(), event.to(), event.actor(), event.reason().code(),
                    event.reason().sentence()});
  }
}

void PrintEventsTable(Session& session, const v1::ListEventsResponse& all) {
  const Host& host = session.host;
  Table table({"SEQ", "TIME", "SUBJECT", "NAME", "TO", "BY", "WHAT"});
  table.MayLeaveOut({"SEQ", "TO"});
  if (session.format() == Format::kWide) table.KeepWhole();
  for (const v1::Event& event : all.events()) {
    const std::string attempt = event.attempt() > 0 ? "/" + std::to_string(event.attempt()) : "";
    table.Add({std::to_string(event.seq()), ExactMoment(event.time_ms()),
               SubjectName(event.subject()), event.name() + attempt, event.to(), event.actor(),
               SentenceOf(host, event.reason())});
  }
  table.Print(host);
  if (all.page().next_token().empty() || !host.out_is_terminal) return;
  *host.out << "There are more: --limit, --since and --until choose\n";
}

Result<int> RunEvents(Session& session, const EventFlags& flags) {
  v1::ListEventsRequest request;
  request.set_name(flags.name);
  request.set_actor(flags.actor);
  request.set_oldest_first(flags.oldest_first);
  for (const std::string& subject : flags.subjects) {
    const auto found = std::find(Subjects().begin(), Subjects().end(), subject);
    request.add_subjects(static_cast<v1::Subject>(found - Subjects().begin() + 1));
  }
  for (const std::string& reason : flags.reasons) request.add_reasons(reason);
  if (const auto times = ReadTimes(session.host, flags.times, request.mutable_time()); !times) {
    return times.error();
  }
  v1::ListEventsResponse all;
  do {
    request.mutable_page()->set_size(std::min(kEventsPage, flags.limit - all.events_size()));
    auto page = Ask<v1::ListEventsResponse>(session, request);
    if (!page) {
      return WithFlags(page.error(), {{"name", "NAME"}, {"time", "--since"}, {"actor", "--by"}});
    }
    all.mutable_events()->MergeFrom(page->events());
    *all.mutable_page() = page->page();
    request.mutable_page()->set_token(page->page().next_token());
  } while (!request.page().token().empty() && all.events_size() < flags.limit);
  const Host& host = session.host;
  if (IsCsv(session)) {
    PrintEventsCsv(host, all);
  } else if (session.format() == Format::kName) {
    for (const v1::Event& event : all.events()) *host.out << event.seq() << '\n';
  } else if (!PrintMessage(host, session.format(), all)) {
    PrintEventsTable(session, all);
  }
  return kDone;
}

}  // namespace

void AddAdminEvents(CLI::App& admin, Session& session) {
  CLI::App* command = admin.add_subcommand("events", "the record of what happened");
  const auto flags = std::make_shared<EventFlags>();
  command->add_option("NAME", flags->name,
                      "about this job, node, user, token, or account and those below it");
  command->add_option("--subject", flags->subjects, "only about these, joined by commas")
      ->type_name(Bars(Subjects()))
      ->delimiter(',')
      ->check(OneOf(Subjects()));
  command->add_option("--by", flags->actor, "only what this user did, or kezek")->type_name("USER");
  command->add_option("--reason", flags->reasons, "only these codes, joined by commas")
      ->type_name("CODE")
      ->delimiter(',');
  flags->times.AddTo(*command);
  command->add_flag("--oldest-first", flags->oldest_first, "in the order in which it happened");
  command->add_option("--limit", flags->limit, "events at most; 100 if not given")
      ->type_name("N")
      ->check(Between(1, 1'000'000));
  command->footer(
      "Latest first. Of jobs and accounts you see those that you rule; all others cluster admins\n"
      "and auditors do. -o json has the reasons' fields.\n"
      "Examples:\n"
      "  kezek admin events --subject node,cluster --since 7d\n"
      "  kezek admin events n11\n"
      "  kezek admin events --by root@nac --oldest-first -o csv");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunEvents(session, *flags); };
  });
}

}  // namespace kezek::cli
