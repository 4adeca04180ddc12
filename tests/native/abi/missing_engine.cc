// Opening a bundle where its engine is missing, too old, too new, or not an engine at all.
#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "check.h"
#include "galago/galago.h"

namespace {

galago_status open_with(const char* engine_path) {
  galago_bundle_options options = GALAGO_BUNDLE_OPTIONS_INIT;
  options.engine_path = engine_path;
  galago_bundle* bundle = nullptr;
  const galago_status status =
      galago_bundle_open(GALAGO_ABI, std::getenv("GALAGO_TEST_BUNDLE"), &options, &bundle);
  CHECK((bundle != nullptr) == (status == GALAGO_OK));
  galago_bundle_close(bundle);
  return status;
}

bool said(const char* part) { return std::strstr(galago_last_error(), part) != nullptr; }

const char* fake_engine() { return std::getenv("GALAGO_TEST_FAKE_ENGINE"); }

}  // namespace

TEST(a_library_named_in_the_environment_that_is_not_there_is_an_error) {
  setenv("GALAGO_OPENVINO_LIBRARY", "/no/such/libopenvino_c.so", 1);
  CHECK_EQ(open_with(nullptr), GALAGO_E_NOT_FOUND);
  CHECK(said("GALAGO_OPENVINO_LIBRARY"));
  CHECK(said("/no/such/libopenvino_c.so"));
  unsetenv("GALAGO_OPENVINO_LIBRARY");
}

TEST(a_missing_engine_is_named_with_the_way_to_get_it) {
  if (dlopen("libopenvino_c.so", RTLD_NOW) != nullptr) return;  // the system has one
  CHECK_EQ(open_with("/no/such/folder"), GALAGO_E_NOT_FOUND);
  CHECK(said("libopenvino_c.so"));
  CHECK(said("/no/such/folder"));
  CHECK(said("pip install galago[openvino]"));
}

TEST(a_library_of_a_year_that_galago_does_not_know_is_unsupported) {
  for (const char* version : {"2023.3.0-1", "2027.0.0-1", "nonsense"}) {
    setenv("FAKE_OPENVINO_VERSION", version, 1);
    CHECK_EQ(open_with(fake_engine()), GALAGO_E_UNSUPPORTED);
    CHECK(said(version));
    CHECK(said("2024 to 2026"));
  }
}

TEST(a_library_that_lacks_functions_is_unsupported_by_the_first_name) {
  setenv("FAKE_OPENVINO_VERSION", "2026.4.1-1", 1);
  CHECK_EQ(open_with(fake_engine()), GALAGO_E_UNSUPPORTED);
  CHECK(said("ov_get_last_err_msg"));
  CHECK_EQ(open_with("libm.so.6"), GALAGO_E_UNSUPPORTED);
  CHECK(said("ov_get_openvino_version"));
}
