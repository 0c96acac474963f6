#include "cmd/kezek/what_if_text.h"

#include <algorithm>
#include <limits>
#include <ostream>
#include <string>

#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;

std::string AccountName(const v1::WhatIfAccount& account) {
  return account.account().empty() ? "(all)" : account.account();
}

std::string Listed(const Texts& jobs, int most) {
  std::string text;
  for (int i = 0; i < std::min(most, jobs.size()); ++i) text += (i == 0 ? "" : " ") + jobs[i];
  return jobs.size() > most ? text + " and " + std::to_string(jobs.size() - most) + " more" : text;
}

// How the account fares: by what it is entitled to.
std::string Difference(const Host& host, const v1::WhatIfAccount& account) {
  const std::int64_t more =
      account.entitlement_after_milli_gpus() - account.entitlement_before_milli_gpus();
  if (more == 0) return "";
  return more > 0 ? Styled(host, Style::kGood, "+" + Gpus(more))
                  : Styled(host, Style::kBad, "-" + Gpus(-more));
}

std::string Number(std::int64_t number) { return number == 0 ? "" : Thousands(number); }

void PrintAccounts(Session& session, const v1::WhatIf& what_if) {
  Table table({"ACCOUNT", "TYPE", "RUNS", "ENTITLED", "THEN", "DIFFERENCE", "START", "WAIT",
               "STOPPED", "FREED", "UNGUARANTEED", "PREEMPTED", "NEARER", "FARTHER"});
  table.MayLeaveOut({"TYPE", "RUNS", "FARTHER", "NEARER", "FREED", "STOPPED"});
  if (session.format() == Format::kWide) table.KeepWhole();
  for (const v1::WhatIfAccount& account : what_if.accounts()) {
    table.Add({AccountName(account), account.gpu_type(), Gpus(account.running_milli_gpus()),
               Gpus(account.entitlement_before_milli_gpus()),
               Gpus(account.entitlement_after_milli_gpus()), Difference(session.host, account),
               Number(account.starts_size()), Number(account.waits_size()),
               Number(account.stopped_size()), Number(account.freed_size()),
               Number(account.unguaranteed_size()), Number(account.preempted_size()),
               Number(account.nearer()), Number(account.farther())});
  }
  table.Print(session.host);
}

void PrintJobs(const Host& host, const v1::WhatIfAccount& account, int most) {
  const auto line = [&](const Texts& jobs, const std::string& what) {
    if (jobs.empty()) return;
    *host.out << AccountName(account) << ": " << what << ": " << Listed(jobs, most) << '\n';
  };
  line(account.starts(), "would start at once");
  line(account.waits(), "would no longer start at once");
  line(account.stopped(), "would be stopped by a limit or budget");
  line(account.freed(), "would no longer be stopped by one, and wait for GPUs");
  line(account.unguaranteed(), "run, and would be in no guarantee (" +
                                   GpuHours(account.unguaranteed_milli_gpu_ms()) +
                                   " GPU-h so far)");
  line(account.preempted(), "would be preempted");
  line(account.reclaims(), "would get the GPUs of such jobs");
}

}  // namespace

void PrintWhatIf(Session& session, const v1::WhatIf& what_if) {
  const Host& host = session.host;
  const bool whole = session.format() == Format::kWide;
  const int most = whole ? std::numeric_limits<int>::max() : 20;
  if (what_if.accounts().empty()) {
    *host.out << "On the queue as it is now this would change nothing.\n";
    return;
  }
  *host.out << "On the queue as it is now:\n";
  PrintAccounts(session, what_if);
  for (const v1::WhatIfAccount& account : what_if.accounts()) PrintJobs(host, account, most);
  for (const v1::WhatIfNext& next : what_if.next()) {
    const bool same = std::equal(next.before().begin(), next.before().end(), next.after().begin(),
                                 next.after().end());
    if (same) continue;
    *host.out << "Next on " << next.gpu_type() << " now: " << Listed(next.before(), most)
              << "; then: " << Listed(next.after(), most) << '\n';
  }
}

}  // namespace kezek::cli
