// A session over a script, and what a test does to it in one line.
#ifndef GALAGO_TESTS_NATIVE_SESSION_SESSION_FIXTURE_H_
#define GALAGO_TESTS_NATIVE_SESSION_SESSION_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "engine/scripted_engine.h"
#include "session/session.h"

namespace galago {

constexpr int64_t kSampleNs = 62'500;  // 16 kHz
constexpr size_t kTokenSamples = 640;
constexpr int64_t kTokenNs = 40'000'000;

struct Heard {
  uint32_t type;
  uint64_t sequence;
  uint64_t utterance;
  int64_t begin_ns;
  int64_t end_ns;
  galago_status status;
  uint32_t stable_bytes;
  std::string text;
  std::vector<std::string> words;
  std::vector<int64_t> word_begins_ns;
  std::vector<float> values;
  std::vector<std::string> labels;
  std::vector<float> scores;
};

inline OpenedEar opened_ear(const Ear& ear, const EarTarget& target,
                            std::shared_ptr<Engine> engine) {
  OpenedEar opened;
  opened.ear = ear;
  opened.target = target;
  opened.engine = std::move(engine);
  return opened;
}

class SessionFixture {
 public:
  explicit SessionFixture(const std::string& text, galago_session_options options = defaults(),
                          EarTarget target = scripted_target(), Ear ear = scripted_ear(),
                          const OpenedEye* eye = nullptr, const OpenedVoice* voice = nullptr)
      : engine(std::make_shared<ScriptedEngine>(ear, target, galago::script(text))),
        opened{opened_ear(ear, target, engine)},
        session(std::make_unique<Session>(OpenedRoles{&opened, eye, voice}, options)) {}

  static galago_session_options defaults() { return GALAGO_SESSION_OPTIONS_INIT; }
  static galago_session_options with_flags(uint32_t flags) {
    galago_session_options options = defaults();
    options.flags = flags;
    return options;
  }

  // Looks at every utterance again, by a script of its own that begins with the chunk: what the
  // session keeps before the utterance comes first.
  void look_twice(const std::string& text, uint32_t flags = 0, int chunk_tokens = 32) {
    look_twice_by(opened.ear.network, scripted_target(chunk_tokens, opened.target.lookahead_tokens),
                  text, with_flags(flags));
  }
  // The same, by a network of its own.
  void look_twice_by(const EarNetwork& network, const EarTarget& target, const std::string& text,
                     galago_session_options options = defaults()) {
    Ear second = opened.ear;
    second.network = network;
    second_engine = std::make_shared<ScriptedEngine>(second, target, galago::script(text));
    opened.second_pass = OpenedSecondPass{network, target, second_engine, nullptr};
    session = std::make_unique<Session>(OpenedRoles{&opened, nullptr, nullptr}, options);
  }

  // Silence, as far as samples go: the script is what is heard.
  galago_status push_tokens(size_t num_tokens) { return push(num_tokens * kTokenSamples); }
  galago_status push(size_t num_samples) {
    const std::vector<float> samples(num_samples, 0.0f);
    const galago_status status = session->push_audio(samples.data(), num_samples, next_ns);
    if (status == GALAGO_OK) next_ns += static_cast<int64_t>(num_samples) * kSampleNs;
    return status;
  }

  // Pushes a chunk at a time and steps.
  void run_tokens(size_t num_tokens) {
    for (size_t i = 0; i < num_tokens; i += 8) {
      push_tokens(std::min<size_t>(8, num_tokens - i));
      step_all();
    }
  }
  void step_all() {
    while (session->step() == GALAGO_OK) take_all();
    take_all();
  }
  void end() {
    session->end_input();
    step_all();
  }
  void take_all() {
    galago_event event;
    while (session->next_event(&event) == GALAGO_OK) {
      Heard one{event.type,
                event.sequence,
                event.utterance,
                event.begin_ns,
                event.end_ns,
                event.status,
                event.stable_bytes,
                event.text,
                {},
                {},
                {},
                {},
                {}};
      for (size_t i = 0; i < event.num_words; ++i) {
        one.words.emplace_back(event.words[i].text);
        one.word_begins_ns.push_back(event.words[i].begin_ns);
      }
      one.values.assign(event.values, event.values + event.num_values);
      for (size_t i = 0; i < event.num_labels; ++i) {
        one.labels.emplace_back(event.labels[i].name);
        one.scores.push_back(event.labels[i].score);
      }
      heard.push_back(std::move(one));
    }
  }

  std::vector<Heard> of_type(uint32_t type) const {
    std::vector<Heard> found;
    for (const Heard& one : heard) {
      if (one.type == type) found.push_back(one);
    }
    return found;
  }

  std::shared_ptr<ScriptedEngine> engine;
  std::shared_ptr<ScriptedEngine> second_engine;
  OpenedEar opened;
  std::unique_ptr<Session> session;
  int64_t next_ns = 7'000'000'000;  // capture time of the next sample
  std::vector<Heard> heard;
};

// Finals of a voice that outlasts its longest utterance, 23 to 26 tokens of them that are words:
// each goes on where the one before it ended.
inline void check_full_finals(const std::vector<Heard>& finals) {
  CHECK(finals.size() >= 4);
  for (size_t i = 0; i + 1 < finals.size(); ++i) {
    CHECK(finals[i].words.size() >= 23 && finals[i].words.size() <= 26);
    if (i > 0) CHECK_EQ(finals[i].begin_ns, finals[i - 1].end_ns);
  }
}

}  // namespace galago

#endif  // GALAGO_TESTS_NATIVE_SESSION_SESSION_FIXTURE_H_
