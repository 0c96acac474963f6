// admin snapshot: what ran and waits, as a trace for kezek-sim.
#include <kezek/v1/cluster.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/progress.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

struct SnapshotFlags {
  ReportTimes times;
  std::string gpu_type;
};

Result<int> RunSnapshot(Session& session, const SnapshotFlags& flags) {
  v1::SnapshotRequest request;
  request.set_gpu_type(flags.gpu_type);
  const Host& host = session.host;
  if (const auto times = ReadTimes(host, flags.times, request.mutable_history()); !times) {
    return times.error();
  }
  Result<Client*> client = session.Connect();
  if (!client) return client.error();
  Progress progress(host);
  std::int64_t bytes = 0;
  v1::SnapshotResponse response;
  const Result<void> streamed = (*client)->Stream(request, response, [&] {
    progress.Clear();
    *host.out << response.data();
    bytes += static_cast<std::int64_t>(response.data().size());
    if (!host.out_is_terminal) progress.Show(std::to_string(bytes / 1024) + " KiB");
    return host.out->good();
  });
  progress.Clear();
  *host.out << std::flush;
  if (!streamed) return WithFlags(streamed.error(), {{"gpu_type", "--gpu-type"}});
  if (!host.out->good()) return Error{Code::kUnavailable, "cannot write all of it", {}};
  return kDone;
}

}  // namespace

void AddAdminSnapshot(CLI::App& admin, Session& session) {
  CLI::App* command =
      admin.add_subcommand("snapshot", "what ran and waits, as a trace for kezek-sim");
  const auto flags = std::make_shared<SnapshotFlags>();
  flags->times.AddTo(*command);
  command->add_option("--gpu-type", flags->gpu_type, "[the one with the most GPUs]")
      ->type_name("TYPE");
  command->footer(
      "CSV on standard output. Users are numbers, projects their paths; scripts, names and\n"
      "environments are not in it.\n"
      "Examples:\n"
      "  kezek admin snapshot --since 30d > october.csv\n"
      "  kezek-sim compare --trace october.csv --estimates user");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunSnapshot(session, *flags); };
  });
}

}  // namespace kezek::cli
