// Looks at the files of TLS before they are served: what is wrong with them is said at the start,
// not at the first handshake.
#pragma once

#include "kezek/result.h"
#include "kezek/time.h"
#include "kezek/tls.h"

namespace kezek::kezekd {

// Nothing to say of no files. Otherwise INVALID_ARGUMENT with the key of the configuration: a file
// cannot be read or is not PEM, the key is not the certificate's, others than its owner and its
// group may read the key, the certificate does not hold at `now`. Reads files.
Result<void> CheckTls(const TlsFiles& files, TimeMs now);

}  // namespace kezek::kezekd
