#include "decoding/word_links.h"

#include <algorithm>

namespace galago {

void WordLinks::begin_sweep() {
  std::fill_n(moved_.begin(), links_.size(), kNone);
  num_kept_ = 0;
}

bool WordLinks::keep(int32_t link, size_t num_free) {
  size_t num_kept = num_kept_;
  for (int32_t at = link; at != kNone && moved(at) == kNone; at = (*this)[at].previous) ++num_kept;
  if (num_kept + num_free > max_links_) return false;
  for (int32_t at = link; at != kNone && moved(at) == kNone; at = (*this)[at].previous)
    moved_[static_cast<size_t>(at)] = at;
  num_kept_ = num_kept;
  return true;
}

void WordLinks::sweep() {
  size_t num_links = 0;
  for (size_t i = 0; i < links_.size(); ++i) {
    if (moved_[i] == kNone) continue;
    Link link = links_[i];
    link.previous = moved(link.previous);  // which has moved already
    moved_[i] = static_cast<int32_t>(num_links);
    links_[num_links++] = link;
  }
  links_.resize(num_links);
}

}  // namespace galago
