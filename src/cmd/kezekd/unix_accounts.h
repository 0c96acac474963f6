// The Unix accounts of this host, by the name service.
#pragma once

#include <string>

#include "kezek/user.h"

namespace kezek::kezekd {

class HostAccounts final : public UnixAccounts {
 public:
  Result<std::int64_t> FindUid(const std::string& unix_account) override;
};

}  // namespace kezek::kezekd
