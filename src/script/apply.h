// What each option does to BatchOptions: the last column of the option table.
#pragma once

#include "kezek/result.h"
#include "script/option_table.h"

namespace kezek::script::apply {

Result<void> Name(BatchOptions& options, const Given& given);
Result<void> Project(BatchOptions& options, const Given& given);
Result<void> JobClass(BatchOptions& options, const Given& given);
Result<void> Kind(BatchOptions& options, const Given& given);
Result<void> Nodes(BatchOptions& options, const Given& given);
Result<void> Gpus(BatchOptions& options, const Given& given);
Result<void> GpusPerNode(BatchOptions& options, const Given& given);
Result<void> GpusPerTask(BatchOptions& options, const Given& given);
Result<void> Gres(BatchOptions& options, const Given& given);
Result<void> GpuType(BatchOptions& options, const Given& given);
Result<void> Ntasks(BatchOptions& options, const Given& given);
Result<void> NtasksPerNode(BatchOptions& options, const Given& given);
Result<void> CpusPerTask(BatchOptions& options, const Given& given);
Result<void> CpusPerGpu(BatchOptions& options, const Given& given);
Result<void> Mem(BatchOptions& options, const Given& given);
Result<void> MemPerCpu(BatchOptions& options, const Given& given);
Result<void> MemPerGpu(BatchOptions& options, const Given& given);
Result<void> Exclusive(BatchOptions& options, const Given& given);
Result<void> Within(BatchOptions& options, const Given& given);
Result<void> Prefer(BatchOptions& options, const Given& given);
Result<void> SpreadOver(BatchOptions& options, const Given& given);
Result<void> Constraint(BatchOptions& options, const Given& given);
Result<void> NodeList(BatchOptions& options, const Given& given);
Result<void> Exclude(BatchOptions& options, const Given& given);
Result<void> Time(BatchOptions& options, const Given& given);
Result<void> TimeMin(BatchOptions& options, const Given& given);
Result<void> Begin(BatchOptions& options, const Given& given);
Result<void> Deadline(BatchOptions& options, const Given& given);
Result<void> DependencyList(BatchOptions& options, const Given& given);
Result<void> KillOnInvalidDep(BatchOptions& options, const Given& given);
Result<void> Array(BatchOptions& options, const Given& given);
Result<void> Requeue(BatchOptions& options, const Given& given);
Result<void> NoRequeue(BatchOptions& options, const Given& given);
Result<void> MaxAttempts(BatchOptions& options, const Given& given);
Result<void> Signal(BatchOptions& options, const Given& given);
Result<void> Grace(BatchOptions& options, const Given& given);
Result<void> Checkpoint(BatchOptions& options, const Given& given);
Result<void> HoldJob(BatchOptions& options, const Given& given);
Result<void> Nice(BatchOptions& options, const Given& given);
Result<void> Output(BatchOptions& options, const Given& given);
Result<void> ErrorFile(BatchOptions& options, const Given& given);
Result<void> Input(BatchOptions& options, const Given& given);
Result<void> Open(BatchOptions& options, const Given& given);
Result<void> Chdir(BatchOptions& options, const Given& given);
Result<void> Export(BatchOptions& options, const Given& given);
Result<void> Classification(BatchOptions& options, const Given& given);
Result<void> Container(BatchOptions& options, const Given& given);
Result<void> Reservation(BatchOptions& options, const Given& given);
Result<void> Comment(BatchOptions& options, const Given& given);
Result<void> Wait(BatchOptions& options, const Given& given);
Result<void> Parsable(BatchOptions& options, const Given& given);
Result<void> Wrap(BatchOptions& options, const Given& given);

}  // namespace kezek::script::apply
