// When a job is thought to start, and what would help, as lines.
#pragma once

#include <kezek/v1/explain.pb.h>

#include "cmd/kezek/host.h"

namespace kezek::cli {

// Nothing where nothing is known.
void PrintEstimate(const Host& host, const v1::StartEstimate& estimate);
void PrintAdvice(const Host& host, const google::protobuf::RepeatedPtrField<v1::Advice>& advice);
// All that a dry run says.
void PrintDryRun(const Host& host, const v1::DryRun& dry_run);

}  // namespace kezek::cli
