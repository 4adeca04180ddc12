// Checked files: bytes that differ from their entry are never handed out.
#include "base/file.h"

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/sha256.h"
#include "base/status.h"
#include "check.h"

using namespace galago;
namespace fs = std::filesystem;

namespace {

fs::path scratch() {
  const fs::path folder =
      fs::temp_directory_path() / ("galago_test_file_" + std::to_string(getpid()));
  fs::create_directories(folder);
  return folder;
}

FileEntry write(const fs::path& folder, const std::string& name, const std::string& content) {
  std::ofstream(folder / name, std::ios::binary) << content;
  FileEntry entry;
  entry.path = name;
  entry.size_bytes = content.size();
  entry.sha256 = to_hex(sha256(content.data(), content.size()));
  return entry;
}

}  // namespace

TEST(a_file_equal_to_its_entry_is_read_aligned) {
  const fs::path folder = scratch();
  for (size_t size : {size_t{0}, size_t{1}, size_t{64}, size_t{100'000}}) {
    const FileEntry entry = write(folder, "f", std::string(size, 'x'));
    const FileBytes bytes = read_checked(folder.string(), entry);
    CHECK_EQ(bytes.size(), size);
    CHECK_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % 64, 0u);
    check_file(folder.string(), entry);
  }
  fs::remove_all(folder);
}

TEST(a_file_that_differs_is_refused_by_name) {
  const fs::path folder = scratch();
  FileEntry entry = write(folder, "model.bin", std::string(200'000, 'x'));
  write(folder, "model.bin", std::string(199'999, 'x') + 'y');
  CHECK_THROWS(read_checked(folder.string(), entry), "model.bin: sha256 differs");
  CHECK_THROWS(check_file(folder.string(), entry), "model.bin: sha256 differs");
  write(folder, "model.bin", std::string(199'999, 'x'));
  CHECK_THROWS(read_checked(folder.string(), entry), "model.bin: has 199999 bytes");
  CHECK_THROWS(check_file(folder.string(), entry), "model.bin: has 199999 bytes");
  fs::remove(folder / "model.bin");
  CHECK_THROWS(read_checked(folder.string(), entry), "model.bin: No such file");
  fs::create_directory(folder / "model.bin");
  CHECK_THROWS(check_file(folder.string(), entry), "model.bin: not a regular file");
  fs::remove_all(folder);
}

TEST(a_file_larger_than_allowed_is_not_read) {
  const fs::path folder = scratch();
  write(folder, "f", std::string(1001, 'x'));
  CHECK_THROWS(read_file((folder / "f").string(), "f", 1000), "f: larger than 1000 bytes");
  CHECK_EQ(read_file((folder / "f").string(), "f", 1001).text().size(), 1001u);
  fs::remove_all(folder);
}
