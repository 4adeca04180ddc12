// The one exception type of the core.
//
// Inside the core a failure is an Error; abi.cc turns it into a status and a message for
// galago_last_error(). The codes are those of galago.h, repeated as an enum so that the
// decoders need not include the C header.
#ifndef GALAGO_NATIVE_STATUS_H_
#define GALAGO_NATIVE_STATUS_H_

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace galago {

enum StatusCode : int32_t {
  kOk = 0,
  kInternal = -1,
  kInvalidArgument = -2,
  kInvalidState = -3,
  kAbi = -4,
  kNotFound = -5,
  kCorrupt = -6,
  kUnsupported = -7,
  kNoMemory = -8,
  kFull = -9,
  kBackend = -10,
};

class Error : public std::exception {
 public:
  Error(int32_t code, std::string message) : code_(code), message_(std::move(message)) {}

  int32_t code() const noexcept { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  int32_t code_;
  std::string message_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_STATUS_H_
