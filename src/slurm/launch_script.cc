// The script as Slurm gets it.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "kezek/output_path.h"
#include "slurm/codec.h"

namespace kezek::slurm {
namespace {

constexpr std::string_view kPreambleBegins = "[ \"${SLURM_RESTART_COUNT:-0}\" = 0 ] || exit 0; ";
constexpr std::string_view kPreambleEnds = "; : kezek; ";

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string QuotedArguments(const JobSpec& spec) {
  std::string text;
  for (const auto& argument : spec.arguments) text += " " + Quoted(argument);
  return text;
}

std::string Base64(const std::string& text) {
  std::string encoded((text.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return encoded;
}

// "#!/usr/bin/env bash -e" and "#!/bin/sh" are shells'.
bool IsShellScript(std::string_view script) {
  if (!script.starts_with("#!")) return false;
  std::string_view line = script.substr(2, script.find('\n') - 2);
  std::string_view word;
  do {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    word = line.substr(0, line.find_first_of(" \t\r"));
    line.remove_prefix(word.size());
    if (const auto slash = word.rfind('/'); slash != std::string_view::npos) {
      word.remove_prefix(slash + 1);
    }
  } while (word == "env");
  constexpr std::array<std::string_view, 5> kShells{"sh", "bash", "dash", "ksh", "zsh"};
  return std::find(kShells.begin(), kShells.end(), word) != kShells.end();
}

bool IsForBatchShell(const JobSpec& spec) {
  return spec.signal.batch_shell_only && !spec.signal.name.empty();
}

// Jobs that share a node had better not share it. Below the ports that Linux gives to whoever asks
// for any.
std::string RendezvousPort(const AttemptRef& attempt) {
  constexpr std::int64_t kFirst = 20'000;
  constexpr std::int64_t kPorts = 12'000;
  return std::to_string(kFirst + (attempt.job.id.value * 31 + attempt.job.element + 1) % kPorts);
}

// Slurm may run it again before Kezek sees that it was requeued: that is another attempt's to do.
// Its owner may have made Slurm's job one that is requeued. And a slurmctld that lost the news of a
// run with its host starts it anew under its id and counts no restart: what the run before leaves
// in the attempt's folder tells, where there is one. A history that was lost with the database may
// have left there what another id began. And a script may run itself, which is not a second start.
std::string RunsOnce() {
  const std::string file = "\"$KEZEK_OUTPUT_DIR/" + std::string(kBegunFile) + "$SLURM_JOB_ID\"";
  return std::string(kPreambleBegins) +
         "[ \"${KEZEK_BEGUN-}\" = \"$SLURM_JOB_ID\" ] || "
         "{ (set -C; : >" +
         file + ") 2>/dev/null || [ ! -e " + file + " ] || { kill -" +
         std::to_string(kBegunBeforeSignal) + " $$; exit 1; }; }; ";
}

// What goes in front of a script: slurmrestd makes a variable of the job's name in Slurm, which is
// Kezek's; the ranks of a job meet on the node of the first, which is the batch shell's; and the
// shell turns the one signal into the other.
std::string Preamble(const Launch& launch, bool traps) {
  const JobSpec& spec = launch.spec;
  std::string text =
      RunsOnce() + "export KEZEK_BEGUN=\"$SLURM_JOB_ID\" SLURM_JOB_NAME=" + Quoted(spec.name) +
      " MASTER_ADDR=\"$SLURMD_NODENAME\" MASTER_PORT=" + RendezvousPort(launch.attempt);
  if (traps) {
    text += std::string("; trap 'kill -s ") + spec.signal.name + " $$' " + kBatchShellSignal;
  }
  return text;
}

// The interpreter of a script, and its one argument if it has one, as the kernel would call it.
std::string Interpreter(std::string_view script) {
  std::string_view line = script.substr(std::min<std::size_t>(2, script.size()));
  line = line.substr(0, line.find('\n'));
  const auto trim = [](std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return std::string_view();
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
  };
  line = trim(line);
  const auto blank = line.find_first_of(" \t");
  const std::string path(line.substr(0, blank));
  if (blank == std::string_view::npos) return Quoted(path);
  return Quoted(path) + " " + Quoted(std::string(trim(line.substr(blank))));
}

// Runs `command` in place of the shell, so that signals reach it and its end is the job's; or under
// a shell that stays to turn the one signal into the other.
std::string RunInstead(const JobSpec& spec, bool traps, const std::string& command) {
  if (!traps) return "exec " + command + "\n";
  return command + " <&0 &\nkezek_child=$!\ntrap \"kill -s " + spec.signal.name +
         " $kezek_child\" " + kBatchShellSignal +
         "\nwhile :; do\n  wait \"$kezek_child\"\n  kezek_code=$?\n"
         "  kill -0 \"$kezek_child\" 2>/dev/null || exit \"$kezek_code\"\ndone\n";
}

// Up to where the script is a file of this name: `kezek_script`, which `named` sets.
std::string Unpacked(const Launch& launch, bool traps, const std::string& named) {
  const std::string encoded = Base64(launch.script);
  std::string lines;
  for (std::size_t i = 0; i < encoded.size(); i += 76) lines += encoded.substr(i, 76) + "\n";
  return "#!/bin/bash\n" + Preamble(launch, traps) + "\nkezek_path=/usr/bin:/bin\n" + named +
         "PATH=$kezek_path base64 -d >\"$kezek_script\" <<'KEZEK_SCRIPT' || exit 1\n" + lines +
         "KEZEK_SCRIPT\n";
}

// The arguments are in the command, or are the shell's own.
std::string Arguments(const Launch& launch, bool sets) {
  return sets ? QuotedArguments(launch.spec) : std::string(" \"$@\"");
}

// Runs a script of another language from a file that is open and has no name any more.
std::string Wrapped(const Launch& launch, bool traps, bool sets) {
  return Unpacked(launch, traps,
                  "kezek_script=$(PATH=$kezek_path mktemp 2>/dev/null ||"
                  " PATH=$kezek_path mktemp -p /tmp) || exit 1\n") +
         "exec 9<\"$kezek_script\"\nPATH=$kezek_path rm -f \"$kezek_script\"\n" +
         RunInstead(launch.spec, traps,
                    Interpreter(launch.script) + " /proc/self/fd/9" + Arguments(launch, sets));
}

// The template with values for its placeholders; in the values nothing is replaced.
std::string Filled(std::string_view line, const std::map<std::string_view, std::string>& values) {
  std::string filled;
  while (!line.empty()) {
    const auto value = std::find_if(values.begin(), values.end(),
                                    [&](const auto& one) { return line.starts_with(one.first); });
    filled += value == values.end() ? std::string(line.substr(0, 1)) : value->second;
    line.remove_prefix(value == values.end() ? 1 : value->first.size());
  }
  return filled;
}

// Runs the script in a container by the site's command line, from the attempt's folder: that is on
// the shared file system, goes when the output goes, and can be shown to the container.
std::string Contained(const Launch& launch, bool traps, bool sets) {
  const std::string command = Filled(
      launch.container_launch,
      {{"{image}", Quoted(launch.spec.container_image)},
       {"{output}", "\"$KEZEK_OUTPUT_DIR\""},
       {"{command}", Interpreter(launch.script) + " \"$kezek_script\"" + Arguments(launch, sets)}});
  return Unpacked(launch, traps, "kezek_script=\"$KEZEK_OUTPUT_DIR/script\"\n") +
         RunInstead(launch.spec, traps, command);
}

// Where the first line begins that is not empty and no comment: what sbatch reads stands before.
std::size_t FirstCommand(std::string_view script) {
  std::size_t begin = 0;
  while (begin < script.size()) {
    const auto first = script.find_first_not_of(" \t\r", begin);
    if (first == std::string_view::npos) break;
    if (script[first] != '#' && script[first] != '\n') return begin;
    begin = std::min(script.find('\n', first), script.size() - 1) + 1;
  }
  return script.size();
}

// Without what was in front of them, where a job has submitted its own script as it was given it.
std::string OwnLines(std::string lines) {
  const auto end = lines.find(kPreambleEnds);
  if (!lines.starts_with(kPreambleBegins) || end == std::string::npos) return lines;
  return lines.substr(end + kPreambleEnds.size());
}

}  // namespace

std::string LaunchScript(const Launch& launch, const Capabilities& can) {
  const bool traps = IsForBatchShell(launch.spec) && !can.signals_batch_shell;
  const bool sets = !can.takes_arguments && !launch.spec.arguments.empty();
  if (!launch.container_launch.empty()) return Contained(launch, traps, sets);
  if (!IsShellScript(launch.script)) return Wrapped(launch, traps, sets);
  // In front of what stands in that line: the lines keep their numbers.
  const std::size_t first = FirstCommand(launch.script);
  std::string script = launch.script.substr(0, first);
  if (!script.ends_with('\n')) script += '\n';
  script += Preamble(launch, traps);
  if (sets) script += "; set --" + QuotedArguments(launch.spec);
  return script.append(kPreambleEnds).append(OwnLines(launch.script.substr(first)));
}

}  // namespace kezek::slurm
