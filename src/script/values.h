// The values of Slurm's options, as text to numbers. Each function takes the whole text of a value
// and fails with INVALID_ARGUMENT and a message that says what was expected, without naming the
// option: the caller knows that. Pure, but for the time zone that ParseMoment reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/result.h"
#include "script/batch_options.h"

namespace kezek::script {

// A decimal number from `min` to `max`, digits only (with a leading `-` if `min` is negative).
Result<std::int64_t> ParseNumber(std::string_view text, std::int64_t min, std::int64_t max);

// A length of time in milliseconds: Slurm's `minutes`, `mm:ss`, `hh:mm:ss`, `d-hh`, `d-hh:mm`,
// `d-hh:mm:ss`, or numbers with units, largest first: `90s`, `30m`, `1h30m`, `2d`. More than zero
// and at most 10,000 days. Slurm's UNLIMITED is refused: a job must end.
Result<std::int64_t> ParseDuration(std::string_view text);

// MiB, rounded up, of `512`, `4G`, `1.5` is refused; suffixes K, M, G, T, with B if wanted.
Result<Memory> ParseMemory(std::string_view text);

// `4`, `2-4`, `1k`.
Result<NodeRange> ParseNodes(std::string_view text);

// Of -G and its kin: `8`, `h200:8`.
Result<GpuCount> ParseGpus(std::string_view text);

// Of --gres: `gpu`, `gpu:4`, `gpu:h200:4`, each also after `gres:` or `gres/`.
Result<GpuCount> ParseGres(std::string_view text);

// `0-15,20-30:2%4`. Ranges are as written; they may overlap, as in Slurm.
Result<ArraySpec> ParseArray(std::string_view text);

// Indices of an array as the API and Slurm write them, ascending, each index once.
std::string FormatIndices(const ArraySpec& array);

// `afterok:1:2,afterany:3_4,after:5+10`.
Result<std::vector<Dependency>> ParseDependencies(std::string_view text);

// `USR1`, `SIGUSR1@120`, `B:10@60`.
Result<SignalSpec> ParseSignal(std::string_view text);

// `ALL`, `NONE`, `A,B=2`, `ALL,A=1`; a value may be quoted to hold commas.
Result<ExportSpec> ParseExport(std::string_view text);

// A host list `n[01-04,06],x1` as names, in order.
Result<std::vector<std::string>> ParseHostList(std::string_view text);

// Features joined by `&` or commas, each of which a node must have.
Result<std::vector<std::string>> ParseConstraints(std::string_view text);

// UTC milliseconds of a time as --begin writes it, in the local time zone: `now`, `now+1hour`,
// `16:00`, `4:30pm`, `noon`, `tomorrow`, `2026-12-01`, `2026-12-01T08:00[:30]`, `120126`,
// `12/01/26`. A time of day that is over today means tomorrow. `now_ms` is UTC milliseconds.
Result<std::int64_t> ParseMoment(std::string_view text, std::int64_t now_ms);

}  // namespace kezek::script
