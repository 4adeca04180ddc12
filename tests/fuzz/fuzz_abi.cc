// The calls of the C ABI in any order with any arguments: statuses, never a crash; what events
// promise holds. The bytes are a program: an operation, then its arguments.
//
// The session runs over a scripted engine, so abi.cc is compiled in and its handle is made here.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "abi/abi_handles.h"
#include "engine/scripted_engine.h"
#include "eye/scripted_eye.h"
#include "seeds.h"
#include "voice/scripted_voice.h"

namespace {

class Program {
 public:
  Program(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool is_over() const { return at_ >= size_; }
  uint8_t byte() { return at_ < size_ ? data_[at_++] : 0; }
  uint32_t word() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
  // The bytes that follow, as many as the next one says.
  std::string bytes() {
    std::string out(byte(), '\0');
    for (char& c : out) c = static_cast<char>(byte());
    return out;
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

void require(bool condition) {
  if (!condition) std::abort();
}

void check_event(const galago_event& event, uint64_t* last_sequence) {
  require(event.sequence > *last_sequence);
  *last_sequence = event.sequence;
  require(event.text != nullptr);
  require(event.stable_bytes <= std::strlen(event.text));
  for (size_t i = 0; i < event.num_words; ++i) {
    require(event.words[i].text != nullptr && event.words[i].begin_ns <= event.words[i].end_ns);
    require(event.words[i].confidence >= 0 && event.words[i].confidence <= 1);
  }
  require(event.type != GALAGO_EVENT_FINAL || event.num_words > 0);
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  std::string listen;
  for (int i = 0; i < 12; ++i) listen += std::string("\x00\x10\x00\x01\x01\x02", 6);
  return {std::string(5, '\0') + listen + "\x03\x01\x01\x02",
          std::string("\x01\x02\x05\x06", 4) + listen +
              "\x06\x02"
              "ab\x01\x02" +
              listen,
          listen +
              "\x04\x01\x05\x08\x07\x04"
              "GGRM\x09\x0a\x0b\x0c\x0d" +
              listen,
          std::string(5, '\0') + std::string("\x0d\x01\x20\x18\x00\x00\x10\x00\x01\x02", 10) +
              std::string("\x0d\x04\x20\x18\x00\x00\x11\x00\x01\x02", 10) + listen,
          std::string(5, '\0') + "\x0e\x0bhello world\x01\x01\x02\x0f\x40\x02" +
              "\x10\x0e\x03one\x01\x01\x0f\x40\x02"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Program program(data, size);
  galago_session_options options = GALAGO_SESSION_OPTIONS_INIT;
  options.flags = program.byte() &
                  (GALAGO_SESSION_NO_PARTIALS | GALAGO_SESSION_POSTERIORS | GALAGO_SESSION_BEAM);
  options.event_capacity = 2 + program.byte() % 16;
  options.max_utterance_ms = 1000 + 100u * program.byte();
  const galago::Ear ear = galago::scripted_ear();
  const galago::EarTarget target =
      galago::scripted_target(1 + program.byte() % 8, program.byte() % 4);
  auto engine = std::make_shared<galago::ScriptedEngine>(
      ear, target, galago::script("...aab_bca~~c........................."));
  engine->loops = true;
  const galago::OpenedEar opened{ear, target, engine, nullptr, std::nullopt};
  const galago::ScriptedEye eye;
  galago::ScriptedVoice voice;
  voice.script.records = false;
  const auto session = std::unique_ptr<galago_session>(
      new galago_session{{{&opened, &eye.opened, &voice.opened}, options}});
  galago_session* handle = session.get();

  int64_t capture_ns = 0;
  uint64_t last_sequence = 0, last_utterance = 0;
  galago_event event = GALAGO_EVENT_INIT;
  std::vector<float> samples;
  const std::vector<uint8_t> pixels(3 * 256 * 256, 200);
  for (int steps = 0; !program.is_over() && steps < 200; ++steps) {
    switch (program.byte() % 17) {
      case 0: {
        samples.assign(1 + program.byte() * 160u, 0.01f);
        capture_ns += static_cast<int64_t>(program.byte()) * 1'000'000;
        if (galago_session_push_audio(handle, samples.data(), samples.size(), capture_ns) ==
            GALAGO_OK) {
          capture_ns += static_cast<int64_t>(samples.size()) * 62'500;
        }
        break;
      }
      case 1:
        while (galago_session_step(handle) == GALAGO_OK) {
        }
        break;
      case 2:
        while (galago_session_next_event(handle, &event) == GALAGO_OK) {
          check_event(event, &last_sequence);
        }
        break;
      case 3:
        galago_session_end_input(handle);
        break;
      case 4:
        galago_session_reset(handle);
        last_sequence = 0;
        break;
      case 5: {  // samples of any bits
        samples.assign(1 + program.byte(), 0.0f);
        for (float& sample : samples) {
          const uint32_t bits = program.word();
          std::memcpy(&sample, &bits, sizeof(bits));
        }
        const uint64_t high = program.word();
        galago_session_push_audio(handle, samples.data(), samples.size(),
                                  static_cast<int64_t>(high << 32 | program.word()));
        break;
      }
      case 6: {
        const std::string phrase = program.bytes();
        const char* phrases[] = {phrase.c_str()};
        const float boost = static_cast<float>(program.byte());
        galago_session_set_hotwords(handle, phrases, &boost, program.byte() % 2);
        break;
      }
      case 7: {
        const std::string grammar = program.bytes();
        galago_session_set_grammar(handle, grammar.data(), grammar.size());
        break;
      }
      case 8: {
        const std::string phrases = program.bytes();
        galago_session_set_phrases(handle, phrases.data(), phrases.size());
        break;
      }
      case 9:
        galago_session_wait(handle, program.byte() % 2);
        break;
      case 10: {
        galago_metrics metrics = GALAGO_METRICS_INIT;
        metrics.struct_size = program.byte();  // 200 is whole: the rest must not be written
        galago_session_get_metrics(handle, &metrics);
        break;
      }
      case 11: {
        galago_session_info info = GALAGO_SESSION_INFO_INIT;
        info.struct_size = program.byte() % (sizeof(info) + 1);
        galago_session_get_info(handle, &info);
        break;
      }
      case 12: {
        galago_event older = GALAGO_EVENT_INIT;
        older.struct_size = program.byte() % (sizeof(older) + 1);
        if (galago_session_next_event(handle, &older) == GALAGO_OK) {
          check_event(older, &last_sequence);
        }
        break;
      }
      case 13: {  // an image of any shape that fits into what is there, or is refused
        const uint8_t kind = program.byte();
        galago_image image = GALAGO_IMAGE_INIT;
        image.struct_size = kind & 0x80 ? program.byte() : image.struct_size;
        image.format = kind % 6;
        image.width = kind & 0x40 ? static_cast<int32_t>(program.word()) : program.byte();
        image.height = kind & 0x20 ? static_cast<int32_t>(program.word()) : program.byte();
        image.row_stride_bytes[0] = image.row_stride_bytes[1] =
            kind & 0x10 ? static_cast<int32_t>(program.word()) : 0;
        image.capture_ns = static_cast<int64_t>(program.word()) - 1000;
        image.planes[0] = pixels.data();
        image.planes[1] = kind & 0x08 ? nullptr : pixels.data();
        const double stride =
            std::max<double>(image.row_stride_bytes[0], 3.0 * static_cast<double>(image.width));
        if (stride * image.height > static_cast<double>(pixels.size())) image.planes[0] = nullptr;
        const galago_status status = galago_session_push_image(handle, &image);
        require(status != GALAGO_OK || (image.width > 0 && image.planes[0] != nullptr));
        break;
      }
      case 14: {  // text or SSML of any bytes
        std::string text = program.bytes();
        if (program.byte() % 2 == 0) text = "<speak>" + text + "</speak>";
        uint64_t utterance = 0;
        if (galago_session_speak(handle, text.c_str(), &utterance) == GALAGO_OK) {
          require(utterance > last_utterance);
          last_utterance = utterance;
        }
        break;
      }
      case 15: {
        samples.assign(program.byte() * 4u, 0.0f);
        size_t num_read = 0;
        const galago_status status =
            galago_session_read_speech(handle, samples.data(), samples.size(), &num_read);
        require(status == (num_read > 0 ? GALAGO_OK : GALAGO_EMPTY) && num_read <= samples.size());
        for (size_t i = 0; i < num_read; ++i) require(std::abs(samples[i]) <= 1.0f);
        break;
      }
      default:
        require(galago_session_stop_speech(handle) == GALAGO_OK);
    }
  }
  return 0;
}
