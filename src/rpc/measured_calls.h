// Every rpc, measured: method, code and time, in one place for all handlers. And the only place
// that sees what gRPC refuses before there is a handler: that gets a status with words.
#pragma once

#include <string_view>

#include "kezek/meter.h"

namespace grpc {
class ServerBuilder;
}

namespace kezek::rpc {

// `meter` outlives the server that is built; none: nothing is measured.
void MeasureCalls(grpc::ServerBuilder& builder, Meter* meter);

// What a method is called where calls are counted: without the leading slash, and "other" if it is
// none of ours, so that nobody can make up names that are kept.
std::string_view MeasuredName(std::string_view method);

}  // namespace kezek::rpc
