/// \file
/// What every destination must do, as a test suite. A destination's own test file says:
///
///   INSTANTIATE_TEST_SUITE_P(Memory, DestinationContract, ::testing::Values(ContractParam{...}));
///
/// Tests that need rows back are skipped where Capabilities::keeps_rows is false or log rows are
/// wanted.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "sluice/destination.h"

#include "destinations/testing/rows.h"

namespace sluice::testing {

/// One place (a storage, a file) that may be opened again and again, by one destination at a time.
class DestinationPlace {
 public:
  virtual ~DestinationPlace() = default;
  virtual std::unique_ptr<Destination> Make() = 0;
};

struct ContractParam {
  std::string name;
  std::function<std::unique_ptr<DestinationPlace>()> make_place;
};
/// Not inline: who prints it links the tests.
void PrintTo(const ContractParam& param, std::ostream* out);

Birth MakeBirth();

class DestinationContract : public ::testing::TestWithParam<ContractParam> {
 protected:
  void SetUp() override;
  void TearDown() override;

  bool keeps_net_rows() const;
  DeliveryState OpenIt();
  /// Close, then a new destination on the same place.
  DeliveryState Reopen();
  /// Without Close(): as after a kill.
  DeliveryState CrashAndReopen();
  /// StoreBirth, copy `rows`, land, commit as live.
  void MakeLive(const SchemaPtr& schema, const std::vector<TextRow>& rows);
  void CopyRows(const SchemaPtr& schema, const std::vector<TextRow>& rows);
  void StageNet(NetChange change);
  Result<StageOutcome> TryStageNet(NetChange change);
  void StageLand(const SchemaPtr& schema);
  /// Commits with the next sequence and position, and this table's record if `schema` is given.
  void CommitNow(const SchemaPtr& schema = nullptr);
  TableRecord RecordOf(const SchemaPtr& schema) const;
  /// Sorted.
  std::vector<TextRow> ReadRows(const SchemaPtr& schema);
  /// Those that follow from the log.
  std::vector<TextRow> ReadLog(const SchemaPtr& schema);
  CommitRecord NextRecord();
  std::vector<TextRow> Read(const SchemaPtr& schema, TableMode mode);

  std::unique_ptr<DestinationPlace> place_;
  std::unique_ptr<Destination> destination_;
  TableMode mode_ = TableMode::kMirror;  ///< of what lands and is recorded
  Watermarks watermarks_;
  std::uint64_t sequence_ = 0;
  std::uint64_t lsn_ = 0x1000;
};

}  // namespace sluice::testing
