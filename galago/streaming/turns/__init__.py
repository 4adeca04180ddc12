"""Turns of conversation: dialogues, the voice that answers, echo, and the timeline of it all."""
