// "All memory of the stream is allocated at session_open, none later": malloc itself is counted.
#include <atomic>
#include <cstdlib>

#include "base/sha256.h"
#include "check.h"
#include "decoding/automaton_builder.h"
#include "eye/scripted_eye.h"
#include "session/session_fixture.h"
#include "voice/scripted_voice.h"

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* pointer, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace {
std::atomic<bool> is_counting{false};
std::atomic<int> num_allocations{0};

void count() {
  if (is_counting.load(std::memory_order_relaxed)) num_allocations.fetch_add(1);
}
}  // namespace

extern "C" {
void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(size_t n, size_t size) {
  count();
  return __libc_calloc(n, size);
}
void* realloc(void* pointer, size_t size) {
  count();
  return __libc_realloc(pointer, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
}

using namespace galago;

namespace {

// "a b" after any phone of the scripted ear, as a grammar (kind 1) or as a wake phrase (kind 2).
Bytes compiled(uint32_t kind) {
  AutomatonBuilder builder;
  const uint32_t begun = builder.put_out(0, kind == 1 ? kIntent : kPhrase, "ab");
  builder.set_final(builder.say(begun, "ab", {1, 2}));
  Bytes bytes = builder.bytes(kind);
  const std::string phones = "SIL\nAA\nB\nK";
  const Sha256Digest digest = sha256(phones.data(), phones.size());
  std::copy(digest.begin(), digest.end(), bytes.begin() + 32);
  return bytes;
}

// A thousand steps of speech and silence, all events taken, a gap and an error in between.
int allocations_of_a_thousand_steps(uint32_t flags, bool hotwords, bool nothing_taken,
                                    bool grammar = false, bool look_twice = false,
                                    bool at_samples = false) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "....aab~b_c~cabc_ba..................~~~....";
  SessionFixture fixture(text, SessionFixture::with_flags(flags));
  if (look_twice) {
    if (at_samples) {
      fixture.look_twice_by(raw_network(), raw_target(12), text, SessionFixture::with_flags(flags));
    } else {
      fixture.look_twice(text, flags);
    }
    fixture.second_engine->loops = true;
  }
  fixture.engine->loops = true;
  if (hotwords) fixture.session->set_hotwords({{"ab", 1.0f}, {"ba cab", 2.0f}});
  if (grammar) {
    const Bytes sentences = compiled(1), phrases = compiled(2);
    fixture.session->set_grammar(sentences.data(), sentences.size());
    fixture.session->set_phrases(phrases.data(), phrases.size());
  }
  const std::vector<float> chunk(8 * kTokenSamples, 0.001f);
  int num_steps = 0;
  galago_event event;
  num_allocations = 0;
  is_counting = true;
  while (num_steps < 1000) {
    if (num_steps == 500) fixture.next_ns += 1'000'000'000;
    if (fixture.session->push_audio(chunk.data(), chunk.size(), fixture.next_ns) == GALAGO_OK) {
      fixture.next_ns += static_cast<int64_t>(chunk.size()) * kSampleNs;
    }
    fixture.session->push_audio(chunk.data(), chunk.size(), -1);
    while (fixture.session->step() == GALAGO_OK) ++num_steps;
    while (!nothing_taken && fixture.session->next_event(&event) == GALAGO_OK) {
    }
    fixture.session->wait(0);
    fixture.session->metrics();
  }
  is_counting = false;
  CHECK(fixture.session->metrics().gaps == 1);
  return num_allocations.load();
}

}  // namespace

TEST(the_counter_counts) {
  is_counting = true;
  std::free(std::malloc(1));
  delete new std::string(100, 'x');
  is_counting = false;
  CHECK(num_allocations.load() >= 3);
}

TEST(a_step_allocates_nothing_greedy) {
  CHECK_EQ(allocations_of_a_thousand_steps(GALAGO_SESSION_POSTERIORS, false, false), 0);
}

TEST(a_step_allocates_nothing_with_the_beam_and_hotwords) {
  CHECK_EQ(allocations_of_a_thousand_steps(GALAGO_SESSION_BEAM, true, false), 0);
}

TEST(a_step_allocates_nothing_when_no_event_is_ever_taken) {
  CHECK_EQ(allocations_of_a_thousand_steps(0, false, true), 0);
}

TEST(a_step_allocates_nothing_with_a_grammar_and_phrases) {
  CHECK_EQ(allocations_of_a_thousand_steps(0, false, false, true), 0);
}

TEST(a_step_that_looks_twice_allocates_nothing) {
  CHECK_EQ(allocations_of_a_thousand_steps(0, false, false, false, true), 0);
  CHECK_EQ(allocations_of_a_thousand_steps(GALAGO_SESSION_BEAM, true, false, true, true), 0);
  CHECK_EQ(allocations_of_a_thousand_steps(GALAGO_SESSION_NO_PARTIALS, false, true, true, true), 0);
}

TEST(a_step_that_looks_twice_by_another_network_allocates_nothing) {
  CHECK_EQ(allocations_of_a_thousand_steps(0, false, false, false, true, true), 0);
  CHECK_EQ(allocations_of_a_thousand_steps(GALAGO_SESSION_BEAM, true, false, true, true, true), 0);
}

TEST(images_of_changing_sizes_and_formats_allocate_nothing) {
  ScriptedEye eye;
  SessionFixture fixture("", SessionFixture::defaults(), scripted_target(), scripted_ear(),
                         &eye.opened);
  Picture pictures[] = {Picture(640, 480, 1, 2, 3), Picture(1, 1, 1, 2, 3),
                        Picture(8192, 3, 1, 2, 3), Picture(2, 8192, 1, 2, 3)};
  galago_event event;
  int64_t capture_ns = 0;
  num_allocations = 0;
  is_counting = true;
  for (int i = 0; i < 40; ++i) {
    for (uint32_t format : {GALAGO_RGB8, GALAGO_BGR8, GALAGO_GRAY8, GALAGO_NV12}) {
      galago_image image = pictures[i % 4].at(++capture_ns);
      image.format = format;
      image.planes[1] = image.planes[0];
      fixture.session->push_image(image);
      fixture.session->push_image(image);
      image.width = -1;
      fixture.session->push_image(image);
      while (fixture.session->step() == GALAGO_OK) {
      }
      while (fixture.session->next_event(&event) == GALAGO_OK) {
      }
    }
  }
  fixture.session->reset();
  is_counting = false;
  CHECK_EQ(num_allocations.load(), 0);
}

TEST(speaking_allocates_only_where_a_text_is_asked_for) {
  ScriptedVoice voice;
  voice.script.records = false;
  SessionFixture fixture("", SessionFixture::defaults(), scripted_target(), scripted_ear(), nullptr,
                         &voice.opened);
  float samples[64];
  size_t num_read = 0;
  galago_event event;
  num_allocations = 0;
  for (int round = 0; round < 40; ++round) {
    fixture.session->speak("Hello, world, hello, world. <one> dog. Hello.");
    fixture.session->speak("<speak>one <break time='300ms'/> dog</speak>");
    is_counting = true;
    do {
      while (fixture.session->step() == GALAGO_OK) {
      }
      while (fixture.session->next_event(&event) == GALAGO_OK) {
      }
      fixture.session->read_speech(samples, 64, &num_read);
      fixture.session->metrics();
      if (round % 4 == 3) fixture.session->stop_speech();
      if (round % 8 == 6) fixture.session->reset();
    } while (num_read > 0);
    is_counting = false;
  }
  CHECK_EQ(num_allocations.load(), 0);
}

TEST(reset_allocates_nothing) {
  SessionFixture fixture("....aabb................");
  fixture.run_tokens(40);
  num_allocations = 0;
  is_counting = true;
  fixture.session->reset();
  is_counting = false;
  CHECK_EQ(num_allocations.load(), 0);
}
