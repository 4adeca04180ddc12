"""Sound in and out: files, pipes and sound cards, from `AudioSource` to `AudioSink`."""
