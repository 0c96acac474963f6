#include "output/access_list.h"

#include <acl/libacl.h>
#include <sys/acl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <type_traits>

#include "output/descriptor.h"

namespace kezek::output {
namespace {

using Acl = std::unique_ptr<std::remove_pointer_t<acl_t>, int (*)(void*)>;

Result<Acl> FromText(const std::string& text) {
  Acl acl(::acl_from_text(text.c_str()), &::acl_free);
  if (!acl || ::acl_valid(acl.get()) != 0) {
    return SystemError(Code::kInternal, "acl_from_text(" + text + ")", errno);
  }
  return acl;
}

// The text of an ACL in which `user` has `rights` and `also` all, if they are not the owner.
std::string Text(uid_t user, const std::string& rights, uid_t also) {
  std::string text = "u::rwx,g::---,o::---,m::rwx,u:" + std::to_string(user) + ":" + rights;
  if (also != user) text += ",u:" + std::to_string(also) + ":rwx";
  return text;
}

Result<void> Set(int folder, acl_type_t type, const std::string& text) {
  const auto acl = FromText(text);
  if (!acl) return acl.error();
  // A default ACL can be set only by name; this one always is the open folder.
  const std::string name = "/proc/self/fd/" + std::to_string(folder);
  if (::acl_set_file(name.c_str(), type, acl->get()) != 0) {
    return SystemError(Code::kInternal, "setting the ACL " + text, errno);
  }
  return {};
}

}  // namespace

Result<void> LetPass(int folder, uid_t user) {
  return Set(folder, ACL_TYPE_ACCESS, Text(user, "--x", ::geteuid()));
}

Result<void> LetWrite(int folder, uid_t user) {
  const std::string text = Text(user, "rwx", ::geteuid());
  const auto access = Set(folder, ACL_TYPE_ACCESS, text);
  if (!access) return access;
  return Set(folder, ACL_TYPE_DEFAULT, text);
}

}  // namespace kezek::output
