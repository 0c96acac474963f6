// admin reservation: nodes kept for an event, for maintenance, for a course every week.
#include <kezek/v1/cluster.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/way_out.h"
#include "cmd/kezek/windows.h"
#include "kezek/time.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

struct Flags {
  std::string name;
  std::string start;
  std::string length;
  std::string every;
  std::string until;
  std::vector<std::string> nodes;
  int node_count = 0;
  std::string gpu_type;
  std::vector<std::string> accounts;
  std::vector<std::string> users;
  bool maintenance = false;
  std::string reason;
  bool delay_jobs = false;
  bool allow_running = false;
  bool jobs = false;
};

Error Bad(const char* flag, const std::string& message) {
  return FieldProblem(Code::kInvalidArgument, {flag, "FIELD_INVALID", message, {}});
}

Error InFlags(const Error& error) {
  return WithFlags(error, {{"reservation.node_count", "--node-count"},
                           {"reservation.nodes", "--nodes"},
                           {"reservation.name", ""},
                           {"reservation.start_ms", "--start"},
                           {"reservation.duration_ms", "--for"},
                           {"reservation.repeat_every_ms", "--every"},
                           {"reservation.repeat_until_ms", "--until"},
                           {"reservation.gpu_type", "--gpu-type"},
                           {"reservation.accounts", "--accounts"},
                           {"reservation.users", "--users"},
                           {"reservation.reason", "--reason"},
                           {"name", ""},
                           {"reason", "--reason"}});
}

Result<std::int64_t> EveryOf(const std::string& text) {
  if (text == "day") return kDayMs;
  if (text == "week") return 7 * kDayMs;
  if (text == "never") return 0;
  const auto length = script::ParseDuration(text);
  if (!length) return Bad("--every", "'" + text + "': expected day, week, never, or such as 2d");
  return *length;
}

// What the flags say, into it; the rest stays.
Result<void> Fill(const Session& session, const Flags& flags, v1::AdminReservation& one) {
  const std::int64_t now = session.host.now_ms();
  if (!flags.start.empty()) {
    const auto start = script::ParseMoment(flags.start, now);
    if (!start) return Bad("--start", start.error().message);
    one.set_start_ms(*start);
  }
  if (!flags.length.empty()) {
    const auto length = script::ParseDuration(flags.length);
    if (!length) return Bad("--for", length.error().message);
    one.set_duration_ms(*length);
  }
  if (!flags.every.empty()) {
    const auto every = EveryOf(flags.every);
    if (!every) return every.error();
    one.set_repeat_every_ms(*every);
    if (*every == 0) one.set_repeat_until_ms(0);
  }
  if (!flags.until.empty()) {
    const auto until = script::ParseMoment(flags.until, now);
    if (!until) return Bad("--until", until.error().message);
    one.set_repeat_until_ms(*until);
  }
  if (!flags.nodes.empty() || flags.node_count > 0) {
    one.mutable_nodes()->Assign(flags.nodes.begin(), flags.nodes.end());
    one.set_node_count(flags.node_count);
    one.set_gpu_type(flags.gpu_type);
  }
  if (flags.maintenance || !flags.accounts.empty() || !flags.users.empty()) {
    one.mutable_accounts()->Assign(flags.accounts.begin(), flags.accounts.end());
    one.mutable_users()->Assign(flags.users.begin(), flags.users.end());
  }
  if (!flags.reason.empty()) one.set_reason(flags.reason);
  return {};
}

void PrintTable(const Session& session, const google::protobuf::Message& answer,
                const std::vector<v1::AdminReservation>& all) {
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), answer)) return;
  if (session.format() == Format::kName) {
    for (const v1::AdminReservation& one : all) *host.out << one.name() << '\n';
    return;
  }
  const bool wide = session.format() == Format::kWide;
  std::vector<std::string> headings = {"RESERVATION", "NODES", "NEXT", "FOR", "REPEATED", "WHOM"};
  if (wide) headings.insert(headings.end(), {"FIRST", "BY", "VERSION"});
  headings.push_back("WHY");
  Table table(headings);
  table.MayCut({"NODES", "WHOM"});
  if (wide) table.KeepWhole();
  for (const v1::AdminReservation& one : all) {
    std::vector<std::string> cells = {one.name(),        NodesOf(one),
                                      NextOf(host, one), Length(one.duration_ms()),
                                      RepeatOf(one),     WhomOf(one)};
    if (wide) {
      cells.insert(cells.end(),
                   {ExactMoment(one.start_ms()), one.actor(), std::to_string(one.version())});
    }
    cells.push_back(one.reason());
    table.Add(std::move(cells));
  }
  table.Print(host);
}

void PrintFacts(const Host& host, const v1::AdminReservation& one) {
  Facts facts;
  facts.Add("Reservation", one.name());
  facts.Add("Nodes", NodesOf(one));
  if (one.node_count() > 0) {
    facts.Add("Asked for", Count(one.node_count(), "node") + " of " + one.gpu_type());
  }
  facts.Add("First", ExactMoment(one.start_ms()));
  facts.Add("For", Length(one.duration_ms()));
  facts.Add("Repeated", RepeatOf(one));
  facts.Add("Next", NextOf(host, one));
  facts.Add("Whom", WhomOf(one));
  facts.Add("Why", one.reason());
  facts.Add("By", one.actor());
  facts.Print(host);
}

Result<v1::ListReservationsResponse> All(Session& session, bool jobs = false) {
  v1::ListReservationsRequest request;
  request.set_jobs(jobs);
  return Ask<v1::ListReservationsResponse>(session, request);
}

void PrintPromised(const Session& session, const v1::ListReservationsResponse& all) {
  Table table({"JOB", "GPUS", "STARTS BY", "NODES"});
  table.MayCut({"NODES"});
  for (const v1::BlockedJobReservation& one : all.jobs()) {
    table.Add({one.job().empty() ? "another institution's" : one.job(),
               Gpus(one.counted_milli_gpus()), ExactMoment(one.reservation().start_ms()),
               one.reservation().placement().node_list()});
  }
  *session.host.out << '\n';
  table.Print(session.host);
}

Result<v1::AdminReservation> Find(Session& session, const std::string& name) {
  const auto all = All(session);
  if (!all) return all.error();
  for (const v1::AdminReservation& one : all->reservations()) {
    if (one.name() == name) return one;
  }
  return FieldProblem(Code::kNotFound,
                      {"", "RESERVATION_NOT_FOUND", "there is no reservation " + name, {}});
}

Result<int> Put(Session& session, const Flags& flags, v1::AdminReservation one) {
  one.set_name(flags.name);
  if (const auto filled = Fill(session, flags, one); !filled) return filled.error();
  v1::PutReservationRequest request;
  *request.mutable_reservation() = std::move(one);
  request.set_delay_jobs(flags.delay_jobs);
  request.set_allow_running(flags.allow_running);
  const auto answer = Ask<v1::PutReservationResponse>(session, request, Repeat::kNo);
  if (!answer) return InFlags(answer.error());
  PrintTable(session, *answer, {answer->reservation()});
  if (session.format() == Format::kJson || session.format() == Format::kYaml) return kDone;
  for (const std::string& job : answer->delayed()) {
    PrintWarning(session.host, "job " + job + " waits for longer: what it was promised moves");
  }
  return kDone;
}

Result<int> RunChange(Session& session, const Flags& flags) {
  auto known = Find(session, flags.name);
  if (!known) return known.error();
  // Chosen once: the same number of the same type keeps the nodes it has.
  if (known->node_count() > 0) known->clear_nodes();
  return Put(session, flags, *std::move(known));
}

Result<int> RunListReservations(Session& session, const Flags& flags) {
  const auto all = All(session, flags.jobs);
  if (!all) return all.error();
  PrintTable(session, *all, {all->reservations().begin(), all->reservations().end()});
  const bool table = session.format() == Format::kTable || session.format() == Format::kWide;
  if (table && !all->jobs().empty()) PrintPromised(session, *all);
  return kDone;
}

Result<int> RunShowReservation(Session& session, const Flags& flags) {
  const auto one = Find(session, flags.name);
  if (!one) return one.error();
  if (session.format() == Format::kTable) {
    PrintFacts(session.host, *one);
  } else {
    PrintTable(session, *one, {*one});
  }
  return kDone;
}

Result<int> RunDeleteReservation(Session& session, const Flags& flags) {
  v1::DeleteReservationRequest request;
  request.set_name(flags.name);
  request.set_reason(flags.reason);
  const auto answer = Ask<v1::DeleteReservationResponse>(session, request, Repeat::kNo);
  if (!answer) return InFlags(answer.error());
  if (PrintMessage(session.host, session.format(), *answer)) return kDone;
  *session.host.out << (session.format() == Format::kName ? "" : "Deleted ") << flags.name << '\n';
  return kDone;
}

void AddTimes(CLI::App& command, Flags& flags, bool required) {
  command.add_option("--start", flags.start, "when it begins first: 2026-12-01T08:00, tomorrow")
      ->type_name("WHEN")
      ->required(required);
  command.add_option("--for", flags.length, "how long: 4h, 2d")
      ->type_name("TIME")
      ->required(required);
  command.add_option("--every", flags.every, "again every so often; once if not given")
      ->type_name("day|week|TIME");
  command.add_option("--until", flags.until, "when it begins for the last time")->type_name("WHEN");
}

void AddRest(CLI::App& command, Flags& flags, bool required) {
  CLI::Option* nodes = command.add_option("--nodes", flags.nodes, "these nodes, joined by commas")
                           ->type_name("NODES")
                           ->allow_extra_args(false);
  CLI::Option* count =
      command.add_option("--node-count", flags.node_count, "so many; Kezek chooses them, once")
          ->type_name("N")
          ->check(CLI::Range(1, 100'000))
          ->excludes(nodes);
  command.add_option("--gpu-type", flags.gpu_type, "with --node-count: of this type")
      ->type_name("TYPE")
      ->needs(count);
  command.add_option("--accounts", flags.accounts, "for these accounts and all below them")
      ->type_name("ACCOUNT")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--users", flags.users, "for these users")
      ->type_name("USER")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--reason", flags.reason, "why; told to those it delays")
      ->type_name("TEXT")
      ->required(required);
  command.add_flag("--delay-jobs", flags.delay_jobs, "move what is promised there to waiting jobs");
  command.add_flag("--allow-running", flags.allow_running,
                   "let what runs there run on, though it may last into it");
}

void AddName(CLI::App& command, Flags& flags) {
  command.add_option("RESERVATION", flags.name, "its name")->required();
}

}  // namespace

void AddAdminReservation(CLI::App& admin, Session& session) {
  CLI::App* group =
      admin.add_subcommand("reservation", "nodes for an event, maintenance, a course every week");
  group->require_subcommand(1);
  const auto flags = std::make_shared<Flags>();
  const auto on = [&session](CLI::App* command, auto run) {
    command->callback([&session, run] { session.action = [run] { return run(); }; });
  };

  CLI::App* list = group->add_subcommand("list", "list all, by start");
  list->add_flag("--jobs", flags->jobs, "what is promised to waiting jobs, too");
  list->footer("Examples:\n  kezek admin reservation list --jobs");
  on(list, [&session, flags] { return RunListReservations(session, *flags); });

  CLI::App* show = group->add_subcommand("show", "show one in full");
  AddName(*show, *flags);
  show->footer("Examples:\n  kezek admin reservation show maint");
  on(show, [&session, flags] { return RunShowReservation(session, *flags); });

  CLI::App* create = group->add_subcommand("create", "keep nodes for somebody, or for maintenance");
  AddName(*create, *flags);
  AddTimes(*create, *flags, true);
  AddRest(*create, *flags, true);
  create->footer(
      "Without --accounts and --users it is for nobody: maintenance. Jobs run in it with\n"
      "kezek submit --reservation RESERVATION.\n"
      "Examples:\n"
      "  kezek admin reservation create maint --nodes n[01-04] --start 2026-12-01T08:00 \\\n"
      "        --for 4h --reason 'new firmware'\n"
      "  kezek admin reservation create ml-course --node-count 2 --gpu-type h200 \\\n"
      "        --start 2026-12-01T14:00 --for 3h --every week --until 2027-02-01 \\\n"
      "        --accounts kaznu --reason 'course of machine learning'");
  on(create, [&session, flags] { return Put(session, *flags, {}); });

  CLI::App* change = group->add_subcommand("change", "change what is given, leave the rest");
  AddName(*change, *flags);
  AddTimes(*change, *flags, false);
  AddRest(*change, *flags, false);
  change->add_flag("--maintenance", flags->maintenance, "for nobody any more");
  change->footer("Examples:\n  kezek admin reservation change maint --for 6h");
  on(change, [&session, flags] { return RunChange(session, *flags); });

  CLI::App* end = group->add_subcommand("delete", "end it, now and for ever");
  AddName(*end, *flags);
  end->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT")->required();
  end->footer("Examples:\n  kezek admin reservation delete maint --reason 'done early'");
  on(end, [&session, flags] { return RunDeleteReservation(session, *flags); });
}

}  // namespace kezek::cli
