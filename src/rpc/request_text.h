// What holds for the texts of every request, wherever in it they stand.
#pragma once

#include "kezek/result.h"

namespace google::protobuf {
class Message;
}

namespace kezek::rpc {

// FIELD_INVALID names the first text, by its path in the request, that is longer than 4 KiB (lists
// of jobs, of nodes and of indices: 128 KiB), or has a NUL byte, which nothing that is stored may
// hold. Left out are a job's environment, which spec_convert judges, as it does the length of
// scripts and arguments, and the submissions of a SubmitMany, each of which is a request of its
// own.
Result<void> CheckTexts(const google::protobuf::Message& request);

}  // namespace kezek::rpc
