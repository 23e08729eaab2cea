// TenantReplacement as two table files of RocksDB, which it takes in as a whole or not at all.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/storage/database.h"
#include "core/storage/tenant_copy.h"
#include "rocksdb/sst_file_writer.h"

namespace keystead::storage {

class TableReplacement final : public TenantReplacement {
 public:
  // In the folder of the store, under names that Database::Open clears away.
  static absl::StatusOr<std::unique_ptr<TableReplacement>> Begin(Database& database, uint32_t tenant,
                                                                 std::vector<RowRange> stay);
  ~TableReplacement() override;

  absl::Status Add(const TenantItem& item) override;
  absl::Status Finish() override;

  uint32_t tenant() const { return tenant_; }
  bool finished() const { return finished_; }
  const std::string& rows_path() const { return rows_path_; }
  const std::string& entries_path() const { return entries_path_; }
  const std::vector<std::pair<LogRef, uint64_t>>& trims() const { return trims_; }  // log, first kept

 private:
  TableReplacement(Database& database, uint32_t tenant, std::vector<RowRange> stay);
  absl::Status Open();
  absl::Status DropWhatIsThere();
  bool Stays(const TenantItem& row) const;

  Database& database_;
  const uint32_t tenant_;
  const std::vector<RowRange> stay_;  // in ascending order
  const std::string rows_path_;
  const std::string entries_path_;
  std::unique_ptr<rocksdb::SstFileWriter> rows_;
  std::unique_ptr<rocksdb::SstFileWriter> entries_;
  std::string last_;  // key that was added to the file under way
  bool rows_begun_ = false;
  bool finished_ = false;
  std::vector<std::pair<LogRef, uint64_t>> trims_;
};

}  // namespace keystead::storage
