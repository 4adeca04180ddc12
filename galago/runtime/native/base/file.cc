#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <vector>

#include "base/sha256.h"
#include "base/status.h"

namespace galago {
namespace {

constexpr size_t kAlignment = 64;  // a cache line, and the widest vector register
constexpr size_t kBlockBytes = 1 << 16;

class OpenFile {
 public:
  OpenFile(const std::string& path, const std::string& name, galago_status if_missing)
      : name_(name), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) fail(if_missing, "%s: %s", name.c_str(), std::strerror(errno));
    struct stat status;
    if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
      close(fd_);
      fail(if_missing, "%s: not a regular file", name.c_str());
    }
    size_bytes_ = static_cast<uint64_t>(status.st_size);
  }
  ~OpenFile() { close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  uint64_t size_bytes() const { return size_bytes_; }

  // Reads exactly num_bytes; a file that shrinks meanwhile is an error.
  void read_exactly(uint8_t* out, size_t num_bytes) {
    while (num_bytes > 0) {
      const ssize_t num_read = read(fd_, out, num_bytes);
      if (num_read < 0 && errno == EINTR) continue;
      if (num_read <= 0) {
        fail(GALAGO_E_CORRUPT, "%s: %s", name_.c_str(),
             num_read < 0 ? std::strerror(errno) : "ends too early");
      }
      out += num_read, num_bytes -= static_cast<size_t>(num_read);
    }
  }

 private:
  const std::string& name_;
  int fd_;
  uint64_t size_bytes_ = 0;
};

void expect_size(const OpenFile& file, const FileEntry& entry) {
  if (file.size_bytes() != entry.size_bytes) {
    fail(GALAGO_E_CORRUPT, "%s: has %llu bytes, manifest.json says %llu", entry.path.c_str(),
         static_cast<unsigned long long>(file.size_bytes()),
         static_cast<unsigned long long>(entry.size_bytes));
  }
}

void expect_digest(const Sha256Digest& digest, const FileEntry& entry) {
  if (to_hex(digest) != entry.sha256) {
    fail(GALAGO_E_CORRUPT, "%s: sha256 differs from manifest.json", entry.path.c_str());
  }
}

}  // namespace

FileBytes::FileBytes(size_t num_bytes) : num_bytes_(num_bytes) {
  // One byte more, so that there is memory even for an empty file.
  const size_t rounded = (num_bytes / kAlignment + 1) * kAlignment;
  data_.reset(static_cast<uint8_t*>(std::aligned_alloc(kAlignment, rounded)));
  if (!data_) throw std::bad_alloc();
}

FileBytes read_file(const std::string& path, const std::string& name, uint64_t max_bytes) {
  OpenFile file(path, name, GALAGO_E_NOT_FOUND);
  if (file.size_bytes() > max_bytes) {
    fail(GALAGO_E_CORRUPT, "%s: larger than %llu bytes", name.c_str(),
         static_cast<unsigned long long>(max_bytes));
  }
  FileBytes bytes(file.size_bytes());
  file.read_exactly(bytes.data(), bytes.size());
  return bytes;
}

FileBytes read_checked(const std::string& folder, const FileEntry& entry) {
  OpenFile file(folder + "/" + entry.path, entry.path, GALAGO_E_CORRUPT);
  expect_size(file, entry);
  FileBytes bytes(file.size_bytes());
  file.read_exactly(bytes.data(), bytes.size());
  expect_digest(sha256(bytes.data(), bytes.size()), entry);
  return bytes;
}

void check_file(const std::string& folder, const FileEntry& entry) {
  OpenFile file(folder + "/" + entry.path, entry.path, GALAGO_E_CORRUPT);
  expect_size(file, entry);
  std::vector<uint8_t> block(kBlockBytes);
  Sha256 hash;
  for (uint64_t left = entry.size_bytes; left > 0;) {
    const size_t num_bytes = static_cast<size_t>(std::min<uint64_t>(left, kBlockBytes));
    file.read_exactly(block.data(), num_bytes);
    hash.update(block.data(), num_bytes);
    left -= num_bytes;
  }
  expect_digest(hash.finish(), entry);
}

}  // namespace galago
