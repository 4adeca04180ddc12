// Files of a bundle: read whole, compared with size and SHA-256, only then handed on.
#ifndef GALAGO_NATIVE_BASE_FILE_H_
#define GALAGO_NATIVE_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace galago {

// A file's bytes, aligned for an inference engine that uses them in place.
class FileBytes {
 public:
  explicit FileBytes(size_t num_bytes);

  uint8_t* data() { return data_.get(); }
  const uint8_t* data() const { return data_.get(); }
  size_t size() const { return num_bytes_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data()), size()}; }

 private:
  struct Free {
    void operator()(uint8_t* data) const { std::free(data); }
  };
  std::unique_ptr<uint8_t[], Free> data_;
  size_t num_bytes_;
};

// The whole file.  `name` stands in messages.  Throws GALAGO_E_NOT_FOUND if it is not there or
// cannot be read, GALAGO_E_CORRUPT if it is larger than max_bytes.
FileBytes read_file(const std::string& path, const std::string& name, uint64_t max_bytes);

struct FileEntry {
  std::string path;    // relative to the bundle, '/' between names
  std::string sha256;  // 64 lower-case hexadecimal digits
  uint64_t size_bytes = 0;
};

// The bytes of a bundle's file that are known to be those of its manifest.  Throws
// GALAGO_E_CORRUPT naming the file if it is missing or differs.
FileBytes read_checked(const std::string& folder, const FileEntry& entry);

// The same comparison in bounded memory, for files this process does not use.
void check_file(const std::string& folder, const FileEntry& entry);

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_FILE_H_
