// What a bundle says of its voice.
#ifndef GALAGO_NATIVE_VOICE_VOICE_H_
#define GALAGO_NATIVE_VOICE_VOICE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/target.h"

namespace galago {

// Reads a sentence.
struct VoiceReaderTarget : Target {
  enum Input { kPhones, kPitchShift, kEnergyShift, kNumInputs };  // [num_phones] each
  enum Output { kRows, kFrames, kNumOutputs };  // [num_phones][row_width], [num_phones]
  int num_phones = 0;
};

// Speaks a chunk of frames; states are variables of the graph.
struct VoiceSpeakerTarget : Target {
  // [chunk_frames][row_width], [chunk_frames], [chunk_frames][num_bins], [1]
  enum Input { kRows, kValid, kNoise, kKeep, kNumInputs };
  enum Output { kSamples, kNumOutputs };  // [chunk_frames * hop_samples]
};

// The role "voice": a network that reads sentences of phones, and one that speaks them.
struct Voice {
  int sample_rate_hz = 0;
  int hop_samples = 0;  // a frame
  int row_width = 0;
  int num_bins = 0;      // of the noise for a frame
  int delay_frames = 0;  // that the samples lag by
  int chunk_frames = 0;
  int frames_per_phone_max = 200;
  uint32_t noise_seed = 0;
  float pitch_std_octaves = 0.0f;   // one unit of pitch_shift; 0: it cannot be shifted
  std::vector<std::string> phones;  // [0] is padding
  FileEntry pronunciations;
  std::optional<FileEntry> g2p;
  std::vector<VoiceReaderTarget> readers;
  std::vector<VoiceSpeakerTarget> speakers;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_VOICE_VOICE_H_
