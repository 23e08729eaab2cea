// The folder of tenants' CA certificates while a program runs: a ca.pem that is exchanged or taken away
// counts with the next look.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/identity/principal.h"

namespace keystead {

// Thread-compatible.
class TenantFolder {
 public:
  // `others`: tenants whose registration came from elsewhere, and is none of the folder's. `served`: whether
  // a tenant of the folder is still to be registered; empty: all are.
  TenantFolder(std::string folder, TenantDirectory* directory, std::set<TenantName> others = {},
               std::function<bool(const TenantName&)> served = {})
      : folder_(std::move(folder)),
        directory_(directory),
        others_(std::move(others)),
        served_(std::move(served)) {}

  // Looks at <folder>/<tenant>/ca.pem of each tenant that the directory had at the first look. A file that
  // is exchanged is registered anew, one that is gone takes its tenant's registration away until it is back;
  // one that is malformed changes nothing. An empty folder name does nothing. Whether anything changed: open
  // calls should then be looked at again. NOT_FOUND when the folder itself is not there: then nothing
  // changes; otherwise the first error, after all others were looked at.
  absl::StatusOr<bool> Refresh();

  // What the refreshes since the last call saw and did not register: the ca.pem of a tenant that is not
  // served, once for each time that it is exchanged; or a folder that has one and was not there at the first
  // look, once.
  struct Ignored {
    TenantName tenant;
    bool is_new = false;
  };
  std::vector<Ignored> TakeIgnored() { return std::exchange(ignored_, {}); }

 private:
  void LookForNew();
  absl::Status Register(const TenantName& tenant, const std::string& path);

  const std::string folder_;
  TenantDirectory* const directory_;
  const std::set<TenantName> others_;
  const std::function<bool(const TenantName&)> served_;
  bool looked_ = false;
  std::set<TenantName> seen_;  // folders with a ca.pem
  std::vector<Ignored> ignored_;
  std::map<TenantName, std::string> stamps_;  // of the ca.pem that is registered; empty: there is none
};

}  // namespace keystead
