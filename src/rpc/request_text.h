// What holds for every request, wherever in it: its fields are known, its texts are some.
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
// own. NOT_YET names, by its number, a field that this server does not know.
Result<void> CheckTexts(const google::protobuf::Message& request);

}  // namespace kezek::rpc
