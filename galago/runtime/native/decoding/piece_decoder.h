// An attention decoder: it writes what the rows of an encoder say, one piece of a word at a time.
//
//   rows of the utterance, as they come ──► keys and values of every block      (hear)
//   when it is over: BEGIN ──► piece ──► piece ──► ... ──► END                  (write)
//
// It may write before everything was heard, too. What it has written twice from more and more rows
// is agreed: it will stand in every later text (the local agreement of D. Macháček et al., "Turning
// Whisper into real-time transcription system", 2023).
//
// The network is that of galago/models/piece_decoder.py: blocks of attention to the pieces so far
// with rotated queries and keys, attention to the rows, and a feed-forward with SwiGLU. It is no
// graph of an engine, but runs here, in integers of four and eight bits (group_matrix.h): a step is
// a handful of products with vectors, for which an engine has more to do around them than in them,
// and it is the same on every board.
//
// The likeliest piece is taken each time (greedy); END too early or never is a mistake that such
// decoders make on sounds they do not know, so a text may not be longer than speech can be, and not
// go round in circles.
#ifndef GALAGO_NATIVE_DECODING_PIECE_DECODER_H_
#define GALAGO_NATIVE_DECODING_PIECE_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "decoding/group_matrix.h"

namespace galago {

// The weights, as galago.quantize.ear.decoder_file writes them; shared by all sessions.
class PieceModel {
 public:
  static constexpr uint32_t kMagic = 0x43445047;  // "GPDC"
  static constexpr uint32_t kVersion = 1;
  static constexpr uint32_t kBegin = 1, kEnd = 2, kNumSpecial = 3;

  // Throws Error (GALAGO_E_CORRUPT).
  static std::shared_ptr<const PieceModel> parse(std::shared_ptr<const FileBytes> file);

  struct Attention {
    GroupMatrix query, key, value, out;
  };
  struct Block {
    const float* attention_norm;
    Attention pieces;
    const float* rows_norm;
    Attention rows;
    const float* feed_forward_norm;
    GroupMatrix expand;
    const float* expand_bias;
    GroupMatrix project;
    const float* project_bias;
  };

  size_t width() const { return width_; }
  size_t num_heads() const { return num_heads_; }
  size_t head_width() const { return width_ / num_heads_; }
  size_t inner_width() const { return inner_width_; }
  size_t rotary_width() const { return rotary_width_; }
  size_t num_pieces() const { return names_.size(); }
  std::string_view name(size_t piece) const { return names_[piece]; }
  size_t longest_name_bytes() const;
  const std::vector<Block>& blocks() const { return blocks_; }
  const GroupMatrix& embedding() const { return embedding_; }
  const float* norm() const { return norm_; }
  float norm_epsilon() const { return norm_epsilon_; }

 private:
  PieceModel() = default;

  std::shared_ptr<const FileBytes> file_;
  std::vector<std::string> names_;
  size_t width_ = 0, num_heads_ = 0, inner_width_ = 0, rotary_width_ = 0;
  float norm_epsilon_ = 0;
  GroupMatrix embedding_;
  std::vector<Block> blocks_;
  const float* norm_ = nullptr;
};

// One session's. Everything is allocated when it is made.
class PieceDecoder {
 public:
  static constexpr size_t kRepeatedWords = 5;

  // Of utterances of at most max_rows rows and max_pieces pieces, [1, 65536] each.
  PieceDecoder(std::shared_ptr<const PieceModel> model, size_t max_rows, size_t max_pieces);

  // An utterance begins.
  void reset();
  // One begins that goes on from the last: it gets the rows of that one again, and then its own.
  // What was written by now is given, and no part of its text. Alone it has rows from
  // first_row_alone on.
  void go_on(size_t first_row_alone);
  // Its next rows, [num_rows][width]; those beyond max_rows are ignored.
  void hear(const float* rows, size_t num_rows);
  // Writes what was heard by now, beginning with what is agreed: at most `most_pieces`, and those
  // that are given, and max_pieces of both.
  void write(size_t most_pieces);
  // Where it goes on from another: writes it as if it did not, from its own rows, instead.
  bool has_gone_on() const { return num_given_ > 0; }
  void write_alone(size_t most_pieces);
  // The text that agree() was called for last began otherwise, its last word apart. From all rows
  // it may have jumped from one place to another that sounds alike; that one had not heard it.
  bool begins_otherwise() const;
  // Then: writes what was heard by now on from that text, instead.
  void write_on(size_t most_pieces);
  // Keeps the first words, and writes what the rows from first_row on say, as if that were all.
  void write_behind(size_t num_words, size_t first_row, size_t most_pieces);
  // The text before write_alone(), write_on() or write_behind() is there again.
  void take_back();
  // More is to come: agrees to the words that this text and the last one that was agreed to begin
  // with, but for the last of them.
  void agree();

  struct Word {
    uint32_t text_begin;  // byte offset into text()
    uint32_t text_bytes;
    float confidence;  // that its pieces are right, given those before; [0, 1]
    uint32_t first_piece;
  };
  // Of the last write(): words with one space between them.
  std::string_view text() const { return {text_.data(), text_bytes_}; }
  const std::vector<Word>& words() const { return words_; }
  size_t num_agreed_words() const { return num_agreed_words_; }
  // The first word that begins a passage of kRepeatedWords which was written before: there it may
  // have begun to hear the same rows again. All words: there is none.
  size_t first_repeated_word() const;
  // Keeps the first of the words, and their pieces.
  void keep_words(size_t num_words);

  size_t num_rows() const { return num_rows_; }
  size_t num_bytes() const;  // on the heap

 private:
  // Keys and values in eight bits, channel by channel, so that many of them are one register.
  struct Memory {
    std::vector<int8_t> keys, values;             // [width][most]
    std::vector<float> key_scales, value_scales;  // [num_heads][most]
  };
  struct Piece {
    uint16_t index;
    float probability;
  };
  static bool is_same(const Piece& a, const Piece& b) { return a.index == b.index; }

  // Text that begins with the first of some pieces, of rows from first_row on; the network does not
  // know of the first num_left_out of these pieces.
  void write_from(const std::vector<Piece>& begin, size_t num_begin, size_t most_pieces,
                  size_t num_left_out = 0, size_t first_row = 0);
  void spell_all();
  // What comes next begins a word: the last one is agreed, or was final.
  void end_word();
  // Where the last word of the first `count` pieces begins.
  size_t last_word(const std::vector<Piece>& pieces, size_t count) const;
  void next(size_t piece, size_t position);  // leaves what follows in logits_
  void attend_to_pieces(const PieceModel::Block& block, Memory* memory, size_t position);
  void attend_to_rows(const PieceModel::Block& block, const Memory& memory);
  Memory make_memory(size_t most) const;
  // Keeps a key, or a value, as the one of `index` of a memory of `most`.
  void keep(const float* vector, size_t index, size_t most, std::vector<int8_t>* integers,
            std::vector<float>* scales) const;
  // mixed_ becomes what the query finds in [first, first + count) of `most`.
  void look_up(const Memory& memory, size_t first, size_t count, size_t most);
  void feed_forward(const PieceModel::Block& block);
  void normalise(const float* weights);  // x_ into normed_
  void rotate(float* vector, size_t position) const;
  // Whether it went round in one from `begin` on; what it had said before goes, but for the first
  // num_sure.
  bool leave_circle(size_t begin, size_t num_sure);
  void spell(size_t index);

  const std::shared_ptr<const PieceModel> model_;
  const size_t max_rows_;
  const size_t max_pieces_;
  size_t num_rows_ = 0;

  std::vector<Memory> row_memory_;    // of each block, of max_rows
  std::vector<Memory> piece_memory_;  // of each block, of max_pieces
  std::vector<float> rotation_;       // [max_pieces][rotary_width]: cosine, sine
  GroupVector operand_;
  std::vector<float> x_, normed_, query_, mixed_, inner_;
  std::vector<float> weights_;  // of attention: [max(max_rows, max_pieces)]
  std::vector<float> logits_;
  std::vector<Piece> pieces_;           // written so far
  std::vector<Piece> held_;             // as they were for take_back()
  std::vector<Piece> agreed_, before_;  // and when agree() was called last
  size_t num_agreed_words_ = 0;
  size_t num_given_ = 0;  // of all of these, the first
  size_t first_row_alone_ = 0;
  size_t first_row_ = 0;  // that is attended to

  std::vector<char> text_;
  size_t text_bytes_ = 0;
  std::vector<Word> words_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_PIECE_DECODER_H_
