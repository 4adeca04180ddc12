// Errors: exceptions inside, status codes at the C ABI (abi.cc turns one into the other).
#ifndef GALAGO_NATIVE_BASE_STATUS_H_
#define GALAGO_NATIVE_BASE_STATUS_H_

#include <cstdint>
#include <exception>
#include <string>

#include "galago/galago.h"

namespace galago {

// A failed call: the status that the C ABI answers and the sentence of galago_last_error().
class Error : public std::exception {
 public:
  Error(galago_status status, std::string message)
      : status_(status), message_(std::move(message)) {}

  galago_status status() const { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  galago_status status_;
  std::string message_;
};

// Throws Error(status, the formatted message).
[[noreturn]] void fail(galago_status status, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

// This thread's galago_last_error().  Too long a message is cut.
void set_last_error(const char* message) noexcept;

// The same for calls that must not allocate, not even a thread's first message buffer: `format` is
// a literal with at most one %llu, put together only when somebody asks.
void set_last_error_real_time(const char* format, uint64_t number = 0) noexcept;

const char* last_error() noexcept;

const char* status_name(galago_status status) noexcept;

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_STATUS_H_
