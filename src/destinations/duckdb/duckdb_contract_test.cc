// The contract of every destination, with the replay oracle behind each commit.
#include "destinations/duckdb/duckdb_test_fixture.h"
#include "destinations/testing/destination_contract.h"

namespace sluice::testing {
namespace {

class Place final : public DestinationPlace {
 public:
  std::unique_ptr<Destination> Make() override {
    const std::string file = folder_.File("shop.duckdb");
    auto oracle = std::make_shared<duckdb::testing::ReplayOracle>(file);
    auto made = duckdb::MakeDuckDbDestination(
        {.path = file, .after_commit = [oracle] { return oracle->Check(); }});
    oracle->Watch(made.get());
    return made;
  }

 private:
  duckdb::Folder folder_;
};

std::unique_ptr<DestinationPlace> MakePlace() {
  return std::make_unique<Place>();
}

INSTANTIATE_TEST_SUITE_P(DuckDb, DestinationContract,
                         ::testing::Values(ContractParam{"file", MakePlace}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace sluice::testing
