// ApplySlurmAccounts: what Slurm's accounting lacks for the attempts of Kezek's projects.
#include <algorithm>
#include <future>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rpc/books_plan.h"
#include "rpc/cluster_service.h"
#include "rpc/streams.h"

namespace kezek::rpc {
namespace {

constexpr std::size_t kNamedMost = 50;  // in the event

// The names of the first ones, and how many there are besides.
std::string NamesOf(const std::vector<MissingBooking>& bookings) {
  std::string names;
  for (std::size_t i = 0; i < bookings.size() && i < kNamedMost; ++i) {
    names += (i == 0 ? "" : ", ") + BookingText(bookings[i]);
  }
  if (bookings.size() <= kNamedMost) return names;
  return names + " and " + std::to_string(bookings.size() - kNamedMost) + " more";
}

// Blocks until it is committed.
Result<void> Note(const Parts& parts, const Caller& caller, NoteAct act) {
  std::promise<Result<void>> promise;
  auto noted = promise.get_future();
  parts.desk->Do({caller.user, caller.name, std::move(act)},
                 [&promise](const Result<CommandOutcome>& outcome) {
                   promise.set_value(outcome ? Result<void>() : Result<void>(outcome.error()));
                 });
  return noted.get();
}

// Says what lacks; makes what can be made, unless it is only asked.
class Booking {
 public:
  Booking(const Parts& parts, const Caller& caller, v1::ApplySlurmAccountsResponse* response)
      : parts_(parts), caller_(caller), response_(response) {}

  Result<void> Run(bool plan_only, const std::atomic<bool>& stopping) {
    if (parts_.books == nullptr) {
      return FieldProblem(Code::kFailedPrecondition,
                          {"", "NO_BOOKS", "this kezekd does not look at Slurm's accounting", {}});
    }
    if (stopping) return Stopping();
    const auto lacking = Plan();
    if (!lacking) return lacking.error();
    for (const MissingBooking& missing : *lacking) response_->add_missing(BookingText(missing));
    if (plan_only) {
      for (const auto& missing : *lacking) Command(missing);
      return {};
    }
    return Apply(*lacking, stopping);
  }

 private:
  Result<std::vector<MissingBooking>> Plan() {
    const auto books = parts_.books->ReadAccounts();
    if (!books) return BooksError(books.error());
    cluster_ = books->cluster;
    return PlanBooks(*parts_.desk->view()->directory, *books);
  }

  Result<void> Apply(const std::vector<MissingBooking>& lacking,
                     const std::atomic<bool>& stopping) {
    std::vector<MissingBooking> wanted;
    std::copy_if(lacking.begin(), lacking.end(), std::back_inserter(wanted), CanBeMade);
    if (wanted.empty()) {
      for (const auto& missing : lacking) Command(missing);
      return {};
    }
    // On record before it is done: what is done to Slurm is never without its event.
    auto noted = Note(parts_, caller_, {"associations in Slurm", "to be made: " + NamesOf(wanted)});
    if (!noted) return noted;
    std::map<MissingBooking, std::string> problems;
    for (const MissingBooking& missing : wanted) {
      if (stopping) return Stopping();
      const auto made = MakeBooking(*parts_.books, missing);
      if (!made) problems[missing] = made.error().message;
    }
    return Tell(lacking, problems);
  }

  // What is there now counts, whatever was answered.
  Result<void> Tell(const std::vector<MissingBooking>& lacking,
                    const std::map<MissingBooking, std::string>& problems) {
    const auto left = Plan();
    if (!left) return left.error();
    std::set<std::string> still;
    for (const auto& missing : *left) still.insert(BookingText(missing));
    for (const MissingBooking& missing : lacking) {
      const std::string text = BookingText(missing);
      if (!still.contains(text)) {
        response_->add_made(text);
        continue;
      }
      Command(missing);
      const auto problem = problems.find(missing);
      if (problem != problems.end()) {
        response_->add_refused(text + ": " + problem->second);
      } else if (CanBeMade(missing)) {
        response_->add_refused(text + ": Slurm has taken it, and does not show it");
      }
    }
    return {};
  }

  void Command(const MissingBooking& missing) {
    response_->add_commands(CommandFor(missing, cluster_));
  }

  const Parts& parts_;
  const Caller& caller_;
  v1::ApplySlurmAccountsResponse* response_;
  std::string cluster_;
};

}  // namespace

grpc::ServerUnaryReactor* ClusterServiceImpl::ApplySlurmAccounts(
    grpc::CallbackServerContext* context, const v1::ApplySlurmAccountsRequest* request,
    v1::ApplySlurmAccountsResponse* response) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    const auto started =
        site_.Start([this, caller, request, response, reply](const std::atomic<bool>& stopping) {
          reply.Finish(Booking(parts_, *caller, response).Run(request->plan_only(), stopping));
        });
    if (!started) reply.Fail(started.error());
  };
  return Serve(context, parts_, Method("ApplySlurmAccounts"), *request,
               ForThisCluster(settings_, request, handle));
}

}  // namespace kezek::rpc
