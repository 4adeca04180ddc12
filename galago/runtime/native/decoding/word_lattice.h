// What a search for words might have heard instead of its best answer.
//
// A search keeps one past for hypotheses that stand alike: what follows is the same for all of
// them, so the likelier past is enough for the best text, and the others are forgotten. Who wants
// the n best texts must not forget them. Each text that a hypothesis has begun with is a node of a
// tree here, and where two hypotheses become one, the text of the lesser becomes a detour of the
// other's, with what it costs:
//
//   we ── walk ── to ── the             "we walk to the" is a detour of "we walked to the"
//   └─ walked ── to ── the ── river     for 2.1 nats, on whatever text goes on from there
//
// The n best texts are those of the hypotheses at the end, and those that detours lead to, best
// first. A detour costs the same whatever follows, which holds for texts that stand alike.
//
// R. Schwartz and S. Austin, "A comparison of several approximate algorithms for finding multiple
// (N-best) sentence hypotheses", ICASSP 1991.
#ifndef GALAGO_NATIVE_DECODING_WORD_LATTICE_H_
#define GALAGO_NATIVE_DECODING_WORD_LATTICE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace galago {

// A complete word, and when it was heard.
struct HeardWord {
  uint16_t word;
  int32_t begin_row;  // of the utterance
  int32_t end_row;
  float confidence;
};

// Everything is allocated when it is made; where there is no more room, texts are left out.
class WordLattice {
 public:
  static constexpr int32_t kNoText = -1;  // one that is not held
  static constexpr int32_t kEmpty = 0;    // the text without a word

  // A text that an utterance may be. `link` is the caller's; kNoText for those behind a detour.
  struct Alternative {
    float score;
    int32_t text;
    int32_t link;
  };

  // Texts have at most max_words words.
  WordLattice(size_t max_texts, size_t max_words, size_t max_alternatives);

  // An utterance begins.
  void clear();

  // The text with one more word, kNoText where there is no room. If it is known already, with a
  // word that began in the same row, the later end is kept.
  int32_t append(int32_t text, const HeardWord& word);
  // What goes on from `text` could go on from `other` for this many nats more, >= 0; of several
  // numbers the least counts.
  void add_detour(int32_t text, int32_t other, float cost);

  // The utterance is over: any number of offer(), then take_detours(), which leaves texts as they
  // are up to the end of `settled`; kNoText: all of them. Of equal texts the best counts.
  void offer(const Alternative& alternative);
  void take_detours(int32_t settled = kEmpty);
  // Best first; of equal scores, as they were offered.
  const std::vector<Alternative>& alternatives() const { return alternatives_; }

  // Appends the words of a text, from its end to its begin.
  void append_reversed(int32_t text, std::vector<HeardWord>* words) const;

  size_t num_bytes() const;  // on the heap

 private:
  static constexpr int32_t kNone = -1;

  struct Text {
    int32_t before;
    int32_t first_detour;  // kNone: it has none
    uint32_t num_words;
    HeardWord word;  // the last one
  };
  struct Detour {
    int32_t next;  // of the same text
    int32_t other;
    float cost;
  };

  bool begins_with(int32_t text, int32_t beginning) const;
  uint32_t slot_of(int32_t before, uint16_t word) const;

  const size_t max_texts_;
  const size_t max_words_;
  const size_t max_alternatives_;
  std::vector<Text> texts_;
  std::vector<Detour> detours_;
  std::vector<int32_t> slots_;  // open addressing over texts, by what is before and the last word
  std::vector<Alternative> alternatives_;
  std::vector<int32_t> behind_;  // texts of the one whose detours are taken, behind its detour
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_WORD_LATTICE_H_
