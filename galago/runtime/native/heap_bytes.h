// What containers hold on the heap, for the count of a session's memory.
#ifndef GALAGO_NATIVE_HEAP_BYTES_H_
#define GALAGO_NATIVE_HEAP_BYTES_H_

#include <cstddef>
#include <vector>

namespace galago {

template <typename... T>
size_t heap_bytes(const std::vector<T>&... vectors) {
  return (size_t{0} + ... + (vectors.capacity() * sizeof(T)));
}

}  // namespace galago

#endif  // GALAGO_NATIVE_HEAP_BYTES_H_
