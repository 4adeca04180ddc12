// The second look at an utterance, for finals: by a longer chunk, or by a larger network.
//
// A short chunk answers soon and sees little of what follows a sound; a long one sees much and
// answers late. Both may be had from one set of weights (B. Zhang et al., "Unified streaming and
// non-streaming two-pass end-to-end model for speech recognition", 2020, where the second look is
// an attention decoder's; here it is the encoder's own): the first pass makes partials, voice
// activity and endpoints, the second one what is final. Weights of its own let the second pass be
// large, for it works only while somebody speaks, and the first one small, for it always does.
//
//   first pass   |--|--|--|--|--|--|--|--|--|--|--|--|      chunk by chunk, without an end
//   utterance          [----------------------)
//   second pass       |--------------|--------------|       from its begin; the last chunk is
//                                             ^^^^^^        filled up
//
// An utterance is a stream of its own here: there is no state to take back when the last chunk was
// filled up, and silence costs nothing. One that goes on from the last hears that one again: after
// a short pause, what was said before it says what is meant. Where the end was only thought to be
// near (look_ahead), the utterance is run again from its begin: that is seldom, and a chunk takes a
// few milliseconds.
#ifndef GALAGO_NATIVE_EAR_SECOND_PASS_H_
#define GALAGO_NATIVE_EAR_SECOND_PASS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "decoding/piece_decoder.h"
#include "ear/ear.h"
#include "engine/engine.h"

namespace galago {

struct OpenedSecondPass {
  EarNetwork network;
  EarTarget target;
  std::shared_ptr<Engine> engine;
  std::shared_ptr<const PieceModel> decoder;  // may be null
};

class SecondPass {
 public:
  // Sound before the utterance that the first chunk begins with: its first tokens have heard
  // something, and a voice that rose softly is heard from where it rose. Of the utterance before
  // it no more than the least.
  static constexpr int kContextTokens = 16;
  static constexpr int kLeastContextTokens = 4;
  // From where one that is written began to hear to the begin of one that goes on from it.
  static constexpr int kMostJoinedTokens = 150;

  // hear() gets the frames of at most max_new_tokens at once; an utterance begins at most
  // max_backtrack_tokens before the last frame that was heard, and lasts at most
  // max_utterance_tokens. Throws Error.
  SecondPass(const Ear& ear, const OpenedSecondPass& opened, int max_new_tokens,
             int max_backtrack_tokens, int max_utterance_tokens);

  // A new stream begins: its frame 0 comes next.
  void restart();
  // The next frames of the stream, as its network's features are: [num_frames][frame width].
  void hear(const float* frames, int num_frames);

  // An utterance begins with this token, and the one before it ended before last_end.
  void begin(int64_t token, int64_t last_end);
  // Whether what was heard since the last utterance began can be heard again with one that begins
  // with this token; and begins that one.
  bool can_go_on(int64_t token) const;
  void go_on(int64_t token);
  // Computes the rows of the next tokens. False if they reach beyond end_token, or need frames that
  // were not heard yet, unless there will be none of them (`is_over`), where it is false if no row
  // is left; or after a failure.
  bool advance(int64_t end_token, bool is_over);
  // What all rows that are left would be, if nothing more came than these next frames, at most
  // those of max_new_tokens: hear() will hear them again, unless the utterance ends here, where
  // advance() gives the same rows chunk by chunk. False: there are none, or it broke.
  bool look_ahead(const float* frames, int num_frames);
  // The utterance is over.
  void end() { in_utterance_ = false; }

  // Of the last advance() or look_ahead(): tokens [begin_token(), end_token()), a row each.
  int64_t begin_token() const { return rows_begin_; }
  int64_t end_token() const { return rows_end_; }
  const float* phone_log_probs(int64_t token) const;
  const float* token_log_probs(int64_t token) const;
  // The encoder's rows of that chunk from its first on, before begin_token() too, and how many of
  // them there are before end_token. A network without a decoder has none.
  const float* rows() const;
  size_t num_rows(int64_t end_token) const;
  // Of all rows of an utterance, how many come before a token's.
  size_t num_rows_before(int64_t token) const;

  // What broke it, until restart(); nullptr: nothing.
  const char* failure() const { return failure_; }
  // Time in the engine since this was asked last.
  int64_t take_engine_ns();

  size_t num_bytes() const;

 private:
  const float* frame(int64_t index) const {
    return frames_.data() + static_cast<size_t>(index - frames_begin_) * frame_width_;
  }
  void append(const float* frames, int num_frames);
  void drop_frames_ahead();
  bool run_next();                // false: no row is left, or it broke
  void show_next();               // the chunk at chunk_begin_, whose rows are there
  bool run_chunk(int64_t begin);  // false: it broke
  void fill_up(int64_t begin, int64_t num_heard);

  const EarTarget target_;
  const std::shared_ptr<Engine> engine_;
  const size_t frame_width_;
  const size_t num_phones_;
  const size_t num_tokens_;
  const int64_t subsampling_;
  const int64_t history_frames_;  // kept of what was heard
  const int64_t joined_frames_;   // and since the last utterance began, if no more than these
  const int64_t fill_frames_;     // that a last chunk is filled up with
  const bool is_filled_with_zeros_;

  const size_t most_chunks_ahead_;

  std::unique_ptr<EngineStream> stream_;
  std::vector<float> frames_;  // [frames_begin_, frames_end_) of the stream
  int64_t frames_begin_ = 0;
  int64_t frames_end_ = 0;
  bool in_utterance_ = false;
  int64_t first_token_ = 0;            // whose row tells of the utterance
  int64_t utterance_begin_ = 0;        // frame that the first chunk begins with
  int64_t chunk_begin_ = 0;            // frame that the next chunk begins with
  int num_frames_ahead_ = 0;           // of the frames, the last, which will come again
  size_t num_chunks_ahead_ = 0;        // the next chunks, whose rows are there
  bool has_filled_in_states_ = false;  // a chunk was filled up that now goes on
  std::vector<float> phone_rows_;      // of the last chunk, or of those ahead
  std::vector<float> token_rows_;
  std::vector<float> encoder_rows_;
  int64_t held_begin_ = 0;  // token of the first of these rows
  int64_t rows_begin_ = 0;
  int64_t rows_end_ = 0;
  int64_t shown_begin_ = 0;  // token of the first row of the chunk that is shown
  const char* failure_ = nullptr;
  int64_t engine_ns_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_SECOND_PASS_H_
