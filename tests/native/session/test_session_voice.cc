// A session that speaks: texts in, samples out, beside an ear or alone.
#include <algorithm>
#include <string>
#include <vector>

#include "base/status.h"
#include "check.h"
#include "session/session_fixture.h"
#include "voice/scripted_voice.h"
#include "voice/vocoder_noise.h"

using namespace galago;

namespace {

using Samples = std::vector<float>;

constexpr size_t kHop = ScriptedVoice::kHop;
constexpr size_t kChunk = ScriptedVoice::kChunk;
constexpr size_t kDelay = ScriptedVoice::kDelay;

// A voice alone, and what a playback thread and a control thread do, in turn.
struct Speaking {
  explicit Speaking(galago_session_options options = SessionFixture::defaults(),
                    float pitch_std_octaves = 0.5f)
      : voice(pitch_std_octaves), session({nullptr, nullptr, &voice.opened}, options) {}

  uint64_t speak(const std::string& text) { return session.speak(text); }
  // Steps until there is nothing to do.
  void step_all() {
    while (session.step() == GALAGO_OK) take_events();
    take_events();
  }
  void take_events() {
    galago_event event;
    while (session.next_event(&event) == GALAGO_OK) {
      events.push_back({event.type, event.utterance});
      if (event.type == GALAGO_EVENT_FAILED) failures.emplace_back(event.labels[0].name);
    }
  }
  Samples read(size_t capacity) {
    Samples samples(capacity);
    size_t num_read = 12345;
    const galago_status status = session.read_speech(samples.data(), capacity, &num_read);
    CHECK_EQ(status, num_read > 0 ? GALAGO_OK : GALAGO_EMPTY);
    samples.resize(num_read);
    return samples;
  }
  // All that there is to hear, read in pieces.
  Samples hear(size_t piece = 7) {
    Samples heard;
    for (;;) {
      step_all();
      const Samples samples = read(piece);
      if (samples.empty()) break;
      heard.insert(heard.end(), samples.begin(), samples.end());
    }
    step_all();
    return heard;
  }

  struct Told {
    uint32_t type;
    uint64_t utterance;
    bool operator==(const Told& other) const {
      return type == other.type && utterance == other.utterance;
    }
  };
  ScriptedVoice voice;
  Session session;
  std::vector<Told> events;
  std::vector<std::string> failures;
};

constexpr uint32_t kStart = GALAGO_EVENT_SPEAK_START;
constexpr uint32_t kStop = GALAGO_EVENT_SPEAK_STOP;
using Events = std::vector<Speaking::Told>;

Samples concatenated(std::initializer_list<Samples> parts) {
  Samples all;
  for (const Samples& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

TEST(a_sentence_is_spoken_phone_by_phone) {
  for (size_t piece : {1u, 7u, 10u, 1000u}) {
    Speaking speaking;
    CHECK_EQ(speaking.speak("Hello, world?"), 1u);
    CHECK(speaking.hear(piece) == speaking.voice.sound("^ HH AH0 L OW1 , W ER1 L D ?"));
    CHECK(speaking.events == Events({{kStart, 1}, {kStop, 1}}));
  }
}

TEST(the_first_samples_are_there_before_the_sentence_is_computed) {
  Speaking speaking;
  speaking.speak("Hello, world, hello, world, hello, world, hello, world.");
  CHECK_EQ(speaking.session.step(), GALAGO_OK);  // the reader
  CHECK(speaking.read(100).empty());
  CHECK_EQ(speaking.session.step(), GALAGO_OK);  // a chunk, which reaches one frame behind the lag
  CHECK_EQ(speaking.read(1000).size(), (kChunk - kDelay) * kHop);
  CHECK_EQ(speaking.session.step(), GALAGO_OK);
  CHECK_EQ(speaking.read(1000).size(), kChunk * kHop);
}

TEST(the_speaker_is_given_rows_flags_noise_and_when_to_forget) {
  Speaking speaking;
  speaking.speak("One. One.");
  speaking.hear();
  const VoiceScript& script = speaking.voice.script;
  // "^ W AH1 N ." twice: 10 frames, so 4 chunks for 10 frames that come 3 late.
  CHECK(script.keep == Samples({0, 1, 1, 1, 0, 1, 1, 1}));
  Samples valid(32, 0.0f);
  std::fill_n(valid.begin(), 10, 1.0f);
  std::fill_n(valid.begin() + 16, 10, 1.0f);
  CHECK(script.valid == valid);
  Samples noise(16 * 3);
  fill_vocoder_noise(5, 0, noise.size(), noise.data());
  CHECK(script.noise == concatenated({noise, noise}));
  for (size_t i = 10; i < 16; ++i) CHECK_EQ(script.rows[2 * i + 1], 0.0f);
  CHECK_EQ(script.rows[1], 1.0f);
}

TEST(the_smallest_reader_that_a_sentence_fits_into_reads_it) {
  Speaking speaking;
  speaking.speak("Hello. Hello, world, hello, world, hello, world, hello, world.");
  speaking.hear();
  CHECK(speaking.voice.script.reader_sizes == std::vector<size_t>({16, 64}));
  // Behind the sentence stand zeros, also where a longer one was before.
  speaking.speak("Hello, world, hello, world. Hello, hello, world, hello.");
  speaking.hear();
  CHECK_EQ(speaking.voice.script.phones.size(), 64u);
  CHECK(speaking.voice.script.phones[20] != 0.0f);
  CHECK_EQ(speaking.voice.script.phones.back(), 0.0f);
}

TEST(a_long_text_is_spoken_to_its_end) {
  Speaking speaking;
  std::string text;
  Samples expected;
  while (text.size() < 10'000) {
    text += "Hello, world. ";
    const Samples sentence = speaking.voice.sound("^ HH AH0 L OW1 , W ER1 L D .");
    expected.insert(expected.end(), sentence.begin(), sentence.end());
  }
  speaking.speak(text);
  CHECK(speaking.hear(160) == expected);
  CHECK(speaking.events == Events({{kStart, 1}, {kStop, 1}}));
}

TEST(speech_is_made_a_second_ahead_and_then_waits_for_the_reader) {
  Speaking speaking;
  for (int i = 0; i < 10; ++i) speaking.speak("Hello, world, hello, world, hello, world.");
  speaking.step_all();
  CHECK_EQ(speaking.session.wait(0), GALAGO_TIMEOUT);  // nothing to do
  const uint64_t made = speaking.session.metrics().speech_samples;
  CHECK(made >= 950 && made <= 1100);
  CHECK_EQ(speaking.session.step(), GALAGO_EMPTY);
  CHECK(!speaking.read(100).empty());
  CHECK_EQ(speaking.session.wait(0), GALAGO_OK);
  CHECK_EQ(speaking.session.step(), GALAGO_OK);
}

TEST(several_texts_are_spoken_one_behind_the_other) {
  Speaking speaking;
  CHECK_EQ(speaking.speak("One."), 1u);
  CHECK_EQ(speaking.speak("A dog"), 2u);
  const Samples one = speaking.voice.sound("^ W AH1 N ."),
                dog = speaking.voice.sound("^ AH0 | D AO1 G .");
  CHECK(speaking.hear() == concatenated({one, dog}));
  CHECK(speaking.events == Events({{kStart, 1}, {kStart, 2}, {kStop, 1}, {kStop, 2}}));
  speaking.events.clear();
  CHECK_EQ(speaking.speak("One."), 3u);
  CHECK(speaking.hear() == one);
  CHECK(speaking.events == Events({{kStart, 3}, {kStop, 3}}));
}

TEST(an_end_is_told_when_the_last_sample_was_read) {
  Speaking speaking;
  speaking.speak("One.");
  speaking.step_all();
  CHECK(speaking.events == Events({{kStart, 1}}));
  const size_t num_samples = speaking.voice.sound("^ W AH1 N .").size();
  CHECK_EQ(speaking.read(num_samples - 1).size(), num_samples - 1);
  speaking.step_all();
  CHECK_EQ(speaking.events.size(), 1u);
  CHECK_EQ(speaking.read(1).size(), 1u);
  CHECK_EQ(speaking.session.wait(0), GALAGO_OK);  // a step is there to tell it
  speaking.step_all();
  CHECK(speaking.events == Events({{kStart, 1}, {kStop, 1}}));
}

TEST(pauses_rate_pitch_and_volume_are_heard) {
  Speaking speaking;
  speaking.speak("<speak>one<break time='105ms'/>dog</speak>");
  CHECK(speaking.hear() ==
        speaking.voice.sound("^ W AH1 N | D AO1 G .", {2, 2, 2, 2, 11, 2, 2, 2, 2}));
  speaking.voice.script.frames = 4.0f;
  speaking.speak("<speak><prosody rate='200%'>one</prosody></speak>");
  CHECK(speaking.hear() == speaking.voice.sound("^ W AH1 N ."));
  speaking.voice.script.frames = 2.0f;
  speaking.speak("<speak><prosody pitch='+6st'>one</prosody> dog</speak>");
  speaking.hear();
  const Samples shifts = speaking.voice.script.pitch_shifts;  // six semitones are one deviation
  CHECK(Samples(shifts.begin(), shifts.begin() + 9) == Samples({1, 1, 1, 1, 1, 0, 0, 0, 0}));
  speaking.speak("<speak><prosody volume='-6dB'>one</prosody></speak>");
  const Samples loud = speaking.voice.sound("^ W AH1 N ."), quiet = speaking.hear();
  CHECK_EQ(quiet.size(), loud.size());
  for (size_t i = 0; i < quiet.size(); ++i) CHECK_NEAR(quiet[i], 0.501187f * loud[i], 1e-6);
  speaking.speak("<speak><prosody volume='silent'>one</prosody></speak>");
  CHECK(speaking.hear() == Samples(loud.size(), 0.0f));
}

TEST(volume_changes_without_a_step_and_samples_stay_in_range) {
  Speaking speaking;
  speaking.speak("<speak>one <prosody volume='silent'>dog</prosody></speak>");
  const Samples heard = speaking.hear();
  const Samples plain = speaking.voice.sound("^ W AH1 N | D AO1 G .");
  for (size_t i = 0; i + 1 < heard.size(); ++i) {
    if (plain[i] == plain[i + 1])
      CHECK(std::abs(heard[i + 1] - heard[i]) < 0.11f * plain[i] + 1e-6f);
  }
  CHECK_EQ(heard.back(), 0.0f);
  speaking.speak("<speak><prosody volume='+12dB'>one world</prosody></speak>");
  for (const float sample : speaking.hear()) CHECK(sample <= 1.0f);
}

TEST(a_pitch_that_this_voice_cannot_have_is_unsupported) {
  Speaking speaking(SessionFixture::defaults(), 0.0f);
  CHECK_THROWS(speaking.speak("<speak><prosody pitch='high'>one</prosody></speak>"), "pitch");
  CHECK_EQ(speaking.speak("<speak>one</speak>"), 1u);
}

TEST(text_that_cannot_be_said_is_refused_and_nothing_is_queued) {
  Speaking speaking;
  for (const char* text : {"", " \n\t ", "\xF0\x9F\x98\x80", "\xE6\x97\xA5\xE6\x9C\xAC", "\xFF\xFE",
                           "...", "<speak></speak>", "<speak><break time='1s'/></speak>"}) {
    CHECK_THROWS(speaking.speak(text), "nothing that can be said");
  }
  CHECK_THROWS(speaking.speak("<speak>\n one <b>two</b></speak>"), "line 2, column 6");
  CHECK_THROWS(speaking.speak("<speak>one"), "line 1");
  CHECK_THROWS(speaking.speak(std::string((1 << 18) + 1, 'a')), "bytes");
  CHECK_EQ(speaking.session.step(), GALAGO_EMPTY);
  CHECK(speaking.hear().empty());
  CHECK(speaking.events.empty());
  CHECK_EQ(speaking.speak("one \xF0\x9F\x98\x80 dog"), 1u);  // what can be said of a text is
  CHECK(speaking.hear() == speaking.voice.sound("^ W AH1 N | D AO1 G ."));
}

TEST(a_word_that_no_reader_takes_is_refused_by_name) {
  Speaking speaking;
  std::string phones;
  for (int i = 0; i < 70; ++i) phones += "B ";
  CHECK_THROWS(speaking.speak("<speak><phoneme alphabet='x-arpabet' ph='" + phones +
                              "'>x</phoneme></speak>"),
               "has 70 phones, this voice reads at most 62");
}

TEST(more_texts_than_may_wait_are_refused) {
  Speaking speaking;
  for (size_t i = 0; i < SpeechQueue::kMaxUtterances; ++i) speaking.speak("one");
  CHECK_THROWS(speaking.speak("one"), "32 texts wait");
  speaking.step_all();
  CHECK(speaking.speak("one") > 0);
}

TEST(stopping_silences_within_five_milliseconds_and_forgets_what_is_queued) {
  Speaking speaking;
  for (int i = 0; i < 5; ++i) speaking.speak("Hello, world.");
  speaking.step_all();
  speaking.read(33);
  speaking.session.stop_speech();
  const Samples fade = speaking.read(1000);
  CHECK_EQ(fade.size(), 5u);
  for (size_t i = 1; i < fade.size(); ++i) CHECK(fade[i] < fade[i - 1]);
  CHECK(speaking.read(1000).empty());
  CHECK(speaking.hear().empty());
  // Each is told of, whether it had begun or not.
  std::vector<uint64_t> stopped;
  for (const auto& event : speaking.events) {
    if (event.type == kStop) stopped.push_back(event.utterance);
  }
  CHECK(stopped == std::vector<uint64_t>({1, 2, 3, 4, 5}));
  speaking.events.clear();
  CHECK_EQ(speaking.speak("One."), 6u);
  CHECK(speaking.hear() == speaking.voice.sound("^ W AH1 N ."));
  CHECK(speaking.events == Events({{kStart, 6}, {kStop, 6}}));
}

TEST(what_is_spoken_right_behind_a_stop_is_heard_whole) {
  // Whatever the first one had come to.
  for (size_t num_steps = 0; num_steps < 12; ++num_steps) {
    for (const bool is_read : {false, true}) {
      Speaking speaking;
      speaking.speak("Hello, world.");
      for (size_t i = 0; i < num_steps; ++i) speaking.session.step();
      const Samples begun = is_read ? speaking.read(15) : Samples();
      speaking.session.stop_speech();
      speaking.speak("One.");
      const Samples one = speaking.voice.sound("^ W AH1 N .");
      const Samples heard = speaking.hear();
      CHECK(heard.size() <= one.size() + 5);
      CHECK(heard.size() >= one.size());
      if (heard.size() >= one.size()) CHECK(std::equal(one.rbegin(), one.rend(), heard.rbegin()));
      if (begun.empty()) CHECK_EQ(heard.size(), one.size());
      CHECK(speaking.events.back() == (Speaking::Told{kStop, 2}));
    }
  }
}

TEST(stopping_without_speech_does_nothing) {
  Speaking speaking;
  speaking.session.stop_speech();
  CHECK_EQ(speaking.session.step(), GALAGO_EMPTY);
  CHECK_EQ(speaking.session.wait(0), GALAGO_TIMEOUT);
  speaking.speak("One.");
  CHECK(!speaking.hear().empty());
  speaking.session.stop_speech();
  speaking.step_all();
  CHECK(speaking.events == Events({{kStart, 1}, {kStop, 1}}));
}

TEST(reading_no_samples_is_empty_and_takes_none) {
  Speaking speaking;
  size_t num_read = 9;
  CHECK_EQ(speaking.session.read_speech(nullptr, 0, &num_read), GALAGO_EMPTY);
  CHECK_EQ(num_read, 0u);
  speaking.speak("One.");
  speaking.step_all();
  CHECK_EQ(speaking.session.read_speech(nullptr, 0, &num_read), GALAGO_EMPTY);
  CHECK(speaking.hear() == speaking.voice.sound("^ W AH1 N ."));
}

TEST(a_session_closes_while_it_speaks) {
  for (const uint32_t flags : {0u, GALAGO_SESSION_WORKER}) {
    Speaking speaking(SessionFixture::with_flags(flags));
    for (int i = 0; i < 20; ++i) speaking.speak("Hello, world, hello, world.");
    if (flags == 0) speaking.step_all();
    speaking.read(100);
  }
}

TEST(reset_forgets_speech_and_its_failure) {
  Speaking speaking;
  speaking.speak("Hello, world.");
  speaking.speak("Hello, world.");
  speaking.step_all();
  speaking.read(25);
  speaking.session.reset();
  CHECK(speaking.read(1000).empty());
  speaking.events.clear();
  CHECK(speaking.hear().empty());
  CHECK(speaking.events.empty());
  const uint64_t next = speaking.speak("One.");
  CHECK(speaking.hear() == speaking.voice.sound("^ W AH1 N ."));
  CHECK(speaking.events == Events({{kStart, next}, {kStop, next}}));
}

TEST(a_voice_that_fails_is_silent_until_reset) {
  for (const int what : {0, 1, 2, 3}) {
    Speaking speaking;
    VoiceScript& script = speaking.voice.script;
    int64_t* const failures[] = {&script.fail_at_read, &script.nan_at_read, &script.fail_at_chunk,
                                 &script.nan_at_chunk};
    *failures[what] = what < 2 ? 1 : 6;  // in the second sentence
    speaking.speak("One. One. One.");
    while (speaking.session.step() == GALAGO_OK) {
    }
    speaking.take_events();
    CHECK(speaking.failures == std::vector<std::string>({"voice"}));
    CHECK(speaking.read(1000).empty());
    CHECK_THROWS(speaking.speak("One."), "the voice has failed");
    CHECK_EQ(speaking.session.wait(-1), GALAGO_EMPTY);
    speaking.session.stop_speech();
    speaking.session.reset();
    speaking.speak("One.");
    CHECK(speaking.hear() == speaking.voice.sound("^ W AH1 N ."));
  }
}

TEST(a_voice_that_fails_does_not_keep_the_ear_from_hearing) {
  ScriptedVoice voice;
  voice.script.fail_at_chunk = 0;
  SessionFixture fixture("....aabb................................", SessionFixture::defaults(),
                         scripted_target(), scripted_ear(), nullptr, &voice.opened);
  fixture.session->speak("One.");
  CHECK_EQ(fixture.session->step(), GALAGO_OK);  // the reader
  CHECK_EQ(fixture.session->step(), GALAGO_E_BACKEND);
  fixture.run_tokens(40);
  fixture.end();
  CHECK_EQ(fixture.session->wait(-1), GALAGO_EMPTY);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FAILED).size(), 1u);
}

TEST(hearing_comes_before_speaking_in_a_step) {
  ScriptedVoice voice;
  SessionFixture fixture("....aabb", SessionFixture::defaults(), scripted_target(), scripted_ear(),
                         nullptr, &voice.opened);
  fixture.session->speak("One.");
  fixture.push_tokens(9);
  CHECK_EQ(fixture.session->step(), GALAGO_OK);
  CHECK_EQ(fixture.session->metrics().steps, 1u);
  CHECK_EQ(voice.script.num_reads, 0);
  CHECK_EQ(fixture.session->step(), GALAGO_OK);
  CHECK_EQ(voice.script.num_reads, 1);
}

TEST(a_reply_is_spoken_to_its_end_when_the_input_has_ended) {
  ScriptedVoice voice;
  SessionFixture fixture("....aabb................................", SessionFixture::defaults(),
                         scripted_target(), scripted_ear(), nullptr, &voice.opened);
  fixture.run_tokens(40);
  fixture.end();
  CHECK_EQ(fixture.session->wait(0), GALAGO_EMPTY);
  fixture.session->speak("One.");
  CHECK_EQ(fixture.session->wait(0), GALAGO_OK);
  fixture.step_all();
  CHECK_EQ(fixture.session->wait(0), GALAGO_TIMEOUT);  // it is not heard yet
  Samples samples(1000);
  size_t num_read = 0;
  CHECK_EQ(fixture.session->read_speech(samples.data(), samples.size(), &num_read), GALAGO_OK);
  CHECK_EQ(num_read, voice.sound("^ W AH1 N .").size());
  CHECK_EQ(fixture.session->wait(0), GALAGO_OK);
  fixture.step_all();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_SPEAK_STOP).size(), 1u);
  CHECK_EQ(fixture.session->wait(0), GALAGO_EMPTY);
}

TEST(a_session_without_a_voice_says_so) {
  SessionFixture fixture("");
  float sample = 0;
  size_t num_read = 7;
  CHECK_THROWS(fixture.session->speak("one"), "no role \"voice\"");
  CHECK_THROWS(fixture.session->stop_speech(), "no role \"voice\"");
  CHECK_EQ(fixture.session->read_speech(&sample, 1, &num_read), GALAGO_E_UNSUPPORTED);
  CHECK_EQ(num_read, 0u);
  CHECK_EQ(fixture.session->info().speech_sample_rate_hz, 0);
}

TEST(speech_is_measured_apart) {
  Speaking speaking;
  galago_metrics metrics = speaking.session.metrics();
  CHECK_EQ(metrics.ttfa_ns, -1);
  CHECK_EQ(metrics.speech_busy_ns, -1);
  speaking.speak("One.");
  speaking.speak("One.");  // waits for the first: its time says nothing about us
  speaking.step_all();
  metrics = speaking.session.metrics();
  const int64_t ttfa_ns = metrics.ttfa_ns;
  CHECK(ttfa_ns > 0);
  CHECK_EQ(metrics.speech_samples, 2 * speaking.voice.sound("^ W AH1 N .").size());
  CHECK(metrics.speech_busy_ns >= metrics.speech_engine_ns);
  CHECK(metrics.speech_engine_ns > 0);
  CHECK_EQ(metrics.steps, 0u);
  speaking.hear();
  metrics = speaking.session.metrics();
  CHECK_EQ(metrics.ttfa_ns, ttfa_ns);
  CHECK_EQ(metrics.speech_underruns, 0u);
  CHECK_EQ(speaking.session.info().speech_sample_rate_hz, 1000);
}

TEST(a_reader_that_comes_too_early_is_an_underrun) {
  Speaking speaking;
  speaking.speak("Hello, world.");
  speaking.session.step();
  speaking.session.step();
  speaking.read(1000);
  CHECK_EQ(speaking.session.metrics().speech_underruns, 1u);
}
