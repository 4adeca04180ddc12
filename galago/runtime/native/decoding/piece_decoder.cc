#include "decoding/piece_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/byte_reader.h"
#include "base/heap_bytes.h"
#include "base/status.h"
#include "base/utf8.h"
#include "base/vector_clones.h"

namespace galago {
namespace {

constexpr const char* kName = "the attention decoder";
constexpr size_t kAlignment = 64;
constexpr size_t kMaxLength = 65536;
constexpr size_t kLanes = 16;
// So often in a row no word or phrase is said that is up to so many pieces long.
constexpr size_t kMostRounds = 4;
constexpr size_t kLongestRound = 12;

class ModelReader {
 public:
  explicit ModelReader(const FileBytes& file)
      : reader_(file.data(), file.size(), kName), size_(file.size()) {}

  ByteReader& bytes() { return reader_; }
  void align() {
    const size_t at = size_ - reader_.left();
    reader_.take((kAlignment - at % kAlignment) % kAlignment);
  }
  GroupMatrix matrix(size_t num_outputs, size_t num_inputs) {
    align();
    const uint8_t* const bytes = reader_.take(GroupMatrix::num_bytes(num_outputs, num_inputs));
    const GroupMatrix matrix(bytes, num_outputs, num_inputs);
    if (!matrix.is_finite()) fail(GALAGO_E_CORRUPT, "%s: a scale is not finite", kName);
    return matrix;
  }
  const float* floats(size_t count) {
    align();
    const uint8_t* const bytes = reader_.take(count * sizeof(float));
    for (size_t i = 0; i < count; ++i) {
      float value;
      std::memcpy(&value, bytes + i * sizeof value, sizeof value);
      if (!std::isfinite(value)) fail(GALAGO_E_CORRUPT, "%s: a number is not finite", kName);
    }
    return reinterpret_cast<const float*>(bytes);
  }
  void expect_end() const { reader_.expect_end(); }

 private:
  ByteReader reader_;
  const size_t size_;
};

bool is_text(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (next_code_point(text, &at) == kReplacementCharacter) return false;
  }
  return true;
}

size_t multiple_of(size_t value, size_t of, const char* what) {
  if (value % of != 0)
    fail(GALAGO_E_CORRUPT, "%s: %s is %zu, no multiple of %zu", kName, what, value, of);
  return value;
}

// The sum of products, in lanes that fill a register.
GALAGO_INLINE float dot(const float* weights, const int8_t* integers, size_t count) {
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] += weights[i + lane] * static_cast<float>(integers[i + lane]);
  }
  float sum = 0.0f;
  for (const float lane : lanes) sum += lane;
  for (; i < count; ++i) sum += weights[i] * static_cast<float>(integers[i]);
  return sum;
}

// scores[t] = sum over d of query[d] * keys[d][t]
GALAGO_VECTOR_CLONES void scores_of(const float* query, const int8_t* keys, size_t stride,
                                    size_t head_width, size_t count, float* scores) {
  std::fill_n(scores, count, 0.0f);
  for (size_t d = 0; d < head_width; ++d) {
    const float factor = query[d];
    const int8_t* const channel = keys + d * stride;
    for (size_t t = 0; t < count; ++t) scores[t] += factor * static_cast<float>(channel[t]);
  }
}

// mixed[d] = sum over t of weights[t] * values[d][t]
GALAGO_VECTOR_CLONES void mix(const float* weights, const int8_t* values, size_t stride,
                              size_t head_width, size_t count, float* mixed) {
  for (size_t d = 0; d < head_width; ++d) mixed[d] = dot(weights, values + d * stride, count);
}

// Scores become weights that add up to 1.
void soften(float* scores, size_t count) {
  const float peak = *std::max_element(scores, scores + count);
  float sum = 0.0f;
  for (size_t i = 0; i < count; ++i) sum += scores[i] = std::exp(scores[i] - peak);
  const float inverse = 1.0f / sum;
  for (size_t i = 0; i < count; ++i) scores[i] *= inverse;
}

// Eight bits for a head's part of a row; answers the scale.
float quantize_channels(const float* values, size_t count, size_t stride, int8_t* integers) {
  float largest = 0.0f;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(values[i]));
  const float scale = std::isfinite(largest) ? largest / 127.0f : 0.0f;
  const float inverse = scale > 1e-30f ? 1.0f / scale : 0.0f;
  for (size_t i = 0; i < count; ++i) {
    const float rounded = std::nearbyintf(values[i] * inverse);
    integers[i * stride] = std::fabs(rounded) <= 127.0f ? static_cast<int8_t>(rounded) : int8_t{0};
  }
  return scale;
}

size_t checked_length(size_t length, const char* what) {
  if (length < 1 || length > kMaxLength)
    fail(GALAGO_E_INVALID_ARGUMENT, "%s: %s is %zu, must be in [1, %zu]", kName, what, length,
         kMaxLength);
  return length;
}

}  // namespace

std::shared_ptr<const PieceModel> PieceModel::parse(std::shared_ptr<const FileBytes> file) {
  const std::shared_ptr<PieceModel> model(new PieceModel);
  ModelReader reader(*file);
  ByteReader& bytes = reader.bytes();
  bytes.u32_in("its first number", kMagic, kMagic);
  bytes.u32_in("version", kVersion, kVersion);
  const size_t width = multiple_of(bytes.u32_in("width", 32, 4096), kGroupInputs, "width");
  const size_t num_blocks = bytes.u32_in("number of blocks", 1, 64);
  model->num_heads_ = bytes.u32_in("number of heads", 1, 256);
  const size_t head_width = multiple_of(width, model->num_heads_, "width") / model->num_heads_;
  const size_t inner =
      multiple_of(bytes.u32_in("feed-forward width", 32, 16384), kGroupInputs, "its inner width");
  model->rotary_width_ = multiple_of(
      bytes.u32_in("rotary width", 0, static_cast<uint32_t>(head_width)), 2, "rotary width");
  const size_t num_pieces = multiple_of(bytes.u32_in("number of pieces", 16, 65536),
                                        GroupMatrix::kBlockOutputs, "number of pieces");
  model->norm_epsilon_ = bytes.f32();
  if (!(model->norm_epsilon_ > 0.0f && model->norm_epsilon_ < 1.0f))
    fail(GALAGO_E_CORRUPT, "%s: the epsilon of its norms is not in (0, 1)", kName);
  model->names_ = bytes.names(num_pieces, bytes.u32_in("bytes of names", 16, 1u << 24));
  for (const std::string& name : model->names_) {
    if (name.empty() || !is_text(name)) fail(GALAGO_E_CORRUPT, "%s: a piece is no text", kName);
  }
  model->width_ = width;
  model->inner_width_ = inner;
  model->embedding_ = reader.matrix(num_pieces, width);
  const auto attention = [&]() {
    Attention found;
    for (GroupMatrix* matrix : {&found.query, &found.key, &found.value, &found.out})
      *matrix = reader.matrix(width, width);
    return found;
  };
  for (size_t i = 0; i < num_blocks; ++i) {
    Block block;
    block.attention_norm = reader.floats(width);
    block.pieces = attention();
    block.rows_norm = reader.floats(width);
    block.rows = attention();
    block.feed_forward_norm = reader.floats(width);
    block.expand = reader.matrix(2 * inner, width);
    block.expand_bias = reader.floats(2 * inner);
    block.project = reader.matrix(width, inner);
    block.project_bias = reader.floats(width);
    model->blocks_.push_back(block);
  }
  model->norm_ = reader.floats(width);
  reader.expect_end();
  model->file_ = std::move(file);
  return model;
}

size_t PieceModel::longest_name_bytes() const {
  size_t longest = 0;
  for (const std::string& name : names_) longest = std::max(longest, name.size());
  return longest;
}

PieceDecoder::PieceDecoder(std::shared_ptr<const PieceModel> model, size_t max_rows,
                           size_t max_pieces)
    : model_(std::move(model)),
      max_rows_(checked_length(max_rows, "max_rows")),
      max_pieces_(checked_length(max_pieces, "max_pieces")),
      row_memory_(model_->blocks().size()),
      piece_memory_(model_->blocks().size()),
      rotation_(max_pieces_ * model_->rotary_width()),
      operand_(std::max(model_->width(), model_->inner_width())),
      x_(model_->width()),
      normed_(model_->width()),
      query_(model_->width()),
      mixed_(model_->width()),
      inner_(2 * model_->inner_width()),
      weights_(std::max(max_rows_, max_pieces_)),
      logits_(model_->num_pieces()),
      text_(max_pieces_ * (model_->longest_name_bytes() + 1)) {
  for (Memory& memory : row_memory_) memory = make_memory(max_rows_);
  for (Memory& memory : piece_memory_) memory = make_memory(max_pieces_);
  const size_t num_pairs = model_->rotary_width() / 2;
  for (size_t position = 0; position < max_pieces_; ++position) {
    for (size_t pair = 0; pair < num_pairs; ++pair) {
      const double rate = std::pow(
          10'000.0, -2.0 * static_cast<double>(pair) / (2.0 * static_cast<double>(num_pairs)));
      const double angle = static_cast<double>(position) * rate;
      float* const at = rotation_.data() + position * model_->rotary_width() + 2 * pair;
      at[0] = static_cast<float>(std::cos(angle));
      at[1] = static_cast<float>(std::sin(angle));
    }
  }
  reserve_written(max_pieces_, &pieces_);
  reserve_written(max_pieces_, &held_);
  reserve_written(max_pieces_, &words_);
  reserve_written(max_pieces_, &agreed_);
  reserve_written(max_pieces_, &before_);
}

void PieceDecoder::reset() {
  pieces_.clear();
  go_on(0);
}

void PieceDecoder::go_on(size_t first_row_alone) {
  first_row_alone_ = first_row_alone;
  num_rows_ = 0;
  text_bytes_ = 0;
  words_.clear();
  agreed_.assign(pieces_.begin(), pieces_.end());
  before_.assign(pieces_.begin(), pieces_.end());
  num_given_ = pieces_.size();
  num_agreed_words_ = 0;
}

void PieceDecoder::hear(const float* rows, size_t num_rows) {
  const size_t width = model_->width();
  for (size_t i = 0; i < num_rows && num_rows_ < max_rows_; ++i, ++num_rows_) {
    operand_.assign(rows + i * width, width);
    for (size_t b = 0; b < row_memory_.size(); ++b) {
      const PieceModel::Attention& attention = model_->blocks()[b].rows;
      Memory& memory = row_memory_[b];
      attention.key.multiply(operand_, mixed_.data());
      keep(mixed_.data(), num_rows_, max_rows_, &memory.keys, &memory.key_scales);
      attention.value.multiply(operand_, mixed_.data());
      keep(mixed_.data(), num_rows_, max_rows_, &memory.values, &memory.value_scales);
    }
  }
}

PieceDecoder::Memory PieceDecoder::make_memory(size_t most) const {
  Memory memory;
  memory.keys.resize(model_->width() * most);
  memory.values.resize(memory.keys.size());
  memory.key_scales.resize(model_->num_heads() * most);
  memory.value_scales.resize(memory.key_scales.size());
  return memory;
}

void PieceDecoder::keep(const float* vector, size_t index, size_t most,
                        std::vector<int8_t>* integers, std::vector<float>* scales) const {
  const size_t head_width = model_->head_width();
  for (size_t head = 0; head < model_->num_heads(); ++head) {
    (*scales)[head * most + index] =
        quantize_channels(vector + head * head_width, head_width, most,
                          integers->data() + head * head_width * most + index);
  }
}

void PieceDecoder::write(size_t most_pieces) { write_from(agreed_, agreed_.size(), most_pieces); }

void PieceDecoder::write_alone(size_t most_pieces) {
  held_.assign(pieces_.begin(), pieces_.end());
  write_from(agreed_, agreed_.size(), most_pieces, num_given_, first_row_alone_);
}

void PieceDecoder::write_behind(size_t num_words, size_t first_row, size_t most_pieces) {
  held_.assign(pieces_.begin(), pieces_.end());
  const size_t count = num_words < words_.size() ? words_[num_words].first_piece : pieces_.size();
  write_from(held_, count, most_pieces, count, first_row);
}

bool PieceDecoder::begins_otherwise() const {
  const size_t num_begin = last_word(before_, before_.size());
  if (num_begin <= agreed_.size()) return false;
  if (pieces_.size() < num_begin) return true;
  const auto end = before_.begin() + static_cast<std::ptrdiff_t>(num_begin);
  return !std::equal(before_.begin(), end, pieces_.begin(), is_same);
}

void PieceDecoder::write_on(size_t most_pieces) {
  held_.assign(pieces_.begin(), pieces_.end());
  write_from(before_, last_word(before_, before_.size()), most_pieces);
}

void PieceDecoder::take_back() {
  pieces_.assign(held_.begin(), held_.end());
  spell_all();
}

void PieceDecoder::write_from(const std::vector<Piece>& begin, size_t num_begin, size_t most_pieces,
                              size_t num_left_out, size_t first_row) {
  first_row_ = std::min(first_row, num_rows_);
  const size_t num_kept =
      num_rows_ == first_row_ ? std::max(num_given_, num_left_out) : num_left_out;
  pieces_.assign(begin.begin(), begin.begin() + static_cast<std::ptrdiff_t>(num_kept));
  if (num_rows_ == first_row_) return spell_all();
  const bool goes_on = num_begin > num_left_out || num_left_out > num_given_;
  size_t piece = PieceModel::kBegin;
  const size_t most = std::min(num_given_ + most_pieces, max_pieces_);
  for (size_t index = num_left_out; index < most; ++index) {
    next(piece, index - num_left_out);
    if (index == num_begin && goes_on) end_word();
    const auto best = std::max_element(logits_.begin(), logits_.end());
    const bool is_given = index < num_begin;
    piece = is_given ? begin[index].index : static_cast<size_t>(best - logits_.begin());
    if (piece == PieceModel::kEnd) break;
    float sum = 0.0f;
    const float peak = *best;
    for (const float logit : logits_) sum += std::exp(logit - peak);
    pieces_.push_back({static_cast<uint16_t>(piece), std::exp(logits_[piece] - peak) / sum});
    if (!is_given && leave_circle(num_left_out, num_begin)) break;
  }
  spell_all();
}

void PieceDecoder::end_word() {
  for (size_t piece = 0; piece < logits_.size(); ++piece) {
    if (piece != PieceModel::kEnd && model_->name(piece).front() != ' ')
      logits_[piece] = -std::numeric_limits<float>::infinity();
  }
}

void PieceDecoder::spell_all() {
  text_bytes_ = 0;
  words_.clear();
  for (size_t i = num_given_; i < pieces_.size(); ++i) spell(i);
  if (!words_.empty() && words_.back().text_bytes == 0) words_.pop_back();
  text_bytes_ = words_.empty() ? 0 : words_.back().text_begin + words_.back().text_bytes;
}

void PieceDecoder::next(size_t piece, size_t position) {
  model_->embedding().row(piece, x_.data());
  for (size_t b = 0; b < row_memory_.size(); ++b) {
    const PieceModel::Block& block = model_->blocks()[b];
    attend_to_pieces(block, &piece_memory_[b], position);
    attend_to_rows(block, row_memory_[b]);
    feed_forward(block);
  }
  normalise(model_->norm());
  operand_.assign(normed_.data(), model_->width());
  model_->embedding().multiply(operand_, logits_.data());
}

void PieceDecoder::attend_to_pieces(const PieceModel::Block& block, Memory* memory,
                                    size_t position) {
  const size_t width = model_->width(), head_width = model_->head_width();
  normalise(block.attention_norm);
  operand_.assign(normed_.data(), width);
  block.pieces.value.multiply(operand_, mixed_.data());
  keep(mixed_.data(), position, max_pieces_, &memory->values, &memory->value_scales);
  block.pieces.key.multiply(operand_, mixed_.data());
  block.pieces.query.multiply(operand_, query_.data());
  for (size_t begin = 0; begin < width; begin += head_width) {
    rotate(query_.data() + begin, position);
    rotate(mixed_.data() + begin, position);
  }
  keep(mixed_.data(), position, max_pieces_, &memory->keys, &memory->key_scales);
  look_up(*memory, 0, position + 1, max_pieces_);
  operand_.assign(mixed_.data(), width);
  block.pieces.out.multiply(operand_, normed_.data());
  for (size_t i = 0; i < width; ++i) x_[i] += normed_[i];
}

void PieceDecoder::attend_to_rows(const PieceModel::Block& block, const Memory& memory) {
  const size_t width = model_->width();
  normalise(block.rows_norm);
  operand_.assign(normed_.data(), width);
  block.rows.query.multiply(operand_, query_.data());
  look_up(memory, first_row_, num_rows_ - first_row_, max_rows_);
  operand_.assign(mixed_.data(), width);
  block.rows.out.multiply(operand_, normed_.data());
  for (size_t i = 0; i < width; ++i) x_[i] += normed_[i];
}

void PieceDecoder::look_up(const Memory& memory, size_t first, size_t count, size_t most) {
  const size_t head_width = model_->head_width();
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_width));
  for (size_t head = 0; head < model_->num_heads(); ++head) {
    const size_t begin = head * head_width;
    scores_of(query_.data() + begin, memory.keys.data() + begin * most + first, most, head_width,
              count, weights_.data());
    const float* const key_scales = memory.key_scales.data() + head * most + first;
    for (size_t i = 0; i < count; ++i) weights_[i] *= key_scales[i] * scale;
    soften(weights_.data(), count);
    const float* const value_scales = memory.value_scales.data() + head * most + first;
    for (size_t i = 0; i < count; ++i) weights_[i] *= value_scales[i];
    mix(weights_.data(), memory.values.data() + begin * most + first, most, head_width, count,
        mixed_.data() + begin);
  }
}

void PieceDecoder::feed_forward(const PieceModel::Block& block) {
  const size_t width = model_->width(), inner = model_->inner_width();
  normalise(block.feed_forward_norm);
  operand_.assign(normed_.data(), width);
  block.expand.multiply(operand_, inner_.data());
  for (size_t i = 0; i < inner; ++i) {
    const float value = inner_[i] + block.expand_bias[i];
    const float gate = inner_[inner + i] + block.expand_bias[inner + i];
    inner_[i] = value * gate / (1.0f + std::exp(-gate));
  }
  operand_.assign(inner_.data(), inner);
  block.project.multiply(operand_, normed_.data());
  for (size_t i = 0; i < width; ++i) x_[i] += normed_[i] + block.project_bias[i];
}

void PieceDecoder::normalise(const float* weights) {
  const auto width = static_cast<float>(x_.size());
  float sum = 0.0f, squares = 0.0f;
  for (const float x : x_) sum += x;
  const float mean = sum / width;
  for (const float x : x_) squares += (x - mean) * (x - mean);
  const float inverse = 1.0f / std::sqrt(squares / width + model_->norm_epsilon());
  for (size_t i = 0; i < x_.size(); ++i) normed_[i] = (x_[i] - mean) * inverse * weights[i];
}

void PieceDecoder::rotate(float* vector, size_t position) const {
  const float* const turn = rotation_.data() + position * model_->rotary_width();
  for (size_t i = 0; i < model_->rotary_width(); i += 2) {
    const float first = vector[i], second = vector[i + 1];
    vector[i] = first * turn[i] - second * turn[i + 1];
    vector[i + 1] = second * turn[i] + first * turn[i + 1];
  }
}

bool PieceDecoder::leave_circle(size_t begin, size_t num_sure) {
  for (size_t length = 1; length <= kLongestRound; ++length) {
    if (pieces_.size() < begin + length * kMostRounds) return false;
    const auto first = pieces_.end() - static_cast<std::ptrdiff_t>(length * kMostRounds);
    const auto second = first + static_cast<std::ptrdiff_t>(length);
    if (std::equal(second, pieces_.end(), first, is_same)) {
      pieces_.resize(std::max(pieces_.size() - length * (kMostRounds - 1), num_sure));
      return true;
    }
  }
  return false;
}

void PieceDecoder::spell(size_t index) {
  const Piece& piece = pieces_[index];
  if (piece.index < PieceModel::kNumSpecial) return;
  std::string_view name = model_->name(piece.index);
  const bool begins_word = name.front() == ' ';
  if (begins_word) name.remove_prefix(1);
  if (words_.empty() || (begins_word && words_.back().text_bytes > 0)) {
    if (!words_.empty()) text_[text_bytes_++] = ' ';
    words_.push_back({static_cast<uint32_t>(text_bytes_), 0, 1.0f, static_cast<uint32_t>(index)});
  }
  std::copy(name.begin(), name.end(), text_.begin() + static_cast<std::ptrdiff_t>(text_bytes_));
  text_bytes_ += name.size();
  words_.back().text_bytes += static_cast<uint32_t>(name.size());
  words_.back().confidence *= piece.probability;
}

size_t PieceDecoder::last_word(const std::vector<Piece>& pieces, size_t count) const {
  while (count > 0 && model_->name(pieces[count - 1].index).front() != ' ') --count;
  return count > 0 ? count - 1 : 0;
}

void PieceDecoder::agree() {
  size_t num_same = 0;
  while (num_same < std::min(pieces_.size(), before_.size()) &&
         is_same(pieces_[num_same], before_[num_same])) {
    ++num_same;
  }
  num_same = last_word(pieces_, num_same);
  before_.assign(pieces_.begin(), pieces_.end());
  if (num_same <= agreed_.size()) return;
  agreed_.clear();
  num_agreed_words_ = 0;
  for (size_t i = 0; i < num_same; ++i) {
    agreed_.push_back(pieces_[i]);
    const std::string_view name = model_->name(pieces_[i].index);
    num_agreed_words_ += i >= num_given_ && pieces_[i].index >= PieceModel::kNumSpecial &&
                         (i == num_given_ || name[0] == ' ');
  }
  num_agreed_words_ = std::min(num_agreed_words_, words_.size());
}

size_t PieceDecoder::first_repeated_word() const {
  const auto same = [this](const Word& a, const Word& b) {
    return text().substr(a.text_begin, a.text_bytes) == text().substr(b.text_begin, b.text_bytes);
  };
  for (size_t second = std::max(kRepeatedWords, num_agreed_words_);
       second + kRepeatedWords <= words_.size(); ++second) {
    const auto passage = words_.begin() + static_cast<std::ptrdiff_t>(second);
    for (size_t first = 0; first + kRepeatedWords <= second; ++first) {
      const auto before = words_.begin() + static_cast<std::ptrdiff_t>(first);
      if (std::equal(before, before + kRepeatedWords, passage, same)) return second;
    }
  }
  return words_.size();
}

void PieceDecoder::keep_words(size_t num_words) {
  if (num_words >= words_.size()) return;
  pieces_.resize(words_[num_words].first_piece);
  words_.resize(num_words);
  text_bytes_ = words_.empty() ? 0 : words_.back().text_begin + words_.back().text_bytes;
}

size_t PieceDecoder::num_bytes() const {
  size_t bytes =
      operand_.num_bytes() + heap_bytes(rotation_, x_, normed_, query_, mixed_, inner_, weights_,
                                        logits_, pieces_, held_, text_, words_, agreed_, before_);
  for (const auto* memories : {&row_memory_, &piece_memory_}) {
    for (const Memory& memory : *memories)
      bytes += heap_bytes(memory.keys, memory.values, memory.key_scales, memory.value_scales);
  }
  return bytes;
}

}  // namespace galago
