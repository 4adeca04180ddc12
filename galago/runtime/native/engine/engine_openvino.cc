// OpenVINO through its C API, opened at run time: galago builds and installs without it.
//
// The declarations below restate the few facts of that API that are used here (OpenVINO 2024.0 to
// 2026.x, Apache-2.0). Its structures are opaque to us, except ov_shape_t and ov_version_t.
#include <dlfcn.h>
#ifdef __linux__
#include <link.h>
#include <sys/mman.h>
#endif
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "base/log.h"
#include "base/status.h"
#include "engine/engine.h"

namespace galago {
namespace {

struct OvShape {
  int64_t rank;
  int64_t* dims;
};
struct OvVersion {
  const char* build_number;
  const char* description;
};

struct OvCore;
struct OvModel;
struct OvTensor;
struct OvCompiledModel;
struct OvInferRequest;
struct OvPort;

// The functions of libopenvino_c, found by name.
struct OpenVino {
  int (*get_version)(OvVersion*);
  void (*version_free)(OvVersion*);
  const char* (*get_last_err_msg)();
  void (*free_string)(const char*);
  int (*core_create)(OvCore**);
  void (*core_free)(OvCore*);
  int (*core_read_model)(const OvCore*, const char*, size_t, const OvTensor*, OvModel**);
  int (*core_compile_model)(const OvCore*, const OvModel*, const char*, size_t, OvCompiledModel**,
                            ...);
  void (*model_free)(OvModel*);
  int (*compiled_inputs_size)(const OvCompiledModel*, size_t*);
  int (*compiled_input)(const OvCompiledModel*, const char*, OvPort**);
  int (*compiled_output)(const OvCompiledModel*, const char*, OvPort**);
  int (*compiled_create_request)(const OvCompiledModel*, OvInferRequest**);
  void (*compiled_free)(OvCompiledModel*);
  int (*port_get_shape)(const OvPort*, OvShape*);
  int (*port_get_element_type)(const OvPort*, int*);
  void (*port_free)(OvPort*);
  int (*shape_free)(OvShape*);
  int (*tensor_create_from_host)(int, OvShape, void*, OvTensor**);
  int (*tensor_get_byte_size)(const OvTensor*, size_t*);
  void (*tensor_free)(OvTensor*);
  int (*request_set_tensor)(OvInferRequest*, const char*, const OvTensor*);
  int (*request_infer)(OvInferRequest*);
  void (*request_free)(OvInferRequest*);

  std::string version;  // "2026.4.1-..."
  // The numbering of element types moved when one was dropped: found out by asking.
  int type_f32 = 0;
  int type_i8 = 0;
  OvCore* core = nullptr;  // one for the process: it holds the plugins
};

constexpr int kOldestYear = 2024;
constexpr int kNewestYear = 2026;

template <typename T>
struct Freed {
  void (*free)(T*);
  void operator()(T* object) const { free(object); }
};
template <typename T>
using Owned = std::unique_ptr<T, Freed<T>>;

template <typename T>
Owned<T> own(T* object, void (*free)(T*)) {
  return Owned<T>(object, Freed<T>{free});
}

template <typename Function>
void find_symbol(void* library, const char* name, Function** out) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) {
    fail(GALAGO_E_UNSUPPORTED,
         "the OpenVINO library found lacks %s; galago runs on %d to %d (pip install "
         "galago[openvino])",
         name, kOldestYear, kNewestYear);
  }
  std::memcpy(out, &symbol, sizeof(symbol));  // ISO C++ has no cast for it
}

void check(const OpenVino& ov, int status, const char* what) {
  if (status == 0) return;
  const char* message = ov.get_last_err_msg();
  std::string text = message == nullptr ? "" : message;
  if (message != nullptr) ov.free_string(message);
  fail(GALAGO_E_BACKEND, "OpenVINO %s: %s failed (%d): %s", ov.version.c_str(), what, status,
       text.c_str());
}

bool is_directory(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// Wheels and distributions carry the library under versioned names: 2641 is 2026.4.1.
std::vector<std::string> candidate_names() {
  std::vector<std::string> names = {"libopenvino_c.so"};
  for (int year = kNewestYear; year >= kOldestYear; --year) {
    for (int release = 9; release >= 0; --release) {
      for (int patch = 9; patch >= 0; --patch) {
        char name[40];
        std::snprintf(name, sizeof(name), "libopenvino_c.so.%d%d%d", year % 100, release, patch);
        names.emplace_back(name);
      }
    }
  }
  return names;
}

// Tries one place; on failure `reason` is what the loader said.
void* try_open(const std::string& path, std::string* reason) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* said = dlerror();
    *reason = said == nullptr ? "cannot be opened" : said;
  }
  return library;
}

// The environment's choice alone, if there is one; else the caller's, then the system's.
void* open_library(const std::string& engine_path) {
  const char* from_environment = std::getenv("GALAGO_OPENVINO_LIBRARY");
  std::string reason = "not found";
  if (from_environment != nullptr && *from_environment != '\0') {
    if (void* library = try_open(from_environment, &reason)) return library;
    fail(GALAGO_E_NOT_FOUND, "GALAGO_OPENVINO_LIBRARY: %s", reason.c_str());
  }
  std::vector<std::string> paths;
  if (is_directory(engine_path)) {
    for (const std::string& name : candidate_names()) {
      const std::string path = engine_path + "/" + name;
      if (access(path.c_str(), F_OK) == 0) paths.push_back(path);
    }
  } else if (!engine_path.empty()) {
    paths.push_back(engine_path);
  }
  for (const std::string& path : paths) {
    if (void* library = try_open(path, &reason)) return library;
  }
  std::string ignored;
  for (const std::string& name : candidate_names()) {
    if (void* library = try_open(name, &ignored)) return library;
  }
  fail(GALAGO_E_NOT_FOUND,
       "OpenVINO's C library (libopenvino_c.so) is neither in %s nor where the system's loader "
       "looks: "
       "%s. Install it with: pip install galago[openvino], or name it in GALAGO_OPENVINO_LIBRARY",
       engine_path.empty() ? "engine_path (not given)" : engine_path.c_str(), reason.c_str());
}

void check_version(OpenVino* ov) {
  OvVersion version = {};
  if (ov->get_version(&version) != 0 || version.build_number == nullptr) {
    fail(GALAGO_E_BACKEND, "OpenVINO does not tell its version");
  }
  ov->version = version.build_number;
  ov->version_free(&version);
  const int year = std::atoi(ov->version.c_str());
  if (year < kOldestYear || year > kNewestYear) {
    fail(GALAGO_E_UNSUPPORTED,
         "OpenVINO %s found; galago runs on %d to %d (pip install galago[openvino])",
         ov->version.c_str(), kOldestYear, kNewestYear);
  }
}

size_t element_bytes(const OpenVino& ov, int type) {
  alignas(8) char element[8];
  int64_t dims[1] = {1};
  OvTensor* tensor = nullptr;
  if (ov.tensor_create_from_host(type, OvShape{1, dims}, element, &tensor) != 0) return 0;
  size_t num_bytes = 0;
  ov.tensor_get_byte_size(tensor, &num_bytes);
  ov.tensor_free(tensor);
  return num_bytes;
}

void find_element_types(OpenVino* ov) {
  // The order is ... bf16, f16, f32, f64, i4, i8 ... in every release; f32 is 4 or 5.
  for (int type : {4, 5}) {
    if (element_bytes(*ov, type) == 4 && element_bytes(*ov, type + 1) == 8) ov->type_f32 = type;
  }
  ov->type_i8 = ov->type_f32 + 3;
  if (ov->type_f32 == 0 || element_bytes(*ov, ov->type_i8) != 1) {
    fail(GALAGO_E_UNSUPPORTED, "OpenVINO %s numbers its element types in an unknown way",
         ov->version.c_str());
  }
}

std::unique_ptr<OpenVino> load_openvino(const std::string& engine_path) {
  // Never closed: the library runs threads and exit handlers of its own.
  void* library = open_library(engine_path);
  auto ov = std::make_unique<OpenVino>();
  find_symbol(library, "ov_get_openvino_version", &ov->get_version);
  find_symbol(library, "ov_version_free", &ov->version_free);
  check_version(ov.get());
  find_symbol(library, "ov_get_last_err_msg", &ov->get_last_err_msg);
  find_symbol(library, "ov_free", &ov->free_string);
  find_symbol(library, "ov_core_create", &ov->core_create);
  find_symbol(library, "ov_core_free", &ov->core_free);
  find_symbol(library, "ov_core_read_model_from_memory_buffer", &ov->core_read_model);
  find_symbol(library, "ov_core_compile_model", &ov->core_compile_model);
  find_symbol(library, "ov_model_free", &ov->model_free);
  find_symbol(library, "ov_compiled_model_inputs_size", &ov->compiled_inputs_size);
  find_symbol(library, "ov_compiled_model_input_by_name", &ov->compiled_input);
  find_symbol(library, "ov_compiled_model_output_by_name", &ov->compiled_output);
  find_symbol(library, "ov_compiled_model_create_infer_request", &ov->compiled_create_request);
  find_symbol(library, "ov_compiled_model_free", &ov->compiled_free);
  find_symbol(library, "ov_const_port_get_shape", &ov->port_get_shape);
  find_symbol(library, "ov_port_get_element_type", &ov->port_get_element_type);
  find_symbol(library, "ov_output_const_port_free", &ov->port_free);
  find_symbol(library, "ov_shape_free", &ov->shape_free);
  find_symbol(library, "ov_tensor_create_from_host_ptr", &ov->tensor_create_from_host);
  find_symbol(library, "ov_tensor_get_byte_size", &ov->tensor_get_byte_size);
  find_symbol(library, "ov_tensor_free", &ov->tensor_free);
  find_symbol(library, "ov_infer_request_set_tensor", &ov->request_set_tensor);
  find_symbol(library, "ov_infer_request_infer", &ov->request_infer);
  find_symbol(library, "ov_infer_request_free", &ov->request_free);
  find_element_types(ov.get());
  check(*ov, ov->core_create(&ov->core), "ov_core_create");
  return ov;
}

// One OpenVINO for the process: the first path that works wins, a failure may be tried again.
const OpenVino& openvino(const std::string& engine_path) {
  static std::mutex mutex;
  static const OpenVino* loaded = nullptr;  // lives as long as the process: see load_openvino
  std::lock_guard<std::mutex> lock(mutex);
  if (loaded == nullptr) loaded = load_openvino(engine_path).release();
  return *loaded;
}

bool cpu_has_bf16() {
#if defined(__x86_64__) || defined(__i386__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1u << 5)) != 0) return true;  // AVX-512
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & (1u << 22)) != 0;           // AMX
#elif defined(__aarch64__) && defined(__linux__)
  return (getauxval(AT_HWCAP2) & (1ul << 14)) != 0;  // HWCAP2_BF16
#else
  return false;
#endif
}

std::string shape_text(const OvShape& shape) {
  std::string text = "[";
  for (int64_t i = 0; i < shape.rank; ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape.dims[i]);
  }
  return text + "]";
}

size_t num_elements(const TensorSpec& tensor) {
  int64_t product = 1;
  for (int64_t dim : tensor.shape) product *= dim;
  return static_cast<size_t>(product);
}

class OpenVinoStream : public EngineStream {
 public:
  OpenVinoStream(const OpenVino& ov, OvInferRequest* request, const Target& target)
      : ov_(ov), request_(own(request, ov.request_free)) {
    for (const TensorSpec& tensor : target.inputs) inputs_.push_back(bind(tensor));
    for (const TensorSpec& tensor : target.outputs) outputs_.push_back(bind(tensor));
  }

  const char* run() noexcept override {
    if (ov_.request_infer(request_.get()) != 0) {
      const char* message = ov_.get_last_err_msg();
      std::snprintf(message_, sizeof(message_), "OpenVINO %s: inference failed: %s",
                    ov_.version.c_str(), message == nullptr ? "" : message);
      if (message != nullptr) ov_.free_string(message);
      return message_;
    }
    return nullptr;
  }

  size_t num_bytes() const override { return num_bytes_; }

 private:
  float* bind(const TensorSpec& spec) {
    buffers_.emplace_back(num_elements(spec) * sizeof(float));
    FileBytes& buffer = buffers_.back();
    std::memset(buffer.data(), 0, buffer.size());
    num_bytes_ += buffer.size();
    std::vector<int64_t> dims = spec.shape;
    OvTensor* tensor = nullptr;
    check(ov_,
          ov_.tensor_create_from_host(ov_.type_f32,
                                      OvShape{static_cast<int64_t>(dims.size()), dims.data()},
                                      buffer.data(), &tensor),
          "ov_tensor_create_from_host_ptr");
    tensors_.push_back(own(tensor, ov_.tensor_free));
    check(ov_, ov_.request_set_tensor(request_.get(), spec.name.c_str(), tensor),
          "ov_infer_request_set_tensor");
    return reinterpret_cast<float*>(buffer.data());
  }

  const OpenVino& ov_;
  std::vector<FileBytes> buffers_;  // outlive the request, which points into them
  std::vector<Owned<OvTensor>> tensors_;
  Owned<OvInferRequest> request_;
  size_t num_bytes_ = 0;
  char message_[512] = "";
};

#ifdef __linux__
// Lets go of the pages of one library's code and constants, if it is one of OpenVINO's.
int release_code(dl_phdr_info* library, size_t, void*) {
  if (std::strstr(library->dlpi_name, "libopenvino") == nullptr) return 0;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const auto& segment = library->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = library->dlpi_addr + segment.p_vaddr;
    const uintptr_t first = (begin + page - 1) / page * page;
    const uintptr_t last = (begin + segment.p_memsz) / page * page;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): addresses are all that the loader tells.
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
  return 0;
}
#endif

// Reading and compiling a network takes several times the memory that it needs then, in small
// pieces, of which the C library gives nothing back by itself. It also runs through 40 MB of code
// of which inference needs little: pages that are never written are let go, and those that are
// needed come back from the page cache at their first use.
void return_free_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
#ifdef __linux__
  dl_iterate_phdr(release_code, nullptr);
#endif
}

class OpenVinoEngine : public Engine {
 public:
  OpenVinoEngine(const Target& target, const EngineOptions& options, FileBytes model_text,
                 FileBytes weights)
      : ov_(openvino(options.engine_path)),
        target_(target),
        weights_(std::move(weights)),
        compiled_(nullptr, Freed<OvCompiledModel>{ov_.compiled_free}),
        description_("OpenVINO " + ov_.version),
        precision_(target.inference_precision) {
    if (precision_ == "bf16" && !cpu_has_bf16()) {
      precision_ = "f32";
      log(GALAGO_LOG_INFO, "target %s asks for bf16; this CPU has none, f32 is used",
          target.name.c_str());
    }
    compile(options, model_text);
    return_free_memory();
    size_t num_inputs = 0;
    check(ov_, ov_.compiled_inputs_size(compiled_.get(), &num_inputs),
          "ov_compiled_model_inputs_size");
    if (num_inputs != target_.inputs.size()) {
      std::string expected;
      for (const TensorSpec& tensor : target_.inputs) {
        expected += (expected.empty() ? "" : ", ") + tensor.key;
      }
      fail(GALAGO_E_CORRUPT, "%s: has %zu inputs, expected %zu: %s", target_.model.path.c_str(),
           num_inputs, target_.inputs.size(), expected.c_str());
    }
    for (const TensorSpec& tensor : target_.inputs) check_tensor(tensor, ov_.compiled_input);
    for (const TensorSpec& tensor : target_.outputs) check_tensor(tensor, ov_.compiled_output);
  }

  std::unique_ptr<EngineStream> open_stream() override {
    OvInferRequest* request = nullptr;
    check(ov_, ov_.compiled_create_request(compiled_.get(), &request),
          "ov_compiled_model_create_infer_request");
    return std::make_unique<OpenVinoStream>(ov_, request, target_);
  }

  const std::string& description() const override { return description_; }
  const std::string& precision() const override { return precision_; }

 private:
  void compile(const EngineOptions& options, const FileBytes& model_text) {
    int64_t dims[1] = {static_cast<int64_t>(weights_.size())};
    OvTensor* weights_raw = nullptr;
    check(ov_,
          ov_.tensor_create_from_host(ov_.type_i8, OvShape{1, dims}, weights_.data(), &weights_raw),
          "ov_tensor_create_from_host_ptr");
    const Owned<OvTensor> weights = own(weights_raw, ov_.tensor_free);

    OvModel* model_raw = nullptr;
    check(ov_,
          ov_.core_read_model(ov_.core, reinterpret_cast<const char*>(model_text.data()),
                              model_text.size(), weights.get(), &model_raw),
          ("reading " + target_.model.path).c_str());
    const Owned<OvModel> model = own(model_raw, ov_.model_free);

    // Snippets generate code for each group of cheap operations, and keep what they made it from.
    // In int8 networks of this size that is 40 % of the engine's memory and no time. It is a
    // property that OpenVINO does not document: where it is refused, it has to stay as it is.
    const bool with_snippets = precision_ != "f32";
    if (with_snippets || compile(options, *model, "DISABLE") != 0)
      check(ov_, compile(options, *model, nullptr), ("compiling " + target_.model.path).c_str());
  }

  // Returns OpenVINO's status. `snippets_mode`: nullptr leaves it to OpenVINO.
  int compile(const EngineOptions& options, const OvModel& model, const char* snippets_mode) {
    const std::string num_threads = std::to_string(options.num_threads);
    std::array<const char*, 14> pairs = {};
    size_t size = 0;
    const auto set = [&](const char* name, const char* value) {
      pairs[size++] = name;
      pairs[size++] = value;
    };
    set("PERFORMANCE_HINT", "LATENCY");
    set("NUM_STREAMS", "1");
    // Not pinned: the CPUs belong to the whole device, and two processes would meet on the first.
    set("ENABLE_CPU_PINNING", "NO");
    set("INFERENCE_NUM_THREADS", num_threads.c_str());
    set("INFERENCE_PRECISION_HINT", precision_.c_str());
    if (!options.cache_dir.empty()) set("CACHE_DIR", options.cache_dir.c_str());
    if (snippets_mode != nullptr) set("SNIPPETS_MODE", snippets_mode);
    OvCompiledModel* compiled = nullptr;
    const int status =
        ov_.core_compile_model(ov_.core, &model, "CPU", size, &compiled, pairs[0], pairs[1],
                               pairs[2], pairs[3], pairs[4], pairs[5], pairs[6], pairs[7], pairs[8],
                               pairs[9], pairs[10], pairs[11], pairs[12], pairs[13]);
    if (status == 0) compiled_.reset(compiled);
    return status;
  }

  void check_tensor(const TensorSpec& tensor,
                    int (*find)(const OvCompiledModel*, const char*, OvPort**)) {
    const char* path = target_.model.path.c_str();
    OvPort* raw = nullptr;
    if (find(compiled_.get(), tensor.name.c_str(), &raw) != 0) {
      fail(GALAGO_E_CORRUPT, "%s: has no tensor \"%s\" (%s of target %s)", path,
           tensor.name.c_str(), tensor.key.c_str(), target_.name.c_str());
    }
    const Owned<OvPort> owned = own(raw, ov_.port_free);
    int type = 0;
    check(ov_, ov_.port_get_element_type(raw, &type), "ov_port_get_element_type");
    if (type != ov_.type_f32) {
      fail(GALAGO_E_CORRUPT, "%s: tensor \"%s\" is not f32", path, tensor.name.c_str());
    }
    OvShape shape = {};
    if (ov_.port_get_shape(raw, &shape) != 0) {
      fail(GALAGO_E_CORRUPT, "%s: tensor \"%s\" has no fixed shape", path, tensor.name.c_str());
    }
    const std::string found = shape_text(shape);
    ov_.shape_free(&shape);
    std::vector<int64_t> dims = tensor.shape;
    const std::string wanted = shape_text(OvShape{static_cast<int64_t>(dims.size()), dims.data()});
    if (found != wanted) {
      fail(GALAGO_E_CORRUPT, "%s: tensor \"%s\" has shape %s, manifest.json leads to %s", path,
           tensor.name.c_str(), found.c_str(), wanted.c_str());
    }
  }

  const OpenVino& ov_;
  const Target target_;
  FileBytes weights_;  // constants of the compiled network point into it
  Owned<OvCompiledModel> compiled_;
  std::string description_;
  std::string precision_;
};

}  // namespace

std::shared_ptr<Engine> open_openvino(const Target& target, const EngineOptions& options,
                                      FileBytes model, FileBytes weights) {
  return std::make_shared<OpenVinoEngine>(target, options, std::move(model), std::move(weights));
}

}  // namespace galago
