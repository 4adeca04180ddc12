// What containers hold on the heap: counted, and written when it is made.
#ifndef GALAGO_NATIVE_BASE_HEAP_BYTES_H_
#define GALAGO_NATIVE_BASE_HEAP_BYTES_H_

#include <cstddef>
#include <vector>

namespace galago {

template <typename... T>
size_t heap_bytes(const std::vector<T>&... vectors) {
  return (size_t{0} + ... + (vectors.capacity() * sizeof(T)));
}

// Room for so many elements, written once: memory that is only reserved becomes resident when it is
// first used, and a session would grow at its first long utterance.
template <typename T>
void reserve_written(size_t num_elements, std::vector<T>* vector) {
  vector->resize(num_elements);
  vector->clear();
}

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_HEAP_BYTES_H_
