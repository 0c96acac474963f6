// Estimates and advice as the API shows them. Pure.
#pragma once

#include <optional>

#include "kezek/desk.h"
#include "kezek/outlook.h"
#include "kezek/v1/explain.pb.h"
#include "rpc/outlooks.h"

namespace kezek::rpc {

// Why nothing is known of when a job starts: it is held, waits for other jobs, is set aside; or
// nothing starts now. kNone: a look ahead can tell.
Reason Untold(const View& view, const Job& job);

// Of what does not start now: when, if that is known.
void FillEstimate(const Outlook& outlook, const std::optional<EstimateTest::Errors>& errors,
                  v1::StartEstimate* wire);
v1::Advice ToWire(const View& view, const OutlookAdvice& advice);
void FillDryRun(const View& view, const Outlook& outlook,
                const std::optional<EstimateTest::Errors>& errors, v1::DryRun* wire);

// kWiderThanUnguaranteed of a gang that counts as more than all that the guarantees of accounts
// beside its own leave, as far as these are in demand by the last plan: `asked`, `available`, and
// `nodes` if fewer would do. kNone: it is no gang, not that wide, or not for shared nodes.
Reason TooWide(const View& view, const JobSpec& spec, MilliGpus counted_milli);

}  // namespace kezek::rpc
