// What the opaque handles of galago.h are.
#ifndef GALAGO_NATIVE_ABI_ABI_HANDLES_H_
#define GALAGO_NATIVE_ABI_ABI_HANDLES_H_

#include <memory>

#include "bundle/bundle.h"
#include "galago/galago.h"
#include "session/session.h"

struct galago_bundle {
  std::unique_ptr<galago::Bundle> bundle;
};

struct galago_session {
  galago::Session session;
};

#endif  // GALAGO_NATIVE_ABI_ABI_HANDLES_H_
