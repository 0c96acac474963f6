#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/help.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/watching.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

constexpr int kUsageWatchSeconds = 5;

struct UsageFlags {
  std::string account;
  std::string gpu_type;
  std::string sort;
  bool by_user = false;
  bool reverse = false;
  WatchFlags watch;
};

const std::vector<std::string>& UsageSortKeys() {
  static const std::vector<std::string> keys = {"account", "running", "queued", "used", "decayed"};
  return keys;
}

bool IsBefore(const std::string& key, const v1::UsageRow& a, const v1::UsageRow& b) {
  if (key == "running") return a.running_milli_gpus() < b.running_milli_gpus();
  if (key == "queued") return a.jobs_queued() < b.jobs_queued();
  if (key == "used") return a.charged_milli_gpu_ms() < b.charged_milli_gpu_ms();
  if (key == "decayed") return a.usage_milli_gpu_ms() < b.usage_milli_gpu_ms();
  return a.account() < b.account();
}

// Of equal ones those stay in order that the server has put first.
void Sort(const UsageFlags& flags, google::protobuf::RepeatedPtrField<v1::UsageRow>& rows) {
  if (flags.sort.empty() && !flags.reverse) return;
  std::stable_sort(rows.pointer_begin(), rows.pointer_end(),
                   [&flags](const v1::UsageRow* a, const v1::UsageRow* b) {
                     return flags.reverse ? IsBefore(flags.sort, *b, *a)
                                          : IsBefore(flags.sort, *a, *b);
                   });
}

std::int64_t PartsPerMillion(std::int64_t part, std::int64_t whole) {
  return whole <= 0 ? 0
                    : static_cast<std::int64_t>(static_cast<double>(part) * 1e6 /
                                                static_cast<double>(whole));
}

// In percentage points, with its sign.
std::string Distance(const v1::UsageRow& row) {
  const std::int64_t off = row.usage_ppm() - row.target_ppm();
  return (off < 0 ? "-" : "+") + Percent(std::abs(off));
}

// What is left of each budget above and below the account, and how long it will last.
void PrintBudgets(const Host& host, const v1::GetUsageResponse& answer) {
  for (const v1::Budget& budget : answer.budgets()) {
    const std::string of = budget.account().empty() ? "(all)" : budget.account();
    *host.out << "Budget " << budget.spec().name() << " of " << of << ": "
              << GpuHours(budget.granted_milli_gpu_ms()) << " GPU-h, "
              << Percent(
                     PartsPerMillion(budget.spent_milli_gpu_ms(), budget.granted_milli_gpu_ms()))
              << " used, " << GpuHours(budget.held_milli_gpu_ms()) << " held by running jobs, "
              << GpuHours(budget.left_milli_gpu_ms()) << " left\n";
    if (budget.jobs_waiting() > 0) {
      *host.out << Styled(host, Style::kBad, "  Jobs wait")
                << " for more than is left: " << budget.jobs_waiting() << '\n';
    }
    *host.out << "  Forecast: ";
    if (budget.runs_out_ms() != 0) {
      *host.out << "runs out " << Moment(host, budget.runs_out_ms());
    } else {
      *host.out << "lasts until it ends, " << Moment(host, budget.spec().end_ms()) << "; "
                << GpuHours(budget.will_expire_milli_gpu_ms()) << " GPU-h would expire";
    }
    *host.out << ", at the pace of the last 14 days\n";
    if (budget.warned_percent() > 0) {
      *host.out << Styled(host, Style::kBold, "  Warned") << ": " << budget.warned_percent()
                << " % of it are spent\n";
    }
    if (budget.refunded_milli_gpu_ms() == 0) continue;
    *host.out << "  Refunded: " << GpuHours(budget.refunded_milli_gpu_ms()) << " GPU-h\n";
  }
}

// Guarantee, entitlement and its parts.
std::vector<std::string> Parts(const v1::EntitlementRow& row) {
  const auto or_none = [](std::int64_t milli) { return milli == 0 ? "" : Gpus(milli); };
  return {or_none(row.guarantee_milli_gpus()), Gpus(row.entitlement_milli_gpus()),
          Gpus(row.demand_milli_gpus()),       or_none(row.borrowed_milli_gpus()),
          or_none(row.lent_milli_gpus()),      or_none(row.kept_idle_milli_gpus()),
          or_none(row.owed_milli_gpus()),      BoundBy(row)};
}

// What a table has beside the columns that are always there.
struct Columns {
  bool apart = false;    // what runs on nodes of one owner, where anything does
  bool targets = false;  // policy targets, where any account has one
  bool parts = false;    // those of the entitlement
};

constexpr int kAfterRunning = 4;  // columns to the left of APART

std::vector<std::string> Headings(const Columns& columns) {
  std::vector<std::string> headings = {"ACCOUNT", "USER",       "TYPE",    "RUNNING",     "JOBS",
                                       "QUEUED",  "USED GPU-H", "DECAYED", "OF SIBLINGS", "SHARE"};
  if (columns.apart) headings.insert(headings.begin() + kAfterRunning, "APART");
  if (columns.targets) headings.insert(headings.end(), {"SHARE NOW", "TARGET", "OFF BY"});
  if (columns.parts) {
    headings.insert(headings.end(), {"GUARANTEE", "ENTITLED", "DEMAND", "BORROWED", "LENT",
                                     "KEPT IDLE", "OWED", "BOUND BY"});
  }
  return headings;
}

std::vector<std::string> Cells(const v1::UsageRow& row, const Columns& columns) {
  const bool of_account = row.user().empty();
  std::vector<std::string> cells = {row.account().empty() ? "(all)" : row.account(),
                                    row.user(),
                                    row.gpu_type(),
                                    Gpus(row.running_milli_gpus()),
                                    std::to_string(row.jobs_running()),
                                    std::to_string(row.jobs_queued()),
                                    GpuHours(row.charged_milli_gpu_ms()),
                                    GpuHours(row.usage_milli_gpu_ms()),
                                    Percent(row.usage_ppm()),
                                    of_account ? Percent(row.weight_ppm()) : ""};
  if (columns.apart) {
    const std::int64_t apart = row.apart_milli_gpus();
    cells.insert(cells.begin() + kAfterRunning, apart == 0 ? "" : Gpus(apart));
  }
  if (columns.targets) {
    const bool has = row.has_target_ppm();
    cells.insert(cells.end(), {of_account ? Percent(row.entitled_ppm()) : "",
                               has ? Percent(row.target_ppm()) : "", has ? Distance(row) : ""});
  }
  if (columns.parts && row.has_entitlement()) {
    const std::vector<std::string> parts = Parts(row.entitlement());
    cells.insert(cells.end(), parts.begin(), parts.end());
  }
  cells.resize(Headings(columns).size());
  return cells;
}

void PrintRows(Session& session, const v1::GetUsageResponse& answer) {
  Columns columns;
  columns.targets = std::any_of(answer.rows().begin(), answer.rows().end(),
                                [](const v1::UsageRow& row) { return row.has_target_ppm(); });
  columns.apart = std::any_of(answer.rows().begin(), answer.rows().end(),
                              [](const v1::UsageRow& row) { return row.apart_milli_gpus() > 0; });
  columns.parts = session.format() == Format::kWide;
  Table table(Headings(columns));
  table.MayCut({"USER"});
  if (columns.targets) {  // the distance and what it is measured from stay longest
    table.MayLeaveOut(
        {"TYPE", "DECAYED", "QUEUED", "JOBS", "SHARE", "SHARE NOW", "APART", "OF SIBLINGS"});
  } else {
    table.MayLeaveOut({"TYPE", "DECAYED", "OF SIBLINGS", "QUEUED", "JOBS"});
  }
  if (columns.parts) table.KeepWhole();
  for (const v1::UsageRow& row : answer.rows()) table.Add(Cells(row, columns));
  table.Print(session.host);
}

Result<int> RunUsage(Session& session, const UsageFlags& flags) {
  v1::GetUsageRequest request;
  request.set_account(flags.account);
  request.set_gpu_type(flags.gpu_type);
  request.set_by_user(flags.by_user);
  Result<v1::GetUsageResponse> answer = Ask<v1::GetUsageResponse>(session, request);
  if (!answer) {
    return WithFlags(answer.error(), {{"by_user", "--by-user"}, {"gpu_type", "--gpu-type"}});
  }
  Sort(flags, *answer->mutable_rows());
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  if (session.format() == Format::kName) {
    for (const v1::UsageRow& row : answer->rows()) *host.out << row.account() << '\n';
    return kDone;
  }
  PrintRows(session, *answer);
  if (host.out_is_terminal && answer->half_life_ms() > 0) {
    *host.out << "Usage halves every " << Length(answer->half_life_ms()) << ".\n";
  }
  PrintBudgets(host, *answer);
  return kDone;
}

}  // namespace

void AddUsage(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("usage", "what accounts have used");
  const auto flags = std::make_shared<UsageFlags>();
  command->add_option("ACCOUNT", flags->account, "account and its children; without: my projects");
  command->add_option("-A,--project", flags->account, "the same")->type_name("ACCOUNT");
  command->add_option("--gpu-type", flags->gpu_type, "only this type of GPU")->type_name("TYPE");
  command->add_flag("--by-user", flags->by_user, "users of projects, too, least usage first");
  command->add_option("-s,--sort", flags->sort, "order; that of the tree if not given")
      ->type_name(Bars(UsageSortKeys()))
      ->check(OneOf(UsageSortKeys()));
  command->add_flag("-r,--reverse", flags->reverse, "the other way round");
  flags->watch.AddTo(*command, kUsageWatchSeconds);
  command->footer(
      "RUNNING is what runs on shared nodes, APART, where there is any, on dedicated ones and\n"
      "lanes of classes. USED is all that was charged, DECAYED what fair share counts of it, OF\n"
      "SIBLINGS its part of what the accounts beside it have used, SHARE the part that its weight\n"
      "gives it. Where an account has a target: SHARE NOW is its part of what all beside it "
      "should\n"
      "have now, TARGET what policy aims at, OFF BY how far OF SIBLINGS is from that. -o wide has\n"
      "what it should have now, too, as kezek quota.\n"
      "Examples:\n"
      "  kezek usage\n"
      "  kezek usage universities/kaznu\n"
      "  kezek usage universities --sort used --reverse");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto look = [&session, flags](bool) { return RunUsage(session, *flags); };
      return LookOrWatch(session, flags->watch, {look, nullptr});
    };
  });
}

}  // namespace kezek::cli
