// Kezek's attempts beside the runs in the cluster's books, both read by their ends, a stretch of
// time after the other, so that no more is in memory than ended in one. Pure but for its ports.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kezek/cluster_books.h"
#include "kezek/result.h"
#include "kezek/v1/reports.pb.h"

namespace kezek::rpc {

// What a project's attempts run under in the cluster; empty: its default.
struct ClusterBooking {
  std::string account;  // in small letters, as is the quality of service
  std::string qos;
};

struct ReconcileQuestion {
  TimeMs since_ms = 0;
  TimeMs until_ms = 0;
  std::string tag_prefix;  // of this installation's runs: one that begins otherwise is another's
  // By the settings of this version.
  std::function<ClusterBooking(AccountId project, std::int64_t settings_version)> booking_of;
};

// Fills rows, totals, compared and left_out. UNAVAILABLE STOPPING, or as the ports say.
Result<void> Reconcile(const ReconcileQuestion& question, ClusterBooks& books,
                       AttemptReading& attempts, const std::atomic<bool>& stopping,
                       v1::ReportReconcileResponse* response);

// What differs between an attempt that has ended and its run: reasons with `here` and `slurm`. The
// run may have no end.
std::vector<v1::ReconcileRow> CompareRun(const ChargedAttempt& here, const BookedRun& run,
                                         const ClusterBooking& booking);

}  // namespace kezek::rpc
