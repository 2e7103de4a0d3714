/// \file
/// The one error channel: Result<T> carries a value or an Error, Status carries nothing or an
/// Error.
///
/// The names are a subset of std::expected's (P0323), so that the class can be replaced by it once
/// the floor is a compiler that has it in every mode. Unlike an alias for std::expected it is
/// [[nodiscard]]: a dropped Status is a warning, and warnings are errors here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace sluice {

/// What the receiver should do about a failure; never which function failed.
enum class ErrorKind : std::uint8_t {
  kInvalidArgument,  ///< The caller could have checked. Fix the call.
  kConfig,           ///< The operator must change something. Do not retry.
  kAuth,             ///< Credentials or privileges. Do not retry.
  kConnection,       ///< The transport broke. Retry with backoff.
  kTimeout,          ///< A deadline passed. Retry with backoff.
  kProtocol,         ///< The peer sent bytes we cannot accept. Stop the pipeline.
  kUnsupported,      ///< Understood, but not handled. Stop the table.
  kConversion,       ///< A value has no faithful Arrow form. Stop the table.
  kSchemaConflict,   ///< The destination no longer fits the source. Stop the table.
  kDestination,      ///< The destination refused the batch. Its own policy decides.
  kStateStore,       ///< Progress could not be read or saved. Stop the pipeline.
  kCancelled,        ///< We were asked to stop. Not a failure; log at debug.
  kInternal,         ///< A bug. Stop the pipeline and say where.
};

struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  /// Our own words; never holds row values or secrets. Safe to log.
  std::string message = {};
  /// The peer's words. May hold row values: never in an API reply.
  std::string server_message = {};
  /// Five characters, or empty when the peer gave none.
  std::string sqlstate = {};
  /// Stable, "SLU-1203"; documented with cause and remedy.
  std::string code = {};
  /// What the operator can do now, in one line; may be empty.
  std::string advice = {};

  /// Prefixes where it happened, innermost first: `return std::move(error).At("table
  /// public.orders");`.
  Error&& At(std::string_view where) && {
    message.insert(0, ": ").insert(0, where);
    return std::move(*this);
  }
};

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  // NOLINTBEGIN(google-explicit-constructor): `return value;` and `return Error{...};` are the API.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  // NOLINTEND(google-explicit-constructor)

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& operator*() & { return *Checked<0>(&state_); }
  const T& operator*() const& { return *Checked<0>(&state_); }
  T&& operator*() && { return std::move(*Checked<0>(&state_)); }
  T* operator->() { return Checked<0>(&state_); }
  const T* operator->() const { return Checked<0>(&state_); }

  const Error& error() const& { return *Checked<1>(&state_); }
  Error&& error() && { return std::move(*Checked<1>(&state_)); }

 private:
  template <std::size_t I, class V>
  static auto* Checked(V* state) {
    if (state->index() != I) [[unlikely]]
      std::abort();
    return std::get_if<I>(state);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): as above.
  Result(Error error) : error_(std::move(error)) {}

  bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  const Error& error() const& {
    if (!error_) [[unlikely]]
      std::abort();
    return *error_;
  }
  Error&& error() && {
    if (!error_) [[unlikely]]
      std::abort();
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace sluice

#define SLUICE_CONCAT_INNER_(a, b) a##b
#define SLUICE_CONCAT_(a, b) SLUICE_CONCAT_INNER_(a, b)

/// Returns the error of `expr` (a Status or a Result) from this function, if it has one.
#define SLUICE_RETURN_IF_ERROR(expr)                              \
  do {                                                            \
    if (auto sluice_status = (expr); !sluice_status) [[unlikely]] \
      return std::move(sluice_status).error();                    \
  } while (false)

/// Declares or assigns `lhs` from the value of `expr`, or returns its error.
/// Expands to several statements: never the body of an unbraced `if`.
#define SLUICE_ASSIGN_OR_RETURN(lhs, expr) \
  SLUICE_ASSIGN_OR_RETURN_(SLUICE_CONCAT_(sluice_result_, __COUNTER__), lhs, expr)
#define SLUICE_ASSIGN_OR_RETURN_(temp, lhs, expr) \
  auto temp = (expr);                             \
  if (!temp) [[unlikely]]                         \
    return std::move(temp).error();               \
  lhs = *std::move(temp)
