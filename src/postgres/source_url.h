/// \file
/// Where the source is: a postgres:// URL or a libpq keyword string, completed by libpq's own rules
/// (PG* variables, password file, service file).
///
/// Without sslmode in the text, in PGSSLMODE or in the service: verify-full against the system's CA
/// file, except where every host and every hostaddr is loopback or a socket directory. The password
/// never leaves this object but into libpq.
///
/// Thread safety: immutable after Parse(); Parse() reads the environment.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "sluice/result.h"

namespace sluice::postgres {

class SourceUrl {
 public:
  /// \param text "postgres://...", "postgresql://...", "host=... dbname=...", or empty: only the
  /// environment.
  /// Errors: kConfig SLU-2001. The text is never quoted, it may hold a password.
  static Result<SourceUrl> Parse(std::string_view text);
  /// \param primary where the primary of a source in recovery is; empty: nowhere.
  static Result<SourceUrl> Parse(std::string_view text, std::string_view primary);

  /// What is in force after defaults, for people and for telling pipelines apart. Several hosts:
  /// as given, comma-separated.
  const std::string& host() const { return host_; }
  const std::string& port() const { return port_; }
  const std::string& user() const { return user_; }
  const std::string& database() const { return database_; }
  const std::string& ssl_mode() const { return ssl_mode_; }
  /// sslmode was chosen by Sluice, not by the user: an error may name the word that lowers it.
  bool is_ssl_mode_ours() const { return is_ssl_mode_ours_; }

  /// "postgres://app@db:5432/shop": no password, no other setting.
  const std::string& redacted() const { return redacted_; }

  /// Of a source in recovery: who writes in its place. nullptr: not known.
  const SourceUrl* primary() const { return primary_.get(); }

  /// The same with another password (a password file of the configuration).
  SourceUrl WithPassword(std::string password) const;

  /// Keywords to pass to libpq, without application_name and the like. Holds the password: for
  /// connection.cc only.
  const std::map<std::string, std::string>& keywords() const { return keywords_; }

 private:
  SourceUrl() = default;

  std::map<std::string, std::string> keywords_;
  std::string host_;
  std::string port_;
  std::string user_;
  std::string database_;
  std::string ssl_mode_;
  std::string redacted_;
  bool is_ssl_mode_ours_ = false;
  std::shared_ptr<const SourceUrl> primary_;
};

/// Every host of a comma-separated list is a socket directory, "localhost", 127.0.0.0/8 or ::1; an
/// empty list means the default socket.
bool IsLocalHost(std::string_view hosts);

}  // namespace sluice::postgres
