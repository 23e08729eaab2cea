#include "core/storage/rocksdb_options.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/observe/log.h"
#include "rocksdb/cache.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"

namespace keystead::storage {
namespace {

// RocksDB's own log is of use only where something is wrong; then it goes where our log goes.
class ForwardingLogger final : public rocksdb::Logger {
 public:
  ForwardingLogger() : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    Log(LogLevel::kWarning, "rocksdb", {{"text", static_cast<const char*>(line)}});
  }
};

rocksdb::BlockBasedTableOptions TableOptions(const Options& options) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  return table;
}

}  // namespace

rocksdb::DBOptions MakeDbOptions(const Options& options, rocksdb::Env* env) {
  rocksdb::DBOptions db;
  db.env = env;
  db.create_if_missing = options.create_if_missing;
  db.create_missing_column_families = true;
  db.info_log = std::make_shared<ForwardingLogger>();
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  // Ends replay at the first torn record: only what was never synced can be torn, also in the middle of the
  // file.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db.track_and_verify_wals_in_manifest = true;  // a log file that went missing is damage, not an old state
  db.bytes_per_sync = 1 << 20;  // spreads write-back, so that an fsync never meets a large backlog
  db.wal_bytes_per_sync = 1 << 20;
  db.max_bgerror_resume_count = 0;  // Database::Recover() decides
  db.max_background_jobs = 2;
  db.max_total_wal_size =
      6 * options.write_buffer_bytes;  // rows are few: flush them before they hold many logs back
  db.max_open_files = 512;
  db.keep_log_file_num = 1;
  return db;
}

rocksdb::ColumnFamilyOptions MakeRowsOptions(const Options& options) {
  rocksdb::ColumnFamilyOptions rows;
  rows.compression = rocksdb::kNoCompression;  // values are ciphertext
  rows.write_buffer_size = options.write_buffer_bytes / 4;
  rows.level_compaction_dynamic_level_bytes = true;
  rows.memtable_whole_key_filtering = true;  // most lookups are for rows that do not exist
  rows.memtable_prefix_bloom_size_ratio = 0.05;
  rows.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions(options)));
  return rows;
}

rocksdb::ColumnFamilyOptions MakeEntriesOptions(const Options& options,
                                                std::shared_ptr<const TrimTable> trims) {
  rocksdb::ColumnFamilyOptions entries;
  entries.compression = rocksdb::kNoCompression;
  entries.write_buffer_size = options.write_buffer_bytes;
  entries.max_write_buffer_number = 4;
  entries.level_compaction_dynamic_level_bytes = true;
  entries.target_file_size_base = options.write_buffer_bytes;
  // Compaction is the largest cost after the write itself: let more gather before it starts.
  entries.level0_file_num_compaction_trigger = 8;
  entries.max_bytes_for_level_base = 8 * options.write_buffer_bytes;
  entries.compaction_filter_factory = std::make_shared<TrimFilterFactory>(std::move(trims));
  // Large values are written once and not moved again by compaction.
  entries.enable_blob_files = true;
  entries.min_blob_size = 4096;
  entries.blob_file_size = 4 * options.write_buffer_bytes;
  entries.enable_blob_garbage_collection = true;
  entries.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions(options)));
  return entries;
}

}  // namespace keystead::storage
