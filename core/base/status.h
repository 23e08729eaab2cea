// The two macros with which every fallible call is propagated. Functions that can fail because of input,
// peer, disk or time return absl::Status or absl::StatusOr; we throw nothing.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define KS_CONCAT_INNER_(a, b) a##b
#define KS_CONCAT_(a, b) KS_CONCAT_INNER_(a, b)

// Returns from the enclosing function when `expr` is not OK.
#define KS_RETURN_IF_ERROR(expr)                                               \
  do {                                                                         \
    if (absl::Status ks_status_ = (expr); !ks_status_.ok()) return ks_status_; \
  } while (false)

// KS_ASSIGN_OR_RETURN(auto x, F()): declares or assigns `x` from a StatusOr, or returns its status.
#define KS_ASSIGN_OR_RETURN(lhs, expr) KS_ASSIGN_OR_RETURN_(KS_CONCAT_(ks_statusor_, __LINE__), lhs, expr)
#define KS_ASSIGN_OR_RETURN_(tmp, lhs, expr)     \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return std::move(tmp).status(); \
  lhs = *std::move(tmp)
