// TLS as the command line speaks it: what it trusts, what it shows, and what went wrong.
#pragma once

#include <memory>
#include <string>

#include "cmd/kezek/context.h"
#include "kezek/result.h"

namespace grpc {
class ChannelCredentials;
}

namespace kezek::cli {

// Of the context's endpoint. INVALID_ARGUMENT with the path if a file cannot be read, or if the
// context has a client certificate without a key.
Result<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(const Context& context);

// The authorities a context trusts, PEM: its file's, or the system's.
Result<std::string> Authorities(const Context& context);

// Why there is no connection, in words that name the way out; "" if TLS is not to blame. Makes a
// connection of its own, waits three seconds at most, sends nothing but the handshake.
std::string WhyNoHandshake(const Context& context);

}  // namespace kezek::cli
