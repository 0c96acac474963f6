#include "http/routes.h"

#include <algorithm>
#include <set>

namespace kezek::http {
namespace {

bool Fits(const Route& route, std::string_view path) {
  if (route.path == path) return true;
  return route.path.size() > 1 && route.path.ends_with('/') && path.starts_with(route.path);
}

bool Takes(const Route& route, std::string_view method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

}  // namespace

Found Routes::Find(std::string_view method, std::string_view path) const {
  Found found;
  std::size_t longest = 0;
  std::set<std::string> allowed;
  for (const Route& route : routes_) {
    if (!Fits(route, path) || route.path.size() < longest) continue;
    if (route.path.size() > longest) {
      longest = route.path.size();
      found.route = nullptr;
      allowed.clear();
    }
    allowed.insert(route.method);
    if (route.method == "GET") allowed.insert("HEAD");
    if (Takes(route, method)) found.route = &route;
  }
  if (found.route != nullptr) return found;
  if (allowed.empty()) {
    found.refusal = TextResponse(404, "nothing is served here");
    return found;
  }
  std::string list;
  for (const auto& one : allowed) list += (list.empty() ? "" : ", ") + one;
  found.refusal = TextResponse(405, "this path takes " + list);
  found.refusal.headers.emplace_back("Allow", list);
  return found;
}

}  // namespace kezek::http
