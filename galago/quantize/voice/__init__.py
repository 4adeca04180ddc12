"""Packing a voice: a reader of sentences, a speaker of chunks, dictionary and g2p, what int8 costs."""
