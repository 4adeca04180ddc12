// Where utterances begin and end.
#include <random>
#include <vector>

#include "check.h"
#include "ear/endpoint.h"

namespace {

using galago::Endpoint;
using galago::EndpointOptions;
using galago::EndReason;
using galago::UtteranceChange;
using galago::VoiceActivity;

struct Utterance {
  int64_t begin_token;
  int64_t end_token;
  int64_t begun_at;  // the token that told its begin
  EndReason reason;
  bool operator==(const Utterance& other) const {
    return begin_token == other.begin_token && end_token == other.end_token &&
           begun_at == other.begun_at && reason == other.reason;
  }
};

class Stream {
 public:
  explicit Stream(const EndpointOptions& options = {}) : endpoint_(options) {}

  void hear(int num_tokens, float speech_probability) {
    for (int i = 0; i < num_tokens; ++i) {
      voice_.advance(speech_probability);
      note(endpoint_.advance(voice_));
    }
  }
  void finish() { note(endpoint_.finish()); }

  const std::vector<Utterance>& utterances() const { return utterances_; }
  const Endpoint& endpoint() const { return endpoint_; }
  const VoiceActivity& voice() const { return voice_; }

 private:
  void note(UtteranceChange change) {
    if (change == UtteranceChange::kBegin) begun_at_ = voice_.next_token() - 1;
    if (change == UtteranceChange::kEnd)
      utterances_.push_back(
          {endpoint_.begin_token(), endpoint_.end_token(), begun_at_, endpoint_.reason()});
  }

  VoiceActivity voice_{{}};
  Endpoint endpoint_;
  int64_t begun_at_ = 0;
  std::vector<Utterance> utterances_;
};

TEST(an_utterance_begins_before_its_voice_and_ends_after_the_silence) {
  Stream stream;
  stream.hear(20, 0.0f);
  stream.hear(10, 1.0f);  // tokens 20 to 29
  stream.hear(40, 0.0f);
  CHECK_EQ(stream.utterances().size(), 1u);
  const Utterance& utterance = stream.utterances()[0];
  CHECK_EQ(utterance.begin_token, 15);     // 200 ms of padding
  CHECK_EQ(utterance.end_token, 30 + 15);  // 600 ms of silence
  CHECK(utterance.reason == EndReason::kSilence);
  CHECK(utterance.begun_at - utterance.begin_token + 1 <=
        stream.endpoint().max_preroll_tokens(stream.voice()));
}

TEST(a_pause_within_speech_does_not_end_it) {
  Stream stream;
  stream.hear(10, 1.0f);
  stream.hear(14, 0.0f);
  stream.hear(10, 1.0f);
  stream.hear(15, 0.0f);
  CHECK_EQ(stream.utterances().size(), 1u);
  CHECK_EQ(stream.utterances()[0].begin_token, 0);
  CHECK_EQ(stream.utterances()[0].end_token, 49);
}

TEST(a_long_voice_is_cut_and_continues_in_the_next_utterance_without_a_gap) {
  EndpointOptions options;
  options.max_utterance_ms = 2000;
  Stream stream(options);
  stream.hear(4, 0.0f);
  stream.hear(120, 1.0f);
  stream.hear(30, 0.0f);
  CHECK_EQ(stream.utterances().size(), 3u);
  CHECK_EQ(stream.utterances()[0].begin_token, 0);
  for (int i = 0; i < 2; ++i) {
    CHECK(stream.utterances()[static_cast<size_t>(i)].reason == EndReason::kMaxUtterance);
    CHECK_EQ(stream.utterances()[static_cast<size_t>(i)].end_token, 50 * (i + 1));
    CHECK_EQ(stream.utterances()[static_cast<size_t>(i) + 1].begin_token, 50 * (i + 1));
  }
  CHECK(stream.utterances()[2].reason == EndReason::kSilence);
  CHECK_EQ(stream.utterances()[2].end_token, 124 + 15);
}

TEST(utterances_never_overlap) {
  EndpointOptions options;
  options.silence_ms = 200;
  options.padding_ms = 1000;
  Stream stream(options);
  for (int i = 0; i < 20; ++i) {
    stream.hear(5, 1.0f);
    stream.hear(7, 0.0f);
  }
  CHECK_EQ(stream.utterances().size(), 20u);
  for (size_t i = 1; i < stream.utterances().size(); ++i)
    CHECK(stream.utterances()[i].begin_token >= stream.utterances()[i - 1].end_token);
}

TEST(the_end_of_input_ends_the_utterance) {
  Stream stream;
  stream.hear(10, 1.0f);
  stream.finish();
  CHECK_EQ(stream.utterances().size(), 1u);
  CHECK(stream.utterances()[0].reason == EndReason::kInput);
  CHECK_EQ(stream.utterances()[0].end_token, 10);
  stream.finish();
  CHECK_EQ(stream.utterances().size(), 1u);
}

TEST(silence_that_is_known_otherwise_ends_it_at_the_deadline) {
  galago::VoiceActivity voice({});
  Endpoint endpoint({});
  const auto hear = [&](int num_tokens, float speech_probability) {
    for (int i = 0; i < num_tokens; ++i) {
      voice.advance(speech_probability);
      endpoint.advance(voice);
    }
  };
  CHECK_EQ(endpoint.silence_deadline(voice), -1);
  CHECK(endpoint.finish_in_silence(voice) == UtteranceChange::kNone);
  hear(10, 1.0f);
  CHECK_EQ(endpoint.silence_deadline(voice), -1);  // the voice goes on
  hear(8, 0.0f);
  CHECK_EQ(endpoint.silence_deadline(voice), 10 + 15);
  hear(1, 1.0f);
  CHECK_EQ(endpoint.silence_deadline(voice), -1);  // one may be about to start
  hear(1, 0.0f);
  CHECK_EQ(endpoint.silence_deadline(voice), 25);
  CHECK(endpoint.finish_in_silence(voice) == UtteranceChange::kEnd);
  CHECK(endpoint.reason() == EndReason::kSilence);
  CHECK_EQ(endpoint.end_token(), 25);
  CHECK(!endpoint.in_utterance());
}

TEST(a_silent_stream_has_no_utterance) {
  Stream stream;
  stream.hear(100000, 0.1f);
  stream.finish();
  CHECK(stream.utterances().empty());
}

// The session hands over 4, 8 or 16 tokens at a time. Only the order of tokens may count, so a
// clock of its own in either class would show here.
TEST(chunk_sizes_make_no_difference) {
  std::mt19937 random(7);
  std::vector<float> probabilities;
  while (probabilities.size() < 4096)
    probabilities.insert(probabilities.end(), 1 + random() % 40,
                         static_cast<float>(random() % 100) / 100.0f);
  std::vector<std::vector<Utterance>> heard;
  for (const size_t chunk_tokens : {4u, 8u, 16u}) {
    EndpointOptions options;
    options.max_utterance_ms = 5000;
    Stream stream(options);
    for (size_t first = 0; first + chunk_tokens <= 4096; first += chunk_tokens)
      for (size_t i = first; i < first + chunk_tokens; ++i) stream.hear(1, probabilities[i]);
    stream.finish();
    heard.push_back(stream.utterances());
  }
  CHECK(heard[0].size() > 10);
  CHECK(heard[0] == heard[1]);
  CHECK(heard[0] == heard[2]);
}

TEST(options_out_of_range_are_named) {
  EndpointOptions options;
  options.silence_ms = -1;
  CHECK_THROWS(Endpoint{options}, "silence_ms");
  options = {};
  options.max_utterance_ms = 10;
  CHECK_THROWS(Endpoint{options}, "max_utterance_ms");
  options = {};
  options.padding_ms = -1;
  CHECK_THROWS(Endpoint{options}, "padding_ms");
  options = {};
  options.token_ms = 0;
  CHECK_THROWS(Endpoint{options}, "token_ms");
}

}  // namespace
