// How RocksDB is set up, with the reasons; measured with keystead-storage-bench (README.md).
#pragma once

#include <memory>

#include "core/storage/log_store.h"
#include "core/storage/trim_filter.h"
#include "rocksdb/env.h"
#include "rocksdb/options.h"

namespace keystead::storage {

rocksdb::DBOptions MakeDbOptions(const Options& options, rocksdb::Env* env);
rocksdb::ColumnFamilyOptions MakeRowsOptions(const Options& options);
rocksdb::ColumnFamilyOptions MakeEntriesOptions(const Options& options,
                                                std::shared_ptr<const TrimTable> trims);

}  // namespace keystead::storage
