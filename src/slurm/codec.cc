// The versions of the API that Kezek speaks, and their paths.
#include "slurm/codec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <utility>

namespace kezek::slurm {
namespace {

using Family = Codec::Family;

constexpr Capabilities kWithV40{.signals_batch_shell = true,
                                .takes_arguments = true,
                                .warns_of_lost_fields = true,
                                .keeps_exit_codes = true,
                                .lists_states = true,
                                .changes_nodes = true};

constexpr Capabilities WithRefusals(Capabilities can) {
  can.tells_refusals = true;
  return can;
}

constexpr Capabilities WithRequeue(Capabilities can) {
  can.requeues = true;
  return can;
}

constexpr Capabilities kWithV42 = WithRefusals(kWithV40);

constexpr std::array<Codec, 7> kCodecs{{{"v0.0.45", Family::kNested, WithRequeue(kWithV42)},
                                        {"v0.0.44", Family::kNested, kWithV42},
                                        {"v0.0.43", Family::kNested, kWithV42},
                                        {"v0.0.42", Family::kNested, kWithV42},
                                        {"v0.0.41", Family::kNested, kWithV40},
                                        {"v0.0.40", Family::kNested, kWithV40},
                                        {"v0.0.38", Family::kPlain, {.tells_refusals = true}}}};

// Slurm's own names of signals. What it is told by another name it takes for none.
constexpr std::array<std::string_view, 15> kSlurmsSignals{"HUP",  "INT",  "QUIT", "ABRT", "KILL",
                                                          "ALRM", "TERM", "USR1", "USR2", "URG",
                                                          "CONT", "STOP", "TSTP", "TTIN", "TTOU"};

constexpr std::array<std::pair<std::string_view, int>, 16> kOtherSignals{{{"ILL", SIGILL},
                                                                          {"TRAP", SIGTRAP},
                                                                          {"BUS", SIGBUS},
                                                                          {"FPE", SIGFPE},
                                                                          {"SEGV", SIGSEGV},
                                                                          {"PIPE", SIGPIPE},
                                                                          {"STKFLT", SIGSTKFLT},
                                                                          {"CHLD", SIGCHLD},
                                                                          {"XCPU", SIGXCPU},
                                                                          {"XFSZ", SIGXFSZ},
                                                                          {"VTALRM", SIGVTALRM},
                                                                          {"PROF", SIGPROF},
                                                                          {"WINCH", SIGWINCH},
                                                                          {"IO", SIGIO},
                                                                          {"PWR", SIGPWR},
                                                                          {"SYS", SIGSYS}}};

std::string Joined(std::string_view start, std::string_view version, std::string_view tail) {
  std::string path(start);
  return path.append(version).append(tail);
}

}  // namespace

std::span<const Codec> Codecs() { return kCodecs; }

std::optional<std::string> SlurmSignal(const std::string& signal) {
  if (std::find(kSlurmsSignals.begin(), kSlurmsSignals.end(), signal) != kSlurmsSignals.end()) {
    return signal;
  }
  for (const auto& [name, number] : kOtherSignals) {
    if (name == signal) return std::to_string(number);
  }
  int number = 0;
  const char* end = signal.data() + signal.size();
  const auto [last, error] = std::from_chars(signal.data(), end, number);
  if (error != std::errc() || last != end || number < 1 || number > SIGRTMAX) return std::nullopt;
  return std::to_string(number);
}

std::string Codec::Path(std::string_view tail) const { return Joined("/slurm/", version_, tail); }

std::string Codec::AccountingPath(std::string_view tail) const {
  return Joined("/slurmdb/", version_, tail);
}

std::string Codec::JobPath(std::int64_t id) const {
  return Path("/job/").append(std::to_string(id));
}

// v0.0.40 and v0.0.41 want it marked as seconds, later ones take it so, too.
std::string Codec::PathSince(std::string_view tail, std::int64_t update_time_s) const {
  std::string path = Path(tail) + "?update_time=";
  if (family_ == Family::kNested) path += "uts";
  return path + std::to_string(update_time_s);
}

std::optional<std::string> Codec::SignalPath(std::int64_t id, const std::string& signal,
                                             bool batch_shell_only) const {
  const auto word = SlurmSignal(signal);
  if (!word) return std::nullopt;
  std::string path = JobPath(id) + "?signal=";
  if (!batch_shell_only) return path + *word;
  return path + (can_.signals_batch_shell ? *word + "&flags=BATCH_JOB" : kBatchShellSignal);
}

}  // namespace kezek::slurm
