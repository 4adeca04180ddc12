/* A library that tells OpenVINO's version, and has nothing else of it. */
#include <stdlib.h>

struct version {
  const char* build_number;
  const char* description;
};

int ov_get_openvino_version(struct version* version) {
  version->build_number = getenv("FAKE_OPENVINO_VERSION");
  version->description = "fake";
  return 0;
}

void ov_version_free(struct version* version) { version->build_number = NULL; }
