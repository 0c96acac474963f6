// What holds for the texts of every request, wherever in it they stand.
#pragma once

#include "kezek/result.h"

namespace google::protobuf {
class Message;
}

namespace kezek::rpc {

// FIELD_INVALID names the first text with a NUL byte, which no text that is stored may hold, by its
// path in the request. Left out are a job's environment, which spec_convert judges, and the
// submissions of a SubmitMany, each of which is a request of its own.
Result<void> CheckTexts(const google::protobuf::Message& request);

}  // namespace kezek::rpc
