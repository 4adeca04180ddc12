// Whether memory is in the process already, or would be its growth when it is written.
#ifndef GALAGO_TESTS_NATIVE_RESIDENT_H_
#define GALAGO_TESTS_NATIVE_RESIDENT_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "check.h"

// Of the memory that begins here, all its whole pages.
inline bool is_resident(const char* begin, size_t num_bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  const uintptr_t last = (reinterpret_cast<uintptr_t>(begin) + num_bytes) / page * page;
  std::vector<unsigned char> pages((last - first) / page);
  CHECK(mincore(reinterpret_cast<void*>(first), last - first, pages.data()) == 0);
  CHECK(!pages.empty());
  for (const unsigned char resident : pages) {
    if ((resident & 1) == 0) return false;
  }
  return true;
}

#endif  // GALAGO_TESTS_NATIVE_RESIDENT_H_
