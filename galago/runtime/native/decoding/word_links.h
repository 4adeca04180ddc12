// The complete words of hypotheses. A word knows the one before it, so that hypotheses share their
// pasts:
//
//   we <── walked <── to <── the        a hypothesis holds its last word, and goes on by
//            ^─────── two               appending to it
//
// Hypotheses come and go, and most words with them: when room is needed, what no hypothesis holds
// is forgotten.
#ifndef GALAGO_NATIVE_DECODING_WORD_LINKS_H_
#define GALAGO_NATIVE_DECODING_WORD_LINKS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/heap_bytes.h"
#include "decoding/word_lattice.h"

namespace galago {

// Everything is allocated when it is made.
class WordLinks {
 public:
  static constexpr int32_t kNone = -1;  // before the first word

  struct Link {
    int32_t previous;
    int32_t text;  // in the lattice: up to this word
    HeardWord heard;
  };

  explicit WordLinks(size_t max_links) : max_links_(max_links) {
    reserve_written(max_links, &links_);
    moved_.resize(max_links);
  }

  void clear() { links_.clear(); }
  // What `other`, which has room for as many, holds.
  void assign(const WordLinks& other) { links_ = other.links_; }

  const Link& operator[](int32_t link) const { return links_[static_cast<size_t>(link)]; }
  size_t num_free() const { return max_links_ - links_.size(); }
  // Where one is free.
  int32_t append(const Link& link) {
    links_.push_back(link);
    return static_cast<int32_t>(links_.size()) - 1;
  }

  // Forgetting: begin_sweep(), keep() for each link that is held, then sweep(), which leaves
  // these and the ones before them, as moved() tells.
  void begin_sweep();
  // False, and nothing more is kept, where fewer than num_free would be free with it. `link` may be
  // kNone.
  bool keep(int32_t link, size_t num_free);
  void sweep();
  // Of a link that was kept, or of kNone, its new number; until links are appended.
  int32_t moved(int32_t link) const {
    return link == kNone ? kNone : moved_[static_cast<size_t>(link)];
  }

  size_t num_bytes() const { return heap_bytes(links_, moved_); }  // on the heap

 private:
  const size_t max_links_;
  std::vector<Link> links_;     // each behind its previous one
  std::vector<int32_t> moved_;  // while sweeping: kNone for what is not kept
  size_t num_kept_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_WORD_LINKS_H_
